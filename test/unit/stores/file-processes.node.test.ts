import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { rolldown } from 'rolldown';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { LockError } from '../../../src/errors.ts';
import { Offset } from '../../../src/offset.ts';
import { FileLock } from '../../../src/stores/file/lock.ts';
import { isDead, newOwner } from '../../../src/stores/file/owner.ts';
import { FileOffsetStore } from '../../../src/stores/file/store.ts';

const folder = await mkdtemp(join(tmpdir(), 'tidemark-processes-'));
const script = join(folder, 'file-writer.mjs');

beforeAll(async () => {
  const bundle = await rolldown({ input: resolve(import.meta.dirname, 'file-writer.ts'), platform: 'node' });
  await bundle.write({ file: script, codeSplitting: false });
  await bundle.close();
});
afterAll(() => rm(folder, { recursive: true }));

// Elsewhere there is no /proc to tell by.
it.runIf(process.platform === 'linux')(
  'a process that was given the id of one that has ended is not taken for it',
  async () => {
    const other = (pid: number, started: string) =>
      newOwner().then((me) => me.replace(/^\d+-[\w.]+/, `${pid}-${started}`));
    expect(await isDead(await newOwner())).toBe(undefined);
    expect(await isDead(await other(process.ppid, '00000000.1'))).toBe(true);
    const started = /^\d+-([\w.]+)-/.exec(await newOwner())?.[1] ?? '';
    expect(started).toMatch(/^\w{8}\.\d+$/);
    expect(await isDead(await other(process.pid, started))).toBe(undefined);
    expect(await isDead(await other(2 ** 22 + 1, started))).toBe(true);
    expect(await isDead('not-a-name')).toBe(false);
  },
);

let next = 0;
async function newFile(): Promise<string> {
  const home = join(folder, `case ${next++}`);
  await mkdir(home);
  return join(home, 'offsets.json');
}

interface Writer {
  readonly name: string;
  readonly process: ChildProcess;
  /** How many lines it said. */
  said: number;
  last: string;
  onLine: (line: string) => void;
  /** Resolves once it has said a line more than now; rejects where it ends instead. */
  line(): Promise<void>;
  kill(): Promise<void>;
}

/** How many processes are killed: `KILLS=500 npx vitest run …` for a long run. */
const kills = Number(process.env.KILLS ?? 10);

const running = new Set<Writer>();
afterEach(async () => {
  await Promise.all(Array.from(running, (writer) => writer.kill()));
});

function start(task: string, path: string, name = 'orders', command = [process.execPath]): Writer {
  const [program = '', ...args] = command;
  const child = spawn(program, [...args, script, task, path, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const closed = once(lines, 'close');
  const ended = closed.then(() => Promise.reject(new Error(`${name} has ended`)));
  ended.catch(() => {}); // Where nobody waits for another line.
  const writer: Writer = {
    name,
    process: child,
    said: 0,
    last: '',
    onLine: () => {},
    line: async () => void (await Promise.race([once(lines, 'line'), ended])),
    kill: async () => {
      running.delete(writer);
      child.kill('SIGKILL');
      await closed; // All that it said has been read.
    },
  };
  lines.on('line', (line) => {
    writer.said++;
    writer.last = line;
    writer.onLine(line);
  });
  running.add(writer);
  return writer;
}

function batch(n: number, source = 'orders') {
  return new Map([[source, { epoch: 0, rank: n, offset: Offset.sequence(n), committedAt: n }]]);
}

/** All that was acknowledged is there, each commit by itself. */
async function expectNothingLost(path: string, name: string, said: number): Promise<void> {
  const stored = await new FileOffsetStore(path).getAll();
  expect(stored.get(name)?.rank ?? 0).toBeGreaterThanOrEqual(said);
  const missing = Array.from({ length: said }, (_, i) => `${name}/${i + 1}`).filter((source) => !stored.has(source));
  expect(missing).toEqual([]);
}

describe('a process killed at any instant', () => {
  it(
    'leaves a whole file that holds all that was acknowledged, and nothing that the next one does not clear away',
    { timeout: 60_000 },
    async () => {
      const path = await newFile();
      const enough = performance.now() + 4000;
      for (let round = 0; round < 5 || (round < 20 && performance.now() < enough); round++) {
        const writer = start('write', path, `round ${round}`);
        await writer.line();
        await delay(Math.random() * 20);
        await writer.kill();
        await expectNothingLost(path, writer.name, writer.said);
      }
      await new FileOffsetStore(path).commit(batch(1, 'the next'));
      expect(await readdir(join(path, '..'))).toEqual(['offsets.json']);
    },
  );

  it('keeps its lock for no longer than the next one needs to see that it is dead', async () => {
    const path = await newFile();
    const holder = start('hold', path);
    await holder.line();
    const store = new FileOffsetStore(path, { lockTimeoutMs: 60_000 });
    const commit = store.commit(batch(1));
    await holder.kill();
    const killed = performance.now();
    expect(await commit).toEqual(batch(1));
    expect(performance.now() - killed).toBeLessThan(5000);
    expect(await readdir(join(path, '..'))).toEqual(['offsets.json']);
  });
});

describe('several processes on one file', () => {
  it(
    'lose no commit of each other, while some of them are killed with the lock in hand',
    { timeout: 60_000 },
    async () => {
      const path = await newFile();
      const all: Writer[] = [];
      const add = (): void => void all.push(start('write', path, `writer ${all.length}`));
      const holder = start('hold', path);
      await holder.line();
      for (let i = 0; i < 3; i++) add();
      const waiting = async () => (await readdir(join(path, '..'))).filter((name) => name.endsWith('.tmp'));
      await expect.poll(waiting, { timeout: 20_000 }).toHaveLength(3);
      await holder.kill(); // All three find it dead at the same time.
      for (let kill = 0; kill < 5; kill++) {
        const newest = all.at(-1);
        if (newest?.said === 0) await newest.line();
        const [inHand] = await readdir(`${path}.lock`).catch(() => []);
        const victim = all.find(({ process: { pid } }) => inHand?.startsWith(`${pid}-`)) ?? newest;
        await victim?.kill();
        add();
      }
      await Promise.all(Array.from(running, (writer) => writer.line()));
      await Promise.all(Array.from(running, (writer) => writer.kill()));
      expect(all.length).toBe(8);
      for (const { name, said } of all) await expectNothingLost(path, name, said);
    },
  );

  it(
    'append, begin epochs and compact at the same time, and nothing that was acknowledged is lost or goes back, whoever is killed',
    { timeout: 120_000 + kills * 2000 },
    async () => {
      const path = await newFile();
      const reader = new FileOffsetStore(path);
      let seen = new Map<string, number>();
      const files = new Set<bigint>();
      /** Reads all there is: no source is behind what it was, nor behind what its writer was told. */
      const look = async (): Promise<void> => {
        const told = new Map(all.map(({ name, said }) => [name, said]));
        const shared = acknowledged;
        const fresh = Math.random() < 0.1 ? new FileOffsetStore(path) : reader;
        const now = new Map(Array.from(await fresh.getAll(), ([source, { rank }]) => [source, rank]));
        for (const [source, rank] of [...seen, ...told]) expect(now.get(source) ?? 0).toBeGreaterThanOrEqual(rank);
        expect(now.get('shared') ?? 0).toBeGreaterThanOrEqual(shared);
        seen = now;
        files.add((await stat(path, { bigint: true })).ino);
      };
      const all: Writer[] = [];
      let acknowledged = 0;
      const add = (): void => {
        const writer = start('race', path, `writer ${all.length}`);
        writer.onLine = (line) => (acknowledged = Math.max(acknowledged, Number(line.split(' ')[1])));
        all.push(writer);
      };
      for (let i = 0; i < 3; i++) add();
      await all[0]?.line();
      for (let kill = 0; kill < kills; kill++) {
        const enough = performance.now() + Math.random() * 150;
        while (performance.now() < enough) await look();
        // Now and then, whoever is compacting.
        const [inHand] = kill % 2 ? await readdir(`${path}.lock`).catch(() => []) : [];
        const victim = [...running].find(({ process: { pid } }) => inHand?.startsWith(`${pid}-`)) ?? [...running][0];
        if (victim?.said === 0) await victim.line();
        await victim?.kill();
        await look();
        add();
      }
      await Promise.all(Array.from(running, (writer) => writer.line()));
      // Until they have done what this is about, however busy the machine is.
      while (acknowledged <= 10 || files.size <= 1) await look();
      await Promise.all(Array.from(running, (writer) => writer.kill()));
      await look();
    },
  );

  it('never see the file missing while it is cleared', async () => {
    const path = await newFile();
    const writer = start('clear', path);
    while (writer.said < 2) await writer.line();
    let missing = 0;
    for (let i = 0; i < 20_000; i++) if (!existsSync(path)) missing++;
    expect(missing).toBe(0);
    const before = writer.said;
    await writer.line();
    expect(writer.said).toBeGreaterThan(before);
  });
});

describe('a lock that is held', () => {
  it('ends in a LockError that says by whom and what to do, and changes nothing', async () => {
    const path = await newFile();
    const holder = start('hold', path);
    await holder.line();
    const store = new FileOffsetStore(path, { lockTimeoutMs: 50 });
    const error: unknown = await store.commit(batch(1)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(LockError);
    expect(error).toMatchObject({
      message: expect.stringMatching(
        new RegExp(`within 50 ms: ${path}\\.lock is held by process ${holder.process.pid} `),
      ),
    });
    expect(await store.get('orders')).toBeUndefined();
    expect(await readdir(join(path, '..'))).toEqual(['offsets.json.lock']);
    await holder.kill();
    expect(await store.commit(batch(1))).toEqual(batch(1));
  });

  it('does not hold up a reader, nor a commit that moves nothing', async () => {
    const path = await newFile();
    const store = new FileOffsetStore(path, { lockTimeoutMs: 50 });
    await store.commit(batch(5));
    await start('hold', path).line();
    expect(await store.getAll()).toEqual(batch(5));
    expect(await store.commit(batch(4))).toEqual(batch(5));
  });

  it('by a process elsewhere passes on once it has stood unchanged, and that process cannot write over what came after', async () => {
    const path = await newFile();
    // Two threads of one process cannot tell whether the other is alive, as two hosts cannot.
    const slow = new FileLock(1000, 100);
    const draft = await slow.acquire(path);
    await expect(new FileLock(10, 100).acquire(path)).rejects.toBeInstanceOf(LockError);
    const quick = new FileLock(20_000, 100);
    const nextDraft = await quick.acquire(path);
    await expect(slow.publish(draft, path, (file) => file.writeFile('late'))).rejects.toBeInstanceOf(LockError);
    await slow.release(draft, path);
    await quick.publish(nextDraft, path, (file) => file.writeFile('in time'));
    expect(await readFile(path, 'utf8')).toBe('in time');
    expect(await readdir(join(path, '..'))).toEqual(['offsets.json']);
  });

  it('by nobody, since only what other programs have left lies in it, passes on once it is old, and nothing is lost', async () => {
    const path = await newFile();
    await mkdir(join(`${path}.lock`, 'a folder'), { recursive: true });
    await writeFile(join(`${path}.lock`, '.DS_Store'), '');
    await writeFile(join(`${path}.lock`, 'n'.repeat(255)), 'data');
    await expect(new FileLock(100, 60_000).acquire(path)).rejects.toThrow('held by somebody');
    const secondsAgo = Date.now() / 1000 - 8.1;
    await utimes(`${path}.lock`, secondsAgo, secondsAgo);
    await new FileOffsetStore(path, { lockTimeoutMs: 0 }).commit(batch(1));
    const left = await readdir(join(path, '..'));
    expect(left.filter((name) => !name.includes('.stray'))).toEqual(['offsets.json']);
    expect(left.filter((name) => name.includes('.stray'))).toHaveLength(3);
  });

  it('passes on at once where another program leaves something in it meanwhile', async () => {
    const path = await newFile();
    const lock = new FileLock(100);
    for (const end of ['publish', 'release'] as const) {
      const draft = await lock.acquire(path);
      await writeFile(join(`${path}.lock`, 'Thumbs.db'), '');
      if (end === 'publish') await lock.publish(draft, path, async () => {});
      else await lock.release(draft, path);
      await lock.release(await lock.acquire(path), path);
    }
  });

  it('by a process elsewhere passes on when it is old, though each waiter is a new process that waits for less', async () => {
    const path = await newFile();
    await mkdir(`${path}.lock`);
    await writeFile(join(`${path}.lock`, '17-1.2-otherhost.pid_1-abc'), '');
    const attempt = () => new FileOffsetStore(path, { lockTimeoutMs: 20 }).commit(batch(1));
    await expect(attempt()).rejects.toMatchObject({ name: 'LockError', retryable: true });
    const ago = (seconds: number) => Date.now() / 1000 - seconds;
    await utimes(`${path}.lock`, ago(6), ago(6));
    await expect(attempt()).rejects.toBeInstanceOf(LockError);
    await utimes(`${path}.lock`, ago(8.1), ago(8.1));
    expect(await attempt()).toEqual(batch(1));
  });

  it('is young when it is had, however long one has waited for it', async () => {
    const path = await newFile();
    const first = new FileLock(1000);
    const draft = await first.acquire(path);
    const second = new FileLock(60_000).acquire(path);
    const waiting = async () => (await readdir(join(path, '..'))).find((name) => name.endsWith('.tmp'));
    await expect.poll(waiting).toBeDefined();
    const aside = join(path, '..', (await waiting()) ?? '');
    const old = Date.now() / 1000 - 9;
    await utimes(aside, old, old);
    await expect.poll(async () => (await stat(aside)).mtimeMs).toBeGreaterThan(Date.now() - 5000);
    await first.release(draft, path);
    await second;
  });

  it('in name only, by a file of another program, is a LockError at once', async () => {
    const path = await newFile();
    await writeFile(`${path}.lock`, 'data');
    const error: unknown = await new FileOffsetStore(path).commit(batch(1)).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'LockError', message: expect.stringContaining('remove it') });
    expect(await readdir(join(path, '..'))).toEqual(['offsets.json.lock']);
  });

  it('that was given up by a process which died just then is free', async () => {
    const path = await newFile();
    await mkdir(`${path}.lock`);
    await new FileOffsetStore(path).commit(batch(1));
    expect(await readdir(join(path, '..'))).toEqual(['offsets.json']);
  });
});

it.for([91, 200, 220, 250, 255])('a file whose name has %i bytes is no worse than any other', async (length) => {
  const folderPath = join(await newFile(), '..');
  for (const name of ['x'.repeat(length), 'é'.repeat(length / 2), '😀'.repeat(length / 4)]) {
    const store = new FileOffsetStore(join(folderPath, name));
    await store.commit(batch(1));
    await store.clearAll();
    expect(await store.commit(batch(2))).toEqual(batch(2));
    expect(await readdir(folderPath)).toEqual([name]);
    await rm(join(folderPath, name));
  }
});

it('clears away what processes elsewhere left behind an hour ago, and nothing younger or of others', async () => {
  const path = await newFile();
  const [old, young] = ['1-1-elsewhere-aaa', '2-1-elsewhere-bbb'].map((owner) => `${path}.${owner}.tmp`);
  const others = `${path}.mine.tmp`;
  for (const left of [old, young, others]) await mkdir(left ?? '');
  const hoursAgo = Date.now() / 1000 - 7200;
  for (const left of [old, others]) await utimes(left ?? '', hoursAgo, hoursAgo);
  await new FileOffsetStore(path).commit(batch(1));
  expect(await readdir(join(path, '..'))).toEqual([
    'offsets.json',
    'offsets.json.2-1-elsewhere-bbb.tmp',
    'offsets.json.mine.tmp',
  ]);
});

it.skipIf(process.platform === 'win32')(
  'a process without a free descriptor gets a retryable StorageError',
  async () => {
    const path = await newFile();
    await new FileOffsetStore(path).commit(batch(5));
    const child = start('exhaust', path, 'orders', ['sh', '-c', 'ulimit -n 60; exec "$@"', 'sh', process.execPath]);
    await child.line();
    expect(JSON.parse(child.last)).toMatchObject({ error: { name: 'StorageError', retryable: true }, rank: 5 });
  },
);
