import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { lstat, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { StorageError } from '../../../src/errors.ts';
import { Offset } from '../../../src/offset.ts';
import { FileOffsetStore } from '../../../src/stores/file/store.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-disk-'));
const disk = join(folder, 'disk');
mkdirSync(disk);

// A disk of its own that can be filled and made read-only: for root on Linux, where containers allow it.
const hasDisk = runs('mount', '-t', 'tmpfs', '-o', 'size=256k', 'tidemark-test', disk);
const isRoot = process.getuid?.() === 0;

afterAll(() => {
  if (hasDisk) execFileSync('umount', [disk]);
  rmSync(folder, { recursive: true });
});

function runs(program: string, ...args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function batch(n: number, source = 'orders') {
  return new Map([[source, { epoch: 0, rank: n, offset: Offset.sequence(n), committedAt: n }]]);
}

async function failureOf(attempt: Promise<unknown>): Promise<unknown> {
  return attempt.then(
    () => 'no failure',
    (error: unknown) => error,
  );
}

describe('a disk that is full', () => {
  it.skipIf(!hasDisk)(
    'is a StorageError that says so, the old file stays whole, and room makes it work again',
    async () => {
      const path = join(disk, 'full', 'offsets.json');
      const store = new FileOffsetStore(path);
      const many = Array.from({ length: 200 }, (_, i) => Array.from(batch(1, `source ${i}`))).flat();
      await store.commit(new Map(many));
      const before = await store.getAll();
      expect(await failureOf(writeFile(join(disk, 'filler'), new Uint8Array(1 << 20)))).toMatchObject({
        code: 'ENOSPC',
      });

      for (const attempt of [() => store.commit(batch(2, 'x'.repeat(5000))), () => store.clearAll()]) {
        const error = await failureOf(attempt());
        if (error === 'no failure') continue; // An empty store may still fit in.
        expect(error).toBeInstanceOf(StorageError);
        expect(error).toMatchObject({ retryable: false, message: expect.stringMatching(/ENOSPC.*make room/) });
        expect(await new FileOffsetStore(path).getAll()).toEqual(before);
      }
      expect(await readdir(join(disk, 'full'))).toEqual(['offsets.json']);

      await rm(join(disk, 'filler'));
      expect(await store.commit(batch(2))).toEqual(batch(2));
      expect(await new FileOffsetStore(path).get('orders')).toEqual(batch(2).get('orders'));
    },
  );
});

describe('a folder that cannot be written', () => {
  it.skipIf(isRoot && !hasDisk)('can be read, and a commit is a StorageError that leaves all as it is', async () => {
    const home = join(hasDisk ? disk : folder, 'read-only');
    const path = join(home, 'offsets.json');
    const store = new FileOffsetStore(path);
    await store.commit(batch(1));
    const before = await readFile(path);
    if (isRoot) execFileSync('mount', ['-o', 'remount,ro', disk]);
    else chmodSync(home, 0o555);
    try {
      for (const attempt of [() => store.commit(batch(2)), () => store.clearAll()]) {
        const error = await failureOf(attempt());
        expect(error).toBeInstanceOf(StorageError);
        expect(error).toMatchObject({ retryable: false, message: expect.stringContaining(path) });
      }
      expect(await readFile(path)).toEqual(before);
      expect(await readdir(home)).toEqual(['offsets.json']);
      expect(await new FileOffsetStore(path).getAll()).toEqual(batch(1));
      expect(await new FileOffsetStore(path).commit(batch(1))).toEqual(batch(1));
    } finally {
      if (isRoot) execFileSync('mount', ['-o', 'remount,rw', disk]);
      else chmodSync(home, 0o755);
    }
    expect(await store.commit(batch(2))).toEqual(batch(2));
  });
});

describe('a path that leads to no file', () => {
  it('since its parent is a file is a StorageError', async () => {
    writeFileSync(join(folder, 'file'), 'x');
    const store = new FileOffsetStore(join(folder, 'file', 'offsets.json'));
    for (const attempt of [
      () => store.get('orders'),
      () => store.getAll(),
      () => store.commit(batch(1)),
      () => store.clearAll(),
    ]) {
      const error = await failureOf(attempt());
      expect(error).toBeInstanceOf(StorageError);
      expect(error).toMatchObject({ retryable: false, message: expect.stringMatching(/ENOTDIR.*parent is a folder/) });
    }
    expect(await readFile(join(folder, 'file'), 'utf8')).toBe('x');
  });

  it('but to a folder is a StorageError', async () => {
    const store = new FileOffsetStore(folder);
    for (const attempt of [() => store.get('orders'), () => store.commit(batch(1)), () => store.clearAll()]) {
      expect(await failureOf(attempt())).toMatchObject({
        name: 'StorageError',
        message: expect.stringMatching(/is not a file but a (folder|pipe): choose another path/),
      });
    }
  });

  it.skipIf(process.platform === 'win32')('but to a pipe is a StorageError, and the pipe stays', async () => {
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', [path]);
    const store = new FileOffsetStore(path);
    for (const attempt of [() => store.get('orders'), () => store.commit(batch(1)), () => store.clearAll()]) {
      expect(await failureOf(attempt())).toMatchObject({
        name: 'StorageError',
        message: expect.stringMatching(/is not a file but a (folder|pipe): choose another path/),
      });
    }
    expect((await lstat(path)).isFIFO()).toBe(true);
  });
});

describe('what the system refuses is told with its cause, the path and what to do:', () => {
  it.skipIf(!isRoot)('a file and a folder of another user', async () => {
    const home = mkdtempSync(join(tmpdir(), 'tidemark-others-'));
    chmodSync(home, 0o755);
    const path = join(home, 'offsets.journal');
    await new FileOffsetStore(path).commit(batch(1));
    chmodSync(path, 0o600);
    process.seteuid?.(65534);
    try {
      for (const attempt of [
        () => new FileOffsetStore(path).get('orders'),
        () => new FileOffsetStore(path).commit(batch(2)),
        () => new FileOffsetStore(join(home, 'new.journal')).commit(batch(2)),
        () => new FileOffsetStore(join(home, 'a', 'new.journal')).commit(batch(2)),
      ]) {
        expect(await failureOf(attempt())).toMatchObject({
          name: 'StorageError',
          retryable: false,
          message: expect.stringMatching(/^could not (read|write) the file .*: EACCES: .*Let this user read and write/),
        });
      }
    } finally {
      process.seteuid?.(0);
    }
    // Who may only read is answered where nothing moves.
    chmodSync(path, 0o644);
    process.seteuid?.(65534);
    try {
      expect(await new FileOffsetStore(path).commit(batch(1))).toEqual(batch(1));
      expect(await failureOf(new FileOffsetStore(path).commit(batch(2)))).toMatchObject({ name: 'StorageError' });
    } finally {
      process.seteuid?.(0);
    }
    expect(await new FileOffsetStore(path).getAll()).toEqual(batch(1));
    rmSync(home, { recursive: true });
  });

  it.skipIf(process.platform !== 'linux')('a folder that cannot be made', async () => {
    const store = new FileOffsetStore('/proc/tidemark/offsets.journal');
    expect(await store.get('orders')).toBeUndefined();
    expect(await failureOf(store.commit(batch(1)))).toMatchObject({
      name: 'StorageError',
      message: expect.stringMatching(/\/proc\/tidemark.*ENOENT.*make the folder/),
    });
  });

  it.skipIf(process.platform === 'win32')(
    'a symbolic link that leads to itself, and a name that is too long',
    async () => {
      symlinkSync('circle', join(folder, 'circle'));
      for (const [name, told] of [
        ['circle', /ELOOP.*in a circle/],
        ['x'.repeat(300), /ENAMETOOLONG.*shorter path/],
      ] as const) {
        const store = new FileOffsetStore(join(folder, name));
        for (const attempt of [() => store.get('orders'), () => store.commit(batch(1))]) {
          expect(await failureOf(attempt())).toMatchObject({
            name: 'StorageError',
            message: expect.stringMatching(told),
          });
        }
      }
    },
  );

  it.skipIf(process.platform === 'win32')('a symbolic link into a folder that is not there yet is none', async () => {
    symlinkSync(join('not', 'yet', 'offsets.journal'), join(folder, 'early'));
    expect(await new FileOffsetStore(join(folder, 'early')).commit(batch(1))).toEqual(batch(1));
    expect(await new FileOffsetStore(join(folder, 'not', 'yet', 'offsets.journal')).getAll()).toEqual(batch(1));
  });
});

it('a failed commit does not hold up the next', async () => {
  const path = join(folder, 'later', 'offsets.json');
  writeFileSync(join(folder, 'later'), 'in the way');
  const store = new FileOffsetStore(path);
  const failed = failureOf(store.commit(batch(1)));
  const queued = failureOf(store.commit(batch(2)));
  expect(await failed).toBeInstanceOf(StorageError);
  expect(await queued).toBeInstanceOf(StorageError);
  rmSync(join(folder, 'later'));
  expect(await store.commit(batch(3))).toEqual(batch(3));
});
