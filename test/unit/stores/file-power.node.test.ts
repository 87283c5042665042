import type * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Checkpoint } from '../../../src/checkpoint.ts';
import { Offset } from '../../../src/offset.ts';
import { FileOffsetStore } from '../../../src/stores/file/store.ts';
import type { Batch } from '../../../src/store.ts';
import { ForgetfulDisk } from './forgetful-disk.ts';

type Fs = typeof fs;

let disk: ForgetfulDisk | undefined;

// Each call goes to the disk of the running test.
vi.mock('node:fs/promises', async (original) => {
  const passed = await original<Fs>();
  const names = ['open', 'mkdir', 'rename', 'writeFile', 'unlink', 'rmdir', 'rm'] as const;
  const through = (name: (typeof names)[number]) => [
    name,
    (...args: unknown[]) => ((disk?.watched() ?? passed)[name] as (...all: unknown[]) => unknown)(...args),
  ];
  return { ...passed, ...Object.fromEntries(names.map(through)) };
});

const real = await vi.importActual<Fs>('node:fs/promises');
const { mkdtemp, mkdir, rm } = real;
const folder = await mkdtemp(join(tmpdir(), 'tidemark-power-'));
afterAll(() => rm(folder, { recursive: true }));

let next = 0;
let root = '';
let path = '';
let watched: ForgetfulDisk;
beforeEach(async () => {
  root = join(folder, `case ${next++}`);
  await mkdir(root);
  path = join(root, 'offsets.journal');
  watched = disk = new ForgetfulDisk(root, real);
  return async () => {
    disk = undefined;
    await watched.close();
  };
});

function batch(n: number, source = 'orders', size = 0) {
  const offset = size > 0 ? Offset.custom(`${n} ${'x'.repeat(size)}`) : Offset.sequence(n);
  return new Map([[source, { epoch: 0, rank: n, offset, committedAt: n }]]);
}

/** What a store finds after a power cut at this moment. */
async function afterPowerCut(file = 'offsets.journal'): Promise<Map<string, Checkpoint>> {
  const copy = join(folder, `case ${next++}`);
  await watched.restore(copy);
  return new FileOffsetStore(join(copy, file)).getAll();
}

async function expectKept(stands: Batch, file?: string): Promise<void> {
  expect(await afterPowerCut(file)).toEqual(stands);
}

/** Has a store die at a call: neither that call nor anything after it happens. */
async function dieAt(call: string, attempt: () => Promise<unknown>): Promise<void> {
  await new Promise<void>((resolve) => {
    watched.before = (made) => {
      if (made !== call) return;
      watched.before = () => new Promise(() => {});
      resolve();
      return new Promise(() => {});
    };
    attempt().catch(() => {});
  });
  watched.before = () => {};
}

describe('after a power cut, what was answered is there:', () => {
  it('the first commit, also where its folders had to be made', async () => {
    const store = new FileOffsetStore(join(root, 'a', 'b', 'offsets.journal'));
    await expectKept(await store.commit(batch(1)), 'a/b/offsets.journal');
  });

  it('every later commit', async () => {
    const store = new FileOffsetStore(path);
    for (let n = 1; n < 6; n++) await expectKept(await store.commit(batch(n)));
    expect(watched.calls.slice(-2)).toEqual(['write offsets.journal', 'datasync offsets.journal']);
  });

  it('an epoch that was begun', async () => {
    const store = new FileOffsetStore(path);
    for (const at of [undefined, { offset: Offset.sequence(1) }, {}, undefined]) {
      const begun = await store.begin('orders', at);
      await expectKept(new Map([['orders', begun]]));
    }
  });

  it('what others wrote and had not brought to the disk, where a commit answers that it stands', async () => {
    const store = new FileOffsetStore(path);
    await store.commit(batch(1));
    await dieAt('datasync offsets.journal', () => new FileOffsetStore(path).commit(batch(5)));
    expect(await store.commit(batch(4))).toEqual(batch(5));
    await expectKept(batch(5));
    await dieAt('datasync offsets.journal', () => new FileOffsetStore(path).commit(batch(9)));
    expect(await new FileOffsetStore(path).commit(batch(7))).toEqual(batch(9));
    await expectKept(batch(9));
  });

  it.for(['commits more', 'commits what is there'])(
    'a file that was made by a process which died before its name was on the disk, where the next %s',
    async (what) => {
      await dieAt('sync .', () => new FileOffsetStore(path).commit(batch(1)));
      expect(await afterPowerCut()).toEqual(new Map());
      const n = what === 'commits more' ? 2 : 1;
      expect(await new FileOffsetStore(path).commit(batch(n))).toEqual(batch(n));
      await expectKept(batch(n));
    },
  );

  it("what is read of the crate's file, which the crate does not bring to the disk, where a commit answers that it stands", async () => {
    await disk?.watched().writeFile(path, '{"orders":{"Sequence":7}}', { flag: 'wx' });
    const stands = await new FileOffsetStore(path).commit(batch(5));
    expect(stands.get('orders')?.offset).toEqual(Offset.sequence(7));
    expect((await afterPowerCut()).get('orders')?.offset).toEqual(Offset.sequence(7));
    const moved = await new FileOffsetStore(path).commit(batch(8));
    await expectKept(moved);
  });

  it('an empty store, where clearAll has answered', async () => {
    const store = new FileOffsetStore(path);
    await store.commit(batch(1));
    await store.clearAll();
    expect(await afterPowerCut()).toEqual(new Map());
    await expectKept(await store.commit(batch(1)));
  });
});

describe('while a file is compacted, a power cut at any call', () => {
  it('leaves all that was answered', { timeout: 120_000 }, async () => {
    const store = new FileOffsetStore(path);
    const stands = new Map<string, Checkpoint>();
    const commit = async (batchToKeep: Batch): Promise<void> => {
      for (const [source, checkpoint] of await store.commit(batchToKeep)) stands.set(source, checkpoint);
    };
    await commit(batch(1, 'other'));
    const sources = Array.from({ length: 300 }, (_, i) => `source ${i}`);
    // Two thirds of it are superseded: the next commit starts a compaction.
    for (const n of [1, 2, 3]) await commit(new Map(sources.flatMap((source) => Array.from(batch(n, source, 5000)))));
    let cuts = 0;
    let isReplaced = false;
    watched.before = async (call) => {
      isReplaced ||= call === 'rename offsets.journal';
      const answered = new Map(stands);
      const left = await afterPowerCut();
      for (const [source, { rank }] of answered) expect(left.get(source)?.rank).toBeGreaterThanOrEqual(rank);
      cuts++;
    };
    for (let n = 4; n < 200 && !isReplaced; n++) await commit(batch(n, `source ${n}`, 1000));
    await store.close();
    expect(isReplaced).toBe(true);
    expect(cuts).toBeGreaterThan(20);
    watched.before = () => {};
    await commit(batch(1000));
    await expectKept(stands);
  });

  it('waits for no more than a slice of it, nor does a commit beside it', async () => {
    const store = new FileOffsetStore(path);
    const sources = Array.from({ length: 600 }, (_, i) => `source ${i}`);
    for (const n of [1, 2, 3])
      await store.commit(new Map(sources.flatMap((source) => Array.from(batch(n, source, 5000)))));
    // Writes of 128 KiB that are not on the disk yet.
    let waiting = 0;
    let most = 0;
    let atTheEnd: number | undefined;
    watched.before = (call) => {
      if (call === 'write offsets.journal.lock/draft') most = Math.max(most, ++waiting);
      if (call === 'datasync offsets.journal.lock/draft') waiting = 0;
      if (call === 'rename offsets.journal') atTheEnd ??= waiting;
    };
    for (let n = 4; n < 200 && atTheEnd === undefined; n++) await store.commit(batch(n));
    await store.close();
    expect(most).toBeGreaterThan(5);
    expect(most).toBeLessThan(12);
    expect(atTheEnd).toBeLessThan(2);
  });

  it.for(['write offsets.journal.lock/draft', 'sync offsets.journal.lock/draft', 'rename offsets.journal', 'sync .'])(
    'and the death of the process at "%s" lose nothing together',
    async (call) => {
      const stands = new Map<string, Checkpoint>(batch(1));
      const first = new FileOffsetStore(path);
      await first.commit(batch(1));
      for (let n = 1; n < 4; n++)
        for (const [source, one] of await first.commit(batch(n, 'big', 300_000))) stands.set(source, one);
      await first.close();
      const dying = new FileOffsetStore(path);
      await dieAt(call, async () => {
        for (let n = 2; ; n++) {
          for (const [source, one] of await dying.commit(new Map([...batch(n), ...batch(n + 2, 'big', 300_000)])))
            stands.set(source, one);
          await dying.close();
        }
      });
      for (const [source, { rank }] of stands) {
        expect((await afterPowerCut()).get(source)?.rank).toBeGreaterThanOrEqual(rank);
      }
    },
  );
});

it('after a disk has failed to take something, the whole is written anew', async () => {
  const store = new FileOffsetStore(path);
  await store.commit(batch(1));
  watched.before = (call) => {
    if (call === 'datasync offsets.journal')
      throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
  };
  await expect(store.commit(batch(2))).rejects.toMatchObject({
    name: 'StorageError',
    retryable: false,
    message: expect.stringMatching(/EIO.*disk fails/),
  });
  watched.before = () => {};
  watched.calls.length = 0;
  // The system would now say that all is on the disk.
  await expectKept(await store.commit(batch(2)));
  expect(watched.calls).toContain('rename offsets.journal');
});
