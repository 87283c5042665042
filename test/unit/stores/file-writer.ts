// What the tests of the file store run in processes of their own: `node file-writer.mjs <task> <path> <name>`.
import { openSync, closeSync, writeSync } from 'node:fs';
import { Offset } from '../../../src/offset.ts';
import { FileLock } from '../../../src/stores/file/lock.ts';
import { FileOffsetStore } from '../../../src/stores/file/store.ts';

const [task, path = '', name = ''] = process.argv.slice(2);
const store = new FileOffsetStore(path, { lockTimeoutMs: 60_000 });

/** Unbuffered: what was said before a SIGKILL has been said. */
function say(text: string): void {
  try {
    writeSync(1, `${text}\n`);
  } catch (error) {
    // The pipe is full: the other end is busy.
    if (!String(error).includes('EAGAIN')) throw error;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    say(text);
  }
}

/** Commits a source of its own each time, so that a commit which somebody overwrote stays missing. */
async function writeForever(): Promise<never> {
  for (let n = 1; ; n++) {
    const offset = Offset.sequence(n);
    await store.commit(
      new Map([
        [name, { epoch: 0, rank: n, offset, committedAt: n }],
        [`${name}/${n}`, { epoch: 0, rank: n, offset, committedAt: n }],
      ]),
    );
    say(String(n));
  }
}

/** Moves a source of its own, with so much text that the file is soon compacted, and one that all share and fence in turn. */
async function race(): Promise<never> {
  const filler = 'x'.repeat(3000);
  for (let n = 1; ; n++) {
    const offset = Offset.custom(`${n} ${filler}`);
    const shared = (n % 5 === 0 ? await store.begin('shared') : await store.get('shared')) ?? {
      epoch: 0,
      rank: 0,
      offset: Offset.sequence(0),
      committedAt: 0,
    };
    const rank = shared.rank + 1;
    const stands = await store.commit(
      new Map([
        [name, { epoch: 0, rank: n, offset, committedAt: n }],
        ['shared', { epoch: shared.epoch, rank, offset: Offset.sequence(rank), committedAt: n }],
      ]),
    );
    // A fence that came first refuses it.
    say(`${n} ${stands.get('shared')?.epoch === shared.epoch ? rank : 0}`);
  }
}

async function holdTheLock(): Promise<void> {
  await new FileLock(60_000).acquire(path);
  say('held');
  setInterval(() => {}, 60_000);
}

async function clearForever(): Promise<never> {
  for (let n = 1; ; n++) {
    await store.commit(new Map([[name, { epoch: 0, rank: n, offset: Offset.sequence(n), committedAt: n }]]));
    await store.clearAll();
    say(String(n));
  }
}

/** Uses up the file descriptors, reads, gives them back, and reads again. */
async function runOutOfDescriptors(): Promise<void> {
  const taken: number[] = [];
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  } catch {
    // All are taken.
  }
  const error: unknown = await store.get(name).catch((reason: unknown) => reason);
  for (const descriptor of taken) closeSync(descriptor);
  const later = await store.get(name);
  say(JSON.stringify({ error, rank: later?.rank }));
}

const tasks: Record<string, () => Promise<void>> = {
  write: writeForever,
  race,
  hold: holdTheLock,
  clear: clearForever,
  exhaust: runOutOfDescriptors,
};
await tasks[task ?? '']?.();
