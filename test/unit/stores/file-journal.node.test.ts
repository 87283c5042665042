import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Checkpoint, beginEpoch, isFence } from '../../../src/checkpoint.ts';
import { SerializationError } from '../../../src/errors.ts';
import { Offset } from '../../../src/offset.ts';
import { formatBegin, formatSeal } from '../../../src/stores/file/journal.ts';
import { FileOffsetStore } from '../../../src/stores/file/store.ts';

const folder = await mkdtemp(join(tmpdir(), 'tidemark-journal-'));
afterAll(() => rm(folder, { recursive: true }));

let next = 0;
const newPath = () => join(folder, `${next++}.journal`);

async function fileWith(content: string | Uint8Array): Promise<{ path: string; store: FileOffsetStore }> {
  const path = newPath();
  await writeFile(path, content);
  return { path, store: new FileOffsetStore(path) };
}

function checkpoint(n: number, epoch = 0): Checkpoint {
  return { epoch, rank: n, offset: Offset.sequence(n), committedAt: n };
}

function batch(n: number, source = 'orders', epoch = 0) {
  return new Map([[source, checkpoint(n, epoch)]]);
}

/** The lines of a journal, the header first. */
async function linesOf(path: string): Promise<string[]> {
  return (await readFile(path, 'utf8')).split('\n');
}

const hostile = ['orders', '] deadbeef', '"]} 12345678', '日本語 😀', '{"sealed":"x"} ', '\\"] ', 'line\nbreak\u0000'];

it('is written anew by its bytes, so that long names in any script do not have it written anew at each commit', async () => {
  const { path, store } = await fileWith('');
  await rm(path);
  const name = (i: number): string => '語'.repeat(400) + i;
  await store.commit(new Map(Array.from({ length: 2000 }, (_, i) => [name(i), checkpoint(1)])));
  const inodes = new Set<number>();
  for (let n = 2; n < 22; n++) {
    await store.commit(batch(n, name(0)));
    await store.close();
    inodes.add((await stat(path)).ino);
  }
  expect(inodes.size).toBeLessThan(3);
});

describe('a journal that was cut off anywhere', () => {
  it('holds what was written before, and takes what comes next', async () => {
    const path = newPath();
    const store = new FileOffsetStore(path);
    /** By length of the file: what it holds. */
    const held: [size: number, all: Map<string, Checkpoint>][] = [];
    for (const [n, source] of hostile.entries()) {
      await store.commit(batch(n + 1, source));
      if (n % 2) await store.begin(source);
      held.push([(await stat(path)).size, await store.getAll()]);
    }
    const whole = await readFile(path);
    const [first = 0] = held[0] ?? [];
    for (let size = first; size <= whole.length; size++) {
      const before = [...held].reverse().find(([length]) => length <= size)?.[1] ?? new Map<string, Checkpoint>();
      const { store: cut } = await fileWith(whole.subarray(0, size));
      const found = await cut.getAll();
      // A whole commit before its fence is no less than what was acknowledged.
      for (const [source, one] of before) expect([source, found.get(source)]).toEqual([source, one]);
      const one = batch(100, 'the next');
      expect(await cut.commit(one)).toEqual(one);
      const again = new FileOffsetStore(join(folder, `${next - 1}.journal`));
      // A line without its checksum is as good as one that was written by hand.
      const kept = await again.getAll();
      for (const [source, stands] of [...found, ...one]) expect(kept.get(source)).toEqual(stands);
    }
  });

  it.for([0, 1, 20, 511, 5000])('with %i zeros after it is no worse', async (zeros) => {
    const path = newPath();
    await new FileOffsetStore(path).commit(batch(1));
    const whole = await readFile(path);
    for (const torn of ['', '\n["orde', '\n']) {
      const { path: copy, store } = await fileWith(Buffer.concat([whole, Buffer.from(torn), Buffer.alloc(zeros)]));
      expect(await store.getAll()).toEqual(batch(1));
      expect(await store.commit(batch(2))).toEqual(batch(2));
      expect(await new FileOffsetStore(copy).getAll()).toEqual(batch(2));
    }
  });
});

describe('a journal with damage', () => {
  it('in any one bit is read right, or is an error that quotes the line: never less', async () => {
    const path = newPath();
    const store = new FileOffsetStore(path);
    for (const source of ['orders', 'é "b" ] deadbeef']) await store.commit(batch(7, source));
    await store.begin('orders');
    const all = await store.getAll();
    const whole = await readFile(path);
    let told = 0;
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const damaged = Buffer.from(whole);
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const { path: copy, store: reader } = await fileWith(damaged);
      const found = await reader.getAll().catch((error: unknown) => error);
      if (found instanceof SerializationError) {
        expect(found.message).toContain(copy);
        told++;
      } else expect(found).toEqual(all);
      await rm(copy);
    }
    expect(told).toBeGreaterThan(whole.length * 7);
  });

  it('says which line, quotes it, and leaves it as it is; clearAll starts anew', async () => {
    const path = newPath();
    await new FileOffsetStore(path).commit(new Map([...batch(1), ...batch(2, 'payments')]));
    const damaged = (await readFile(path, 'utf8')).replace('"2"', '"3"');
    const { path: copy, store } = await fileWith(damaged);
    for (const attempt of [
      () => store.get('orders'),
      () => store.getAll(),
      () => store.commit(batch(5)),
      () => store.begin('orders'),
    ]) {
      await expect(attempt()).rejects.toMatchObject({
        name: 'SerializationError',
        message: expect.stringMatching(/damaged at line 3: found \["payments",.*"value":"3".*delete the checksum/s),
      });
    }
    expect(await readFile(copy, 'utf8')).toBe(damaged);
    await store.clearAll();
    expect(await store.commit(batch(5))).toEqual(batch(5));
    expect(await store.getAll()).toEqual(batch(5));
  });
});

describe('the lines of a journal', () => {
  it('may stand in any order, any number of times, with others between them', async () => {
    const path = newPath();
    const store = new FileOffsetStore(path);
    for (const n of [1, 2, 3]) await store.commit(new Map([...batch(n), ...batch(n, 'payments', n)]));
    const all = await store.getAll();
    const [header = '', ...lines] = await linesOf(path);
    const mixed = [header, ...lines.reverse(), '', ...lines, '\r', ...lines.sort()].join('\n');
    expect(await (await fileWith(mixed)).store.getAll()).toEqual(all);
  });

  it('that are longer than what is read at a time are read', async () => {
    const path = newPath();
    const store = new FileOffsetStore(path);
    const wanted = new Map(
      [10, 3_000_000, 1 << 20, 5].map((size, n) => [
        `source ${n}`,
        { ...checkpoint(n), offset: Offset.custom('é'.repeat(size)) },
      ]),
    );
    for (const [source, one] of wanted) await store.commit(new Map([[source, one]]));
    expect(await new FileOffsetStore(path).getAll()).toEqual(wanted);
  });

  it('count up to the seal: a commit that comes after it is made once more, in a new file', async () => {
    const path = newPath();
    const [one, two] = [new FileOffsetStore(path), new FileOffsetStore(path)];
    await one.commit(batch(1));
    await two.commit(batch(2, 'payments'));
    const [header = '', ...lines] = await linesOf(path);
    const sealed = [header, ...lines, formatSeal(), lines[0]?.replace('"orders"', '"late"')].join('\n');
    await writeFile(path, sealed);
    expect(await one.getAll()).toEqual(new Map([...batch(1), ...batch(2, 'payments')]));
    expect(await two.commit(batch(3))).toEqual(batch(3));
    expect(await one.getAll()).toEqual(new Map([...batch(3), ...batch(2, 'payments')]));
    expect((await linesOf(path)).filter((line) => line.includes('sealed'))).toEqual([]);
    expect(await one.begin('orders')).toMatchObject({ rank: 3 });
  });
});

describe('a fence', () => {
  /** A process that has read no further than `seen`, and appends its fence to what is there by now. */
  async function fenceUpon(path: string, seen: Checkpoint | undefined, at?: { offset?: Offset }): Promise<Checkpoint> {
    const fence = beginEpoch(seen, at);
    const line = formatBegin(at ? 'begin' : 'fence', `other${next}`, 'orders', fence).text;
    await writeFile(path, `\n${line}`, { flag: 'a' });
    return fence;
  }

  it('carries over a commit that its writer had not seen, though that writer dies just then', async () => {
    const path = newPath();
    const store = new FileOffsetStore(path);
    await store.commit(batch(1));
    expect(await store.commit(batch(9))).toEqual(batch(9));
    const fence = await fenceUpon(path, checkpoint(1));
    const stands = { ...checkpoint(9), epoch: fence.epoch };
    expect(await store.get('orders')).toEqual(stands);
    expect(await new FileOffsetStore(path).get('orders')).toEqual(stands);
    // What comes after it is of the old epoch, and is told so.
    expect((await store.commit(batch(10))).get('orders')).toEqual(stands);
    const second = await store.begin('orders');
    expect([second.rank, second.epoch > fence.epoch, isFence(second.epoch)]).toEqual([9, true, true]);
  });

  it('and a reset count only where their epoch is the highest so far', async () => {
    const path = newPath();
    const store = new FileOffsetStore(path);
    await store.commit(batch(1));
    const begun = await store.begin('orders', { offset: Offset.sequence(5) });
    // Begun upon what was there before: a lower counter, an equal one, and the very same epoch.
    await fenceUpon(path, undefined);
    expect((await store.get('orders'))?.offset).toEqual(begun.offset);
    const line = formatBegin('begin', 'another', 'orders', { ...begun, offset: Offset.sequence(9) }).text;
    await writeFile(path, `\n${line}`, { flag: 'a' });
    const stands = await new FileOffsetStore(path).get('orders');
    expect(await store.get('orders')).toEqual(stands);
  });
});

describe('a file that has grown', () => {
  it('is replaced by one that holds each source once, and stays small', async () => {
    const path = newPath();
    const [store, other] = [new FileOffsetStore(path), new FileOffsetStore(path)];
    const big = (n: number) =>
      new Map([['orders', { ...checkpoint(n), offset: Offset.custom(`${n}${'x'.repeat(5000)}`) }]]);
    await store.commit(batch(1, 'other'));
    const [before] = await linesOf(path);
    for (let n = 1; n <= 300; n++) await (n % 3 ? store : other).commit(big(n));
    await Promise.all([store.close(), other.close()]);
    expect((await linesOf(path))[0]).not.toBe(before);
    expect((await stat(path)).size).toBeLessThan(400_000);
    for (const each of [store, other, new FileOffsetStore(path)]) {
      expect(await each.getAll()).toEqual(new Map([...batch(1, 'other'), ...big(300)]));
    }
    expect((await readdir(folder)).filter((name) => name.startsWith(`${next - 1}.`))).toEqual([`${next - 1}.journal`]);
  });

  it('is cleared, fenced and committed to while it is replaced', async () => {
    const path = newPath();
    const store = new FileOffsetStore(path);
    const many = (n: number) =>
      new Map(Array.from({ length: 2000 }, (_, i) => Array.from(batch(n, `source ${i}`))).flat());
    for (let round = 0; round < 5; round++) {
      for (let n = 1; n < 4; n++) await store.commit(many(n));
      const begun = store.begin('source 1');
      await Promise.all([store.commit(batch(9, 'source 2')), begun, store.commit(batch(9, 'source 3'))]);
      expect(await store.get('source 1')).toEqual(await begun);
      expect(await store.get('source 2')).toEqual(checkpoint(9));
      if (round % 2) await store.clearAll();
      else await store.close();
      expect((await store.getAll()).size).toBe(round % 2 ? 0 : 2000);
    }
    await store.close();
    expect((await new FileOffsetStore(path).getAll()).get('source 3')).toEqual(checkpoint(9));
  });
});
