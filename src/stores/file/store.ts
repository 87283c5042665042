import type { BigIntStats } from 'node:fs';
import { type FileHandle, mkdir, open, readlink, realpath, stat, utimes } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { type Checkpoint, join as joinCheckpoints } from '../../checkpoint.ts';
import { StorageError } from '../../errors.ts';
import type { Batch, OffsetStore, StoreOptions } from '../../store.ts';
import { type Entry, formatFile, parseFile, readEntry, toEntry } from './format.ts';
import { FileLock, codeOf } from './lock.ts';

/** Options of a {@link FileOffsetStore}. */
export interface FileOffsetStoreOptions extends StoreOptions {
  /** How long a commit waits, in ms, for other processes that write the same file; default 10,000. */
  readonly lockTimeoutMs?: number;
}

/**
 * Keeps checkpoints in one file, in Node, Deno and Bun.
 *
 * A commit reads what is stored, joins, writes the whole aside, brings it to the disk (fsync), and renames it into place:
 * a crash at any instant leaves the old file or the new one, whole. That happens under a lock between processes, the folder
 * `<path>.lock`, so that no process overwrites what another has committed. A reader needs no lock, and a `get` of a file
 * that has not changed costs one `stat`. A commit that moves nothing writes nothing.
 *
 * It also reads the JSON file of the Rust crate `streamweave-offset`, timestamps cut down to milliseconds, and writes it in
 * its own format at the first commit that moves something; the crate cannot read it from then on.
 *
 * The folder is made if it is missing. A symbolic link stays, and the file that it leads to is replaced; its mode is kept.
 */
export class FileOffsetStore implements OffsetStore {
  readonly capabilities = {
    durability: 'durable',
    transactional: false,
    consistency: 'strong',
    shared: 'processes',
  } as const;
  /** `file:` and the absolute path. */
  readonly id: string;
  readonly compare: StoreOptions['compare'];
  readonly #path: string;
  readonly #where: string;
  readonly #lock: FileLock;
  /** What was last read or written. */
  #known: Snapshot | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  /** @param path of the file, absolute or from the current folder, or a `file:` URL; it need not exist */
  constructor(path: string | URL, options: FileOffsetStoreOptions = {}) {
    this.#path = resolve(path instanceof URL ? fileURLToPath(path) : path);
    this.#where = `the file ${this.#path}`;
    this.id = `file:${this.#path}`;
    this.compare = options.compare;
    this.#lock = new FileLock(options.lockTimeoutMs ?? 10_000);
  }

  /**
   * @throws SerializationError where the file, or what it holds for the source, cannot be read; it is left untouched
   * @throws StorageError where the file cannot be reached
   */
  async get(source: string): Promise<Checkpoint | undefined> {
    const { entries } = await this.#io('read', () => this.#load());
    return this.#read(entries, source);
  }

  /**
   * @throws SerializationError where the file, or what it holds for any source, cannot be read; it is left untouched
   * @throws StorageError where the file cannot be reached
   */
  async getAll(): Promise<Map<string, Checkpoint>> {
    const { entries } = await this.#io('read', () => this.#load());
    return new Map(Array.from(entries, ([source, entry]) => [source, readEntry(entry, source, this.#where)]));
  }

  /**
   * Joins the batch into the file and resolves once it is on the disk, in one write for all of it. What is stored for other
   * sources stays as it is, even where it cannot be read.
   * @throws SerializationError where the file, or what it holds for a source of the batch, cannot be read
   * @throws StorageError where the file cannot be written: the disk is full, the folder read-only
   * @throws LockError where another process holds the lock for longer than `lockTimeoutMs`, or took it over since this one
   * had stood still for 8 s, as only another host or container may; nothing is written then, and it can be tried again
   */
  async commit(batch: Batch): Promise<Map<string, Checkpoint>> {
    const incoming = new Map(batch);
    if (incoming.size === 0) return incoming;
    return this.#inTurn(async () => {
      const before = await this.#load();
      const peek = this.#join(before.entries, incoming);
      if (peek.moved.size === 0) {
        await this.#settle(before);
        return peek.stands;
      }
      if (before.version === undefined) await makeFolder(dirname(this.#path));
      return this.#locked(async (rewrite) => {
        const current = await this.#load();
        const { stands, moved } = this.#join(current.entries, incoming);
        if (moved.size === 0) await this.#settle(current);
        else await rewrite(new Map([...current.entries, ...moved]));
        return stands;
      });
    });
  }

  /**
   * Writes an empty store, also over a file that cannot be read.
   * @throws StorageError where the file cannot be written; LockError as `commit`
   */
  async clearAll(): Promise<void> {
    await this.#inTurn(async () => {
      if (await statFile(this.#path)) await this.#locked((rewrite) => rewrite(new Map()));
    });
  }

  /** Waits for commits under way. */
  async close(): Promise<void> {
    await this.#turn;
  }

  #read(entries: Snapshot['entries'], source: string): Checkpoint | undefined {
    const entry = entries.get(source);
    return entry && readEntry(entry, source, this.#where);
  }

  #join(entries: Snapshot['entries'], incoming: Batch): { stands: Map<string, Checkpoint>; moved: Map<string, Entry> } {
    const stands = new Map<string, Checkpoint>();
    const moved = new Map<string, Entry>();
    for (const [source, checkpoint] of incoming) {
      const stored = this.#read(entries, source);
      const later = joinCheckpoints(stored, checkpoint, source, this.compare);
      stands.set(source, later);
      if (later !== stored) moved.set(source, toEntry(later));
    }
    return { stands, moved };
  }

  async #load(): Promise<Snapshot> {
    const found = await statFile(this.#path);
    if (!found) return { version: undefined, entries: new Map(), settled: false };
    const known = this.#known;
    if (known?.version !== undefined && known.version === versionOf(found)) return known;
    const file = await open(this.#path, 'r');
    try {
      const opened = await file.stat({ bigint: true });
      const entries = parseFile(await file.readFile(), this.#where, Number(opened.mtimeNs / 1_000_000n));
      return (this.#known = { version: versionOf(opened), entries, settled: false });
    } finally {
      await file.close();
    }
  }

  /** Runs `work` while no other process writes; `rewrite` replaces the file, once. */
  async #locked<T>(work: (rewrite: (entries: Snapshot['entries']) => Promise<void>) => Promise<T>): Promise<T> {
    const target = await followLinks(this.#path);
    const draft = await this.#lock.acquire(target);
    let published = false;
    try {
      return await work(async (entries) => {
        const was = await statFile(target);
        const version = await this.#lock.publish(draft, target, async (file) => {
          if (was) await keepMode(file, was);
          await file.writeFile(formatFile(entries));
          return versionOf(await laterThan(was, file, draft));
        });
        published = true;
        this.#known = { version, entries, settled: false };
        await this.#settle(this.#known);
      });
    } finally {
      if (!published) await this.#lock.release(draft);
    }
  }

  /** Makes sure that the file which was read is there after a power cut: its writer may have died before it had done so. */
  async #settle(snapshot: Snapshot): Promise<void> {
    if (snapshot.settled) return;
    await syncFolder(dirname(await followLinks(this.#path)));
    snapshot.settled = true;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => this.#io('write', work));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #io<T>(doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      const code = codeOf(cause);
      if (!(cause instanceof Error) || code === undefined || !/^E[A-Z0-9_]+$/.test(code)) throw cause;
      throw new StorageError(`could not ${doing} ${this.#where}: ${cause.message}${advice[code] ?? ''}`, {
        cause,
        retryable: transient.has(code),
      });
    }
  }
}

interface Snapshot {
  /** The same for the same content; undefined where the file is missing, or where its time of change is too coarse to tell. */
  readonly version: string | undefined;
  readonly entries: ReadonlyMap<string, Entry>;
  /** Whether the folder's entry of this file is known to be on the disk. */
  settled: boolean;
}

const transient: ReadonlySet<string> = new Set(['EAGAIN', 'EBUSY', 'EINTR', 'EMFILE', 'ENFILE', 'ETIMEDOUT']);

const advice: Readonly<Record<string, string>> = {
  ENOSPC: '. Nothing was lost; make room on the disk',
  EDQUOT: '. Nothing was lost; make room on the disk',
  EACCES: '. Let this user write the file and its folder',
  EPERM: '. Let this user write the file and its folder',
  EROFS: '. Choose a path that can be written',
  ENOTDIR: '. Choose a path whose parent is a folder',
};

/** @returns undefined where there is no such file */
async function statFile(path: string): Promise<BigIntStats | undefined> {
  let found: BigIntStats;
  try {
    found = await stat(path, { bigint: true });
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  // Renaming onto a device would replace it.
  if (!found.isFile()) throw new StorageError(`${path} is not a file: choose another path`);
  return found;
}

/** A time in whole seconds is taken for a file system that knows no finer one: two commits may share it. */
function versionOf({ dev, ino, size, mtimeNs }: BigIntStats): string | undefined {
  return mtimeNs % 1_000_000_000n === 0n ? undefined : `${dev} ${ino} ${size} ${mtimeNs}`;
}

/** Best effort: a file system without owners and modes refuses. */
async function keepMode(file: FileHandle, { uid, gid, mode }: BigIntStats): Promise<void> {
  if (Number(uid) !== process.geteuid?.()) await file.chown(Number(uid), Number(gid)).catch(() => {});
  await file.chmod(Number(mode) & 0o7777).catch(() => {});
}

/**
 * Readers tell versions apart by the time of change, and the clock of a file system ticks slowly: within one tick a third
 * version may even get the inode of the first. So each gets a later time than the one before.
 */
async function laterThan(was: BigIntStats | undefined, file: FileHandle, path: string): Promise<BigIntStats> {
  let is = await file.stat({ bigint: true });
  const before = was?.mtimeNs ?? 0n;
  for (let step = 2; is.mtimeNs <= before && step < 1e6; step *= 16) {
    const seconds = Number(before / 1000n + BigInt(step)) / 1e6;
    await utimes(path, seconds, seconds);
    is = await file.stat({ bigint: true });
  }
  return is;
}

/** The file that a path leads to, which need not exist. */
async function followLinks(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
  const link = await readlink(path).catch(() => undefined);
  if (link === undefined) return path;
  // Not normalised: `..` after a link to a folder is for the system to resolve.
  return followLinks(isAbsolute(link) ? link : `${dirname(path)}/${link}`);
}

async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** Brings a folder's entries to the disk, where the platform can: Windows and some file systems cannot, and need not. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!['EISDIR', 'EPERM', 'EACCES', 'EINVAL', 'ENOTSUP', 'ENOSYS'].includes(codeOf(error) ?? '')) throw error;
  }
}
