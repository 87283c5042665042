import { Buffer } from 'node:buffer';
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  rmdir,
  stat,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { LockError } from '../../errors.ts';
import { crc32 } from './checksum.ts';
import { codeOf, unless } from './failures.ts';
import { isDead, newOwner, pidOf } from './owner.ts';

/** After this long (ms) unchanged, a lock whose holder cannot be looked at, on another host say, counts as left behind. */
const defaultAbandonedAfterMs = 8_000;
const leftoverAfterMs = 3_600_000;
/** A holder and a waiter show at least this often that they live. */
const touchEveryMs = 1_000;

/** How {@link FileLock.acquire} waits. */
export interface AcquireOptions {
  /** How long, in ms; default: as the lock was made. */
  readonly timeoutMs?: number;
  /** Asked while it waits: where it answers true the lock is needed no longer, and nothing is acquired. */
  readonly isNeedless?: () => Promise<boolean>;
}

/**
 * An exclusive lock on a file, between processes, without any service but the file system.
 *
 * The lock of `offsets.json` is the folder `offsets.json.lock`, and its holder is the one file in it, named after the
 * process and this one acquisition. It is the holder's draft too: what is to be in `offsets.json` is written there, and
 * moving it into place publishes the content and releases the lock, in one step.
 *
 * - To acquire: make a folder with the draft aside and rename it to the lock's name, which fails unless that is free, that
 *   is, not there or empty. So the lock never stands without its holder's name.
 * - To break the lock of a dead holder: unlink its draft, by its name. Two waiters that do so cannot hit a third one's
 *   new lock, as they could by removing something that has the same name for every holder.
 * - A holder that was taken for dead and was not has lost its draft, and so cannot publish over what came after it.
 *   Finding out who is dead is therefore about waiting less, and no mistake in it loses a commit.
 * - Whether a holder that cannot be looked at still lives is told by the folder's time of change, which the holder renews:
 *   so it is known to a process that has only just started. Where clocks disagree, a waiter goes by its own.
 */
export class FileLock {
  readonly #timeoutMs: number;
  readonly #abandonedAfterMs: number;
  #swept = false;
  /** What was last seen in the folder, and since when. */
  #seen = { state: '', since: 0 };
  #touchedAt = 0;

  constructor(timeoutMs: number, abandonedAfterMs = defaultAbandonedAfterMs) {
    this.#timeoutMs = timeoutMs;
    this.#abandonedAfterMs = abandonedAfterMs;
  }

  /**
   * @returns the path of the draft: an empty file, to be written and then given to `publish` or `release`; undefined where
   * the lock was not needed any more
   * @throws LockError where it cannot be had in time
   */
  async acquire(
    target: string,
    options: AcquireOptions & { readonly isNeedless: () => Promise<boolean> },
  ): Promise<string | undefined>;
  async acquire(target: string, options?: AcquireOptions): Promise<string>;
  async acquire(target: string, options: AcquireOptions = {}): Promise<string | undefined> {
    const owner = await newOwner();
    const lock = join(dirname(target), `${shortName(target)}.lock`);
    const aside = join(dirname(target), `${shortName(target)}.${owner}.tmp`);
    let isTaken = false;
    try {
      await mkdir(aside);
      await writeFile(join(aside, owner), '', { flag: 'wx' });
      isTaken = await this.#wait(aside, lock, target, options);
    } finally {
      if (!isTaken) await rm(aside, { recursive: true, force: true }).catch(() => {});
    }
    if (!isTaken) return undefined;
    await this.#sweep(target);
    return join(lock, owner);
  }

  /** Shows that the holder lives, now and then: to be called while a draft is being filled. */
  async touch(draft: string): Promise<void> {
    if (performance.now() - this.#touchedAt < touchEveryMs) return;
    this.#touchedAt = performance.now();
    await utimes(dirname(draft), new Date(), new Date()).catch(() => {});
  }

  /**
   * Has the draft filled, from its end on, brings it to the disk, moves it into place and so releases the lock.
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
      await moveStrays(draft, target);
      await rename(draft, target);
    } catch (cause) {
      if (codeOf(cause) !== 'ENOENT') throw cause;
      // Where the whole folder has gone, that is what happened.
      await stat(dirname(target));
      throw new LockError(
        `${target} was not replaced: its lock was held for over ${this.#abandonedAfterMs} ms and taken away. Commit again`,
        { cause },
      );
    }
    // Whoever has taken the lock since is in it already, and it stays.
    await rmdir(dirname(draft)).catch(() => {});
    return filled;
  }

  /** Releases the lock with nothing published. */
  async release(draft: string, target: string): Promise<void> {
    await moveStrays(draft, target).catch(() => {});
    await unlink(draft).catch(() => {});
    await rmdir(dirname(draft)).catch(() => {});
  }

  async #wait(aside: string, lock: string, target: string, options: AcquireOptions): Promise<boolean> {
    const { timeoutMs = this.#timeoutMs, isNeedless } = options;
    const deadline = performance.now() + timeoutMs;
    this.#touchedAt = performance.now();
    for (let round = 0; !(await take(aside, lock)); round++) {
      const isLate = performance.now() > deadline;
      const names = (await readdir(lock).catch(unless('ENOENT'))) ?? [];
      const holder = names.find((name) => pidOf(name) !== undefined);
      if (await isNeedless?.()) return false;
      if (await this.#clear(lock, target, names, holder)) continue;
      if (isLate) throw refusal(target, lock, holder ?? names[0], timeoutMs);
      // Renewed, so that the lock is young when it is had.
      await this.touch(join(aside, 'draft'));
      if (names.length > 0) await delay(1 + Math.random() * Math.min(2 ** round, 40));
    }
    return true;
  }

  /** @returns whether something that stood in the way has been removed */
  async #clear(lock: string, target: string, names: readonly string[], holder: string | undefined): Promise<boolean> {
    if (names.length === 0) {
      // Just released. Not every platform renames onto an empty folder.
      await rmdir(lock).catch(() => {});
      return false;
    }
    const dead = holder === undefined ? undefined : await isDead(holder);
    if (dead !== true && (dead === false || !(await this.#isAbandoned(lock, names)))) return false;
    if (holder !== undefined) {
      await unlink(join(lock, holder)).catch(unless('ENOENT'));
      this.#swept = false;
    }
    for (const name of names) if (pidOf(name) === undefined) await moveAside(join(lock, name), target);
    return true;
  }

  async #isAbandoned(lock: string, names: readonly string[]): Promise<boolean> {
    const changedAt = (await stat(lock).catch(unless('ENOENT')))?.mtimeMs;
    if (changedAt === undefined) return false;
    const state = `${changedAt} ${names.join('/')}`;
    if (this.#seen.state !== state) this.#seen = { state, since: performance.now() };
    // A time that is far ahead was set by a clock that was wrong.
    const age = Math.abs(Date.now() - changedAt);
    return Math.max(age, performance.now() - this.#seen.since) > this.#abandonedAfterMs;
  }

  /** Removes what processes that died while they waited have left, once, and again after a death was noticed. */
  async #sweep(target: string): Promise<void> {
    if (this.#swept) return;
    this.#swept = true;
    const start = `${shortName(target)}.`;
    for (const name of await readdir(dirname(target)).catch(() => [])) {
      if (!name.startsWith(start) || !name.endsWith('.tmp')) continue;
      const owner = name.slice(start.length, -4);
      const path = join(dirname(target), name);
      const dead = (await isDead(owner)) ?? (await stat(path).then(isOld, () => false));
      if (dead) await rm(path, { recursive: true, force: true }).catch(() => {});
    }
  }
}

/** The file's own name, cut where a longer one beside it would be longer than file systems allow (255 bytes). */
function shortName(target: string): string {
  const name = basename(target);
  const bytes = Buffer.from(name);
  if (bytes.length <= 90) return name;
  // Two files that share a lock by chance wait for each other, and no more.
  const start = bytes.toString('utf8', 0, 60).replace(/\ufffd+$/, '');
  return `${start}~${crc32(bytes).toString(36)}`;
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

/** The holder of a lock knows that what lies beside its draft is nobody's: it would hold up the next one. */
async function moveStrays(draft: string, target: string): Promise<void> {
  const lock = dirname(draft);
  for (const name of (await readdir(lock).catch(unless('ENOENT'))) ?? []) {
    // Where the lock was taken from us, another's draft is in it.
    if (pidOf(name) === undefined) await moveAside(join(lock, name), target);
  }
}

/** Moves what some other program has left in a lock beside the file: it may be worth something to somebody. */
async function moveAside(stray: string, target: string): Promise<void> {
  const start = join(dirname(target), `${shortName(target)}.${Math.random().toString(36).slice(2, 8)}.stray`);
  await rename(stray, `${start}-${basename(stray)}`)
    .catch((error) => (codeOf(error) === 'ENAMETOOLONG' ? rename(stray, start) : Promise.reject(error)))
    .catch(unless('ENOENT'));
}

function refusal(target: string, lock: string, holder: string | undefined, ms: number): LockError {
  const pid = holder === undefined ? undefined : pidOf(holder);
  const who = pid === undefined ? 'somebody' : `process ${pid}`;
  return new LockError(
    `${target} could not be locked within ${ms} ms: ${lock} is held by ${who} (${holder ?? 'changing'}). ` +
      'Commit again later; if that process hangs, end it, and if there is none, remove that folder',
  );
}

function isOld({ mtimeMs }: { readonly mtimeMs: number }): boolean {
  return Date.now() - mtimeMs > leftoverAfterMs;
}
