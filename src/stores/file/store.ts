import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Checkpoint, beginEpoch, isCheckpoint, join } from '../../checkpoint.ts';
import { SerializationError, quote } from '../../errors.ts';
import type { Offset } from '../../offset.ts';
import type { Batch, OffsetStore, StoreOptions } from '../../store.ts';
import type { Contents } from './contents.ts';
import { explain } from './failures.ts';
import { JournalFile, type Plan } from './file.ts';
import { type Piece, formatBegin, formatCheckpoint, randomId } from './journal.ts';
import { FileLock } from './lock.ts';

/** Options of a {@link FileOffsetStore}. */
export interface FileOffsetStoreOptions extends StoreOptions {
  /**
   * How long, in ms, a commit waits for another process that makes or replaces the same file; default 10,000. Most commits
   * wait for nobody.
   */
  readonly lockTimeoutMs?: number;
}

/**
 * Keeps checkpoints in one file, in Node, Deno and Bun.
 *
 * The file is a journal: a commit appends a line a source, brings it to the disk (fdatasync), and costs the same however
 * many sources there are. Any number of processes append at the same time, without a lock, since checkpoints join. A
 * process that is killed at any instant leaves a line that counts or one that does not. A file that has grown to more than twice
 * what it holds is replaced by a short one, beside commits that go on; the folder `<path>.lock` is there meanwhile.
 *
 * It also reads its first format and the JSON file of the Rust crate `streamweave-offset`, timestamps cut down to
 * milliseconds. The first commit that moves something makes a journal of it, which the crate cannot read.
 *
 * The folder is made if it is missing. A symbolic link stays, and the file that it leads to is replaced; its mode is kept.
 *
 * @example
 * const tracker = new OffsetTracker(new FileOffsetStore('state/offsets.journal'));
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
  readonly #where: string;
  readonly #file: JournalFile;
  #turn: Promise<unknown> = Promise.resolve();

  /** @param path of the file, absolute or from the current folder, or a `file:` URL; it need not exist */
  constructor(path: string | URL, options: FileOffsetStoreOptions = {}) {
    if (typeof path !== 'string' && !(path instanceof URL)) {
      throw new TypeError(`${quote(path)} is no path: give a string or a file URL`);
    }
    const absolute = resolve(path instanceof URL ? fileURLToPath(path) : path);
    this.#where = `the file ${absolute}`;
    this.id = `file:${absolute}`;
    this.compare = options.compare;
    const lock = new FileLock(options.lockTimeoutMs ?? 10_000);
    const terms = { where: this.#where, compare: this.compare };
    this.#file = new JournalFile(absolute, terms, lock, (work) => this.#inTurn(work));
  }

  /**
   * @throws SerializationError where the file, or what it holds for the source, cannot be read; it is left untouched
   * @throws StorageError where the file cannot be reached
   */
  async get(source: string): Promise<Checkpoint | undefined> {
    return this.#io('read', async () => (await this.#file.read())?.contents.get(source));
  }

  /**
   * @throws SerializationError where the file, or what it holds for any source, cannot be read; it is left untouched
   * @throws StorageError where the file cannot be reached
   */
  async getAll(): Promise<Map<string, Checkpoint>> {
    const contents = (await this.#io('read', () => this.#file.read()))?.contents;
    const all = new Map<string, Checkpoint>();
    for (const source of contents?.sources() ?? []) {
      const checkpoint = contents?.get(source);
      if (checkpoint) all.set(source, checkpoint);
    }
    return all;
  }

  /**
   * Joins the batch into the file, in one write for all of it, and resolves once it is on the disk, with what stands then. What
   * is stored for other sources stays as it is, even where it cannot be read. A batch that moves nothing writes nothing.
   * @throws SerializationError where the file, or what it holds for a source of the batch, cannot be read
   * @throws StorageError where the file cannot be written: the disk is full, the folder read-only
   * @throws LockError where the file has to be made or replaced, and another process holds its lock for longer than
   * `lockTimeoutMs`; nothing is written then, and it can be tried again
   */
  async commit(batch: Batch): Promise<Map<string, Checkpoint>> {
    const incoming = new Map(Array.from(batch, ([source, checkpoint]) => [source, { ...checkpoint }]));
    for (const [source, checkpoint] of incoming) {
      if (isCheckpoint(checkpoint)) continue;
      throw new SerializationError(
        `nothing is written to ${this.#where}: ${quote(checkpoint)}, which was given for ${quote(source)}, is no checkpoint`,
        { source },
      );
    }
    if (incoming.size === 0) return incoming;
    return this.#inTurn(() => this.#file.append((contents) => this.#planCommit(contents, incoming)));
  }

  /**
   * Begins an epoch, atomically between processes.
   *
   * Two lines may be appended between what this process has read and the line that it appends. So the line says what is to
   * be done rather than what stands, and the order of the lines in the file, which is the same for all who read it, decides:
   *
   * - A commit that comes before a fence in the file was answered that it stands in the old epoch. The fence is read as "a new
   *   epoch at the place that the lines before it have brought the source to", and so carries it over, though its writer
   *   had not seen it, and though that writer may be killed at this very moment. Writing the fence once more, at the right
   *   place, would leave a gap between the two lines in which the place has gone back.
   * - A commit that comes after it is of a lower epoch, and its writer reads that back.
   * - Of two that begin at once, the line that comes first counts. The second counts too where its epoch is higher; where
   *   it is not, its writer reads that back, since the line has a name that nobody else's has, and begins upon what it now
   *   knows. So no two calls ever answer with the same epoch.
   *
   * There is no lock to wait for, and nothing to clean up after a process that dies.
   * @throws as `commit`
   */
  async begin(source: string, at?: { readonly offset?: Offset | undefined }): Promise<Checkpoint> {
    return this.#inTurn(() => this.#file.append((contents) => planBegin(contents, source, at)));
  }

  /**
   * Makes the store empty, also where the file cannot be read. A missing file stays missing.
   * @throws StorageError where the file cannot be written; LockError as `commit`
   */
  async clearAll(): Promise<void> {
    await this.#inTurn(() => this.#file.clear());
  }

  /** Waits for what is under way. No file stays open between calls that do not follow each other at once. */
  async close(): Promise<void> {
    await this.#turn;
    await this.#file.close();
  }

  #planCommit(contents: Contents, incoming: Batch): Plan<Map<string, Checkpoint>> {
    const pieces: Piece[] = [];
    for (const [source, checkpoint] of incoming) {
      const stored = contents.get(source);
      const later = join(stored, checkpoint, source, this.compare);
      if (later !== stored) pieces.push(formatCheckpoint(source, later));
    }
    const result = (now: Contents): Map<string, Checkpoint> | undefined => {
      const stands = new Map<string, Checkpoint>();
      for (const [source, checkpoint] of incoming) {
        const stored = now.get(source);
        if (stored === undefined || join(stored, checkpoint, source, this.compare) !== stored) return undefined;
        stands.set(source, stored);
      }
      return stands;
    };
    return { pieces, result };
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
      throw explain(cause, doing, this.#where);
    }
  }
}

function planBegin(
  contents: Contents,
  source: string,
  at?: { readonly offset?: Offset | undefined },
): Plan<Checkpoint> {
  const by = randomId();
  contents.expectBegin(by);
  const begun = beginEpoch(contents.get(source), at);
  return {
    pieces: [formatBegin(at ? 'begin' : 'fence', by, source, begun)],
    result: (now) => {
      now.get(source);
      return now.begun;
    },
  };
}
