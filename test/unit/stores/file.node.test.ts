import { chmod, lstat, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { Offset } from '../../../src/offset.ts';
import { FileOffsetStore } from '../../../src/stores/file/store.ts';
import { testOffsetStore } from '../../../src/testing/index.ts';

const folder = await mkdtemp(join(tmpdir(), 'tidemark-file-'));
afterAll(() => rm(folder, { recursive: true }));

testOffsetStore('FileOffsetStore', ({ id, ...options }) => new FileOffsetStore(join(folder, id), options), {
  describe,
  it,
  expect,
});

let next = 0;
async function newFolder(): Promise<string> {
  const path = join(folder, `case ${next++}`);
  await mkdir(path);
  return path;
}

function batch(n: number, source = 'orders') {
  return new Map([[source, { epoch: 0, rank: n, offset: Offset.sequence(n), committedAt: 1_767_323_045_000 + n }]]);
}

describe('a commit to a file', () => {
  it('makes the folders that are missing, and leaves nothing but the file behind', async () => {
    const home = await newFolder();
    const store = new FileOffsetStore(join(home, 'a', 'b', 'offsets.json'));
    await store.commit(batch(1));
    const found = await readdir(home, { recursive: true });
    expect(found.sort()).toEqual(['a', 'a/b', 'a/b/offsets.json']);
    expect(await store.getAll()).toEqual(batch(1));
  });

  it('that moves nothing writes nothing', async () => {
    const path = join(await newFolder(), 'offsets.json');
    const store = new FileOffsetStore(path);
    await store.commit(batch(5));
    const before = await stat(path, { bigint: true });
    expect(await store.commit(batch(4))).toEqual(batch(5));
    expect(await new FileOffsetStore(path).commit(batch(5))).toEqual(batch(5));
    const { ino, mtimeNs } = await stat(path, { bigint: true });
    expect({ ino, mtimeNs }).toEqual({ ino: before.ino, mtimeNs: before.mtimeNs });
  });

  it('takes the batch as it was when commit was called', async () => {
    const store = new FileOffsetStore(join(await newFolder(), 'offsets.json'));
    const [first, second] = [batch(1), batch(2, 'payments')];
    const both = [store.commit(first), store.commit(second)];
    second.clear();
    await Promise.all(both);
    expect(await store.getAll()).toEqual(new Map([...batch(1), ...batch(2, 'payments')]));
  });

  it('keeps the mode of the file', async () => {
    const path = join(await newFolder(), 'offsets.json');
    const store = new FileOffsetStore(path);
    await store.commit(batch(1));
    await chmod(path, 0o640);
    await store.commit(batch(2));
    expect((await stat(path)).mode & 0o777).toBe(0o640);
  });

  it.for(['there', 'not there yet'])('follows a symbolic link to a file that is %s', async (state) => {
    const home = await newFolder();
    await mkdir(join(home, 'data'));
    await symlink('data/real.json', join(home, 'link.json'));
    if (state === 'there') await new FileOffsetStore(join(home, 'data', 'real.json')).commit(batch(1));
    const store = new FileOffsetStore(join(home, 'link.json'));
    await store.commit(batch(2));
    expect((await lstat(join(home, 'link.json'))).isSymbolicLink()).toBe(true);
    expect(await readdir(join(home, 'data'))).toEqual(['real.json']);
    expect(await new FileOffsetStore(join(home, 'data', 'real.json')).getAll()).toEqual(batch(2));
  });

  it('is seen by another store object at once, however fast they alternate', async () => {
    const path = join(await newFolder(), 'offsets.json');
    const [one, two] = [new FileOffsetStore(path), new FileOffsetStore(pathToFileURL(path))];
    expect(one.id).toBe(`file:${path}`);
    expect(two.id).toBe(one.id);
    for (let n = 100; n < 160; n++) {
      const [writer, reader] = n % 3 ? [one, two] : [two, one];
      await writer.commit(batch(n));
      expect(await reader.get('orders')).toEqual(batch(n).get('orders'));
    }
  });

  it('is in a text that people can read, a line a source', async () => {
    const path = join(await newFolder(), 'offsets.json');
    await new FileOffsetStore(path).commit(new Map([...batch(1), ...batch(2, '__proto__')]));
    const lines = (await readFile(path, 'utf8')).split('\n');
    expect(lines[0]).toMatch(/^\{"tidemark":2,"id":"\w{12}"\}$/);
    expect(lines[1]).toMatch(/^\["orders",\{"json":\{"epoch":0,"rank":1,/);
    expect(lines[2]).toMatch(/^\["__proto__",.*\] [\da-f]{8}$/);
  });
});

describe('a file that somebody edits', () => {
  it('is read again, with the offset that was put in by hand', async () => {
    const path = join(await newFolder(), 'offsets.json');
    const store = new FileOffsetStore(path);
    await store.commit(batch(7));
    expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(7));
    const changed = (await readFile(path, 'utf8')).replace('"7"', '"3"');
    // The checksum tells a change from damage: without it, the line is as good as any.
    await writeFile(path, `${changed.replace(/ [\da-f]{8}$/, '')}\r\n`);
    expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(3));
    expect((await store.commit(batch(8))).get('orders')?.offset).toEqual(Offset.sequence(8));
    expect((await new FileOffsetStore(path).get('orders'))?.offset).toEqual(Offset.sequence(8));
  });

  it('is not taken for what it was where somebody has written over it', async () => {
    const path = join(await newFolder(), 'offsets.json');
    const store = new FileOffsetStore(path);
    await store.commit(batch(1));
    const before = await readFile(path);
    await store.commit(batch(7));
    await store.commit(batch(2, 'payments'));
    const [header = '', , , payments = ''] = (await readFile(path, 'utf8')).split('\n');
    await writeFile(path, [header, ...Array.from({ length: 5 }, () => payments)].join('\n'));
    expect(await store.getAll()).toEqual(batch(2, 'payments'));
    await writeFile(path, before);
    expect(await store.getAll()).toEqual(batch(1));
  });

  it('starts anew when it is removed', async () => {
    const path = join(await newFolder(), 'offsets.json');
    const store = new FileOffsetStore(path);
    await store.commit(batch(7));
    await rm(path);
    expect(await store.get('orders')).toBeUndefined();
    expect(await store.commit(batch(1))).toEqual(batch(1));
  });

  it('is not made by clearAll where there is none', async () => {
    const home = await newFolder();
    await new FileOffsetStore(join(home, 'offsets.json')).clearAll();
    expect(await readdir(home)).toEqual([]);
  });
});

it('close waits for commits under way', async () => {
  const path = join(await newFolder(), 'offsets.json');
  const store = new FileOffsetStore(path);
  void store.commit(batch(1));
  void store.commit(batch(2));
  await store.close();
  expect(await new FileOffsetStore(path).getAll()).toEqual(batch(2));
});
