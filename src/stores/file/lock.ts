import {
  type FileHandle,
  mkdir,
  open,
  readFile,
  readdir,
  readlink,
  rename,
  rm,
  rmdir,
  stat,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { LockError } from '../../errors.ts';

/** After this long (ms) unchanged, a lock whose holder cannot be looked at, on another host say, counts as left behind. */
const defaultAbandonedAfterMs = 8_000;
const leftoverAfterMs = 3_600_000;

/**
 * An exclusive lock on a file, between processes, without any service but the file system.
 *
 * The lock of `offsets.json` is the folder `offsets.json.lock`, and its holder is the one file in it, named after the
 * process and this one acquisition. It is the holder's draft too: what is to be in `offsets.json` is written there, and
 * moving it into place publishes the content and gives the lock up, in one step.
 *
 * - To acquire: make a folder with the draft aside and rename it to the lock's name, which fails unless that is free, that
 *   is, not there or empty. So the lock never stands without its holder's name.
 * - To break the lock of a dead holder: unlink its draft, by its name. Two waiters that do so cannot hit a third one's
 *   new lock, as they could by removing something that has the same name for every holder.
 * - A holder that was taken for dead and was not has lost its draft, and so cannot publish over what came after it.
 *   Finding out who is dead is therefore about waiting less, and no mistake in it loses a commit.
 */
export class FileLock {
  readonly #timeoutMs: number;
  readonly #abandonedAfterMs: number;
  #swept = false;
  /** The holder last seen, and since when: clocks of two hosts are not compared. */
  #seen = { holder: '', since: 0 };

  constructor(timeoutMs: number, abandonedAfterMs = defaultAbandonedAfterMs) {
    this.#timeoutMs = timeoutMs;
    this.#abandonedAfterMs = abandonedAfterMs;
  }

  /**
   * @returns the path of the draft: an empty file, to be written and then given to `publish` or `release`
   * @throws LockError where it cannot be had in time
   */
  async acquire(target: string): Promise<string> {
    const owner = `${await whoAmI()}-${Math.random().toString(36).slice(2, 12)}`;
    const aside = `${target}.${owner}.tmp`;
    const lock = `${target}.lock`;
    const deadline = performance.now() + this.#timeoutMs;
    try {
      await mkdir(aside);
      await writeFile(join(aside, owner), '', { flag: 'wx' });
      for (let round = 0; !(await take(aside, lock)); round++) {
        const holder = await holderOf(lock);
        const late = performance.now() > deadline;
        if (holder !== undefined && (await this.#isDead(holder))) {
          await unlink(join(lock, holder)).catch(unless('ENOENT'));
          this.#swept = false;
        } else if (late) {
          throw refusal(target, lock, holder, this.#timeoutMs);
        } else if (holder === undefined) {
          // Just given up. Not every platform renames onto an empty folder.
          await rmdir(lock).catch(() => {});
        } else {
          await delay(1 + Math.random() * Math.min(2 ** round, 40));
        }
      }
    } catch (error) {
      await rm(aside, { recursive: true, force: true }).catch(() => {});
      throw error;
    }
    await this.#sweep(target);
    return join(lock, owner);
  }

  /**
   * Has the draft filled, brings it to the disk, moves it into place and so gives the lock up.
   * @throws LockError where the lock was taken from us meanwhile
   */
  async publish<T>(draft: string, target: string, fill: (file: FileHandle) => Promise<T>): Promise<T> {
    let filled: T;
    try {
      const file = await open(draft, 'r+');
      try {
        filled = await fill(file);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, target);
    } catch (cause) {
      if (codeOf(cause) !== 'ENOENT') throw cause;
      throw new LockError(
        `nothing was written to ${target}: its lock was held for over ${this.#abandonedAfterMs} ms and taken away. Commit again`,
        { cause },
      );
    }
    // Whoever has taken the lock since is in it already, and it stays.
    await rmdir(dirname(draft)).catch(() => {});
    return filled;
  }

  /** Gives the lock up with nothing published. */
  async release(draft: string): Promise<void> {
    await unlink(draft).catch(() => {});
    await rmdir(dirname(draft)).catch(() => {});
  }

  async #isDead(holder: string): Promise<boolean> {
    const dead = await isDead(holder);
    if (dead !== undefined) return dead;
    if (this.#seen.holder !== holder) this.#seen = { holder, since: performance.now() };
    return performance.now() - this.#seen.since > this.#abandonedAfterMs;
  }

  /** Removes what processes that died while they waited have left, once, and again after a death was noticed. */
  async #sweep(target: string): Promise<void> {
    if (this.#swept) return;
    this.#swept = true;
    const start = `${basename(target)}.`;
    for (const name of await readdir(dirname(target)).catch(() => [])) {
      if (!name.startsWith(start) || !name.endsWith('.tmp')) continue;
      const owner = name.slice(start.length, -4);
      const path = join(dirname(target), name);
      const dead = (await isDead(owner)) ?? (await stat(path).then(isOld, () => false));
      if (dead) await rm(path, { recursive: true, force: true }).catch(() => {});
    }
  }
}

/** What the system said, as in 'ENOENT'. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

async function take(aside: string, lock: string): Promise<boolean> {
  try {
    await rename(aside, lock);
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOTDIR') {
      throw new LockError(`${lock} is no lock of this library: remove it, or choose another path`, { cause: error });
    }
    const held = code === 'ENOTEMPTY' || code === 'EEXIST';
    if (held || (process.platform === 'win32' && (code === 'EPERM' || code === 'EACCES' || code === 'EBUSY')))
      return false;
    throw error;
  }
}

async function holderOf(lock: string): Promise<string | undefined> {
  const [holder] = (await readdir(lock).catch(unless('ENOENT'))) ?? [];
  return holder;
}

function refusal(target: string, lock: string, holder: string | undefined, ms: number): LockError {
  const pid = holder === undefined ? undefined : ownerPattern.exec(holder)?.[1];
  const who = pid === undefined ? 'somebody' : `process ${pid}`;
  return new LockError(
    `${target} could not be locked within ${ms} ms: ${lock} is held by ${who} (${holder ?? 'changing'}). ` +
      'Commit again later; if that process hangs, end it, and if there is none, remove that folder',
  );
}

const ownerPattern = /^(\d+)-([\w.]*)-([\w.]*)-\w+$/;

/** Whether the process that a name stands for has ended; undefined where that cannot be told from here. */
async function isDead(owner: string): Promise<boolean | undefined> {
  const match = ownerPattern.exec(owner);
  // Not one of ours, and not ours to remove.
  if (!match) return false;
  const [, pid = '', started = '', host] = match;
  if (host === '' || host !== (await hostId())) return undefined;
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return true;
    if (codeOf(error) !== 'EPERM') return undefined;
  }
  const startedNow = await startOf(pid);
  if (startedNow === undefined || started === '') return undefined;
  if (startedNow !== started) return true;
  // Another thread of this process may have been ended in the middle.
  return Number(pid) === process.pid ? undefined : false;
}

let me: Promise<string> | undefined;

function whoAmI(): Promise<string> {
  return (me ??= (async () => `${process.pid}-${(await startOf('self')) ?? ''}-${await hostId()}`)());
}

let host: Promise<string> | undefined;

/** Names what process ids are unique in: a host and, on Linux, a container on it. */
function hostId(): Promise<string> {
  return (host ??= (async () => {
    const space = await readlink('/proc/self/ns/pid').catch(() => '');
    let name = '';
    try {
      name = hostname();
    } catch {
      // Deno, without --allow-sys.
    }
    return name && `${name.slice(0, 64)}.${space}`.replace(/[^\w.]+/g, '_');
  })());
}

/**
 * When a process started, so that another which was given the same id later is not taken for it; 'ended' for one that
 * only waits to be reaped; undefined where there is no /proc.
 */
async function startOf(pid: string): Promise<string | undefined> {
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'latin1');
    const text = await readFile(`/proc/${pid}/stat`, 'latin1');
    // The second field, the program's name, may hold spaces and parentheses: see proc_pid_stat(5).
    const [state = '', ...fields] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return /[ZX]/.test(state) ? 'ended' : `${boot.slice(0, 8)}.${fields[18]}`;
  } catch {
    return undefined;
  }
}

function isOld({ mtimeMs }: { readonly mtimeMs: number }): boolean {
  return Date.now() - mtimeMs > leftoverAfterMs;
}

function unless(code: string): (error: unknown) => undefined {
  return (error) => {
    if (codeOf(error) !== code) throw error;
    return undefined;
  };
}
