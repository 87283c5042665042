import { dirname } from 'node:path';
import { SerializationError, StorageError } from '../../errors.ts';
import { Compaction } from './compaction.ts';
import { Contents } from './contents.ts';
import { keepMode, seal, writeHeader, writeSources } from './draft.ts';
import { codeOf } from './failures.ts';
import { followLinks, makeFolder, statFile, syncFolder } from './folder.ts';
import { type Piece, formatWrite, randomId } from './journal.ts';
import { KeptFile, type OpenLog } from './kept.ts';
import type { FileLock } from './lock.ts';
import { Log, type OpenFile, type Terms, checkFile, openFile, readLog } from './log.ts';

/** What is to be written, upon what is stored. */
export interface Plan<T> {
  /** Lines; none where nothing moves. */
  readonly pieces: readonly Piece[];
  /** @returns what came of it once the lines were read back; undefined where they have to be planned and written again */
  readonly result: (contents: Contents) => T | undefined;
}

const maxAttempts = 100;
const refusals: ReadonlySet<string | undefined> = new Set(['EACCES', 'EPERM', 'EROFS']);

/**
 * A file that holds a journal, or is to hold one. Reading needs no turn; `append`, `clear` and what compaction does at its
 * end are called one after another.
 */
export class JournalFile {
  readonly #path: string;
  readonly #terms: Terms;
  readonly #lock: FileLock;
  readonly #compaction: Compaction;
  readonly #kept = new KeptFile();
  #known: Log | undefined;
  /**
   * Whether bringing something to the disk has failed. What is in memory may then never get there, though the system
   * says that it did: the whole is to be written anew.
   */
  #isUnsure = false;

  /** @param inTurn runs something when no other call does */
  constructor(path: string, terms: Terms, lock: FileLock, inTurn: (work: () => Promise<void>) => Promise<void>) {
    this.#path = path;
    this.#terms = terms;
    this.#lock = lock;
    this.#compaction = new Compaction(lock, inTurn, terms);
  }

  /** All that is stored now; undefined where there is no file. */
  async read(): Promise<Log | undefined> {
    const stats = await statFile(this.#path);
    if (stats === undefined) return (this.#known = undefined);
    checkFile(this.#path, stats);
    if (this.#known?.isUnchanged(stats)) return this.#known;
    const opened = await openFile(this.#path, 'read');
    return opened && this.#closing(opened, () => this.#readFrom(opened));
  }

  /**
   * Appends what a plan says, and resolves once it and all that it was built upon is on the disk.
   * @param plan asked again where others were in the way
   */
  async append<T>(plan: (contents: Contents) => Plan<T>): Promise<T> {
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const done = (await this.#appendOnce(plan)) ?? (await this.#replace(plan));
      if (done !== 'again') return done.value;
    }
    throw new StorageError(`${this.#terms.where} changes all the time under a commit: commit again`, {
      retryable: true,
    });
  }

  /** Makes an empty journal of the file, whatever it holds. */
  async clear(): Promise<void> {
    const stats = await statFile(this.#path);
    if (stats === undefined) return;
    checkFile(this.#path, stats);
    const target = await followLinks(this.#path);
    await this.#compaction.cancel();
    await this.#kept.close();
    const draft = await this.#lock.acquire(target);
    let isPublished = false;
    try {
      await this.#sealWhatIsThere(target);
      this.#known = undefined;
      await this.#publish(draft, target, new Contents(this.#terms.where, this.#terms.compare));
      isPublished = true;
    } finally {
      if (!isPublished) await this.#lock.release(draft, target);
    }
  }

  /** Waits for the compaction that is under way, and closes the file. */
  async close(): Promise<void> {
    await this.#compaction.end();
    await this.#kept.close();
  }

  /** @returns undefined where the file has to be replaced first */
  async #appendOnce<T>(plan: (contents: Contents) => Plan<T>): Promise<{ value: T } | 'again' | undefined> {
    const kept = this.#kept.take();
    // Where nothing moves upon what is known, the file is looked at anew.
    const done = kept && (await this.#keeping(kept, () => this.#appendTo(kept, plan(kept.log.contents))));
    if (done) return done;
    let refused: unknown;
    const opened = await openFile(this.#path, 'append').catch((error: unknown) => {
      if (!refusals.has(codeOf(error))) throw error;
      refused = error;
      // Enough where nothing moves.
      return openFile(this.#path, 'read');
    });
    if (opened === undefined) return undefined;
    const log = await this.#readFrom(opened).catch((error: unknown) => closeAndThrow(opened, error));
    return this.#keeping({ opened, log }, async () => {
      const planned = plan(log.contents);
      if (planned.pieces.length > 0 && refused !== undefined) throw refused;
      return planned.pieces.length > 0
        ? this.#appendTo({ opened, log }, planned)
        : this.#answer({ opened, log }, planned);
    });
  }

  /** @returns undefined where there is nothing to append, or no journal to append it to */
  async #appendTo<T>(open: OpenLog, plan: Plan<T>): Promise<{ value: T } | 'again' | undefined> {
    const { log } = open;
    if (plan.pieces.length === 0 || log.id === undefined || log.sealed || this.#isUnsure) return undefined;
    return (await this.#write(open, plan.pieces)) ? this.#answer(open, plan) : 'again';
  }

  async #answer<T>(open: OpenLog, { result }: Plan<T>): Promise<{ value: T } | 'again' | undefined> {
    if (this.#isUnsure) return undefined;
    const value = result(open.log.contents);
    if (value === undefined) return 'again';
    await this.#sync(open);
    this.#compaction.consider(open.log, this.#path, async (next) => {
      this.#known = next;
      await this.#kept.close();
    });
    return { value };
  }

  /** Has a file kept open where something was appended to it, and more may be. */
  async #keeping<T>(open: OpenLog, work: () => Promise<T | 'again' | undefined>): Promise<T | 'again' | undefined> {
    let isGood = false;
    try {
      const done = await work();
      isGood = done !== undefined && done !== 'again' && open.opened.access === 'append';
      return done;
    } finally {
      if (isGood && open.log.id !== undefined && !open.log.sealed) await this.#kept.keep(open);
      else await open.opened.file.close();
    }
  }

  /** @returns false where it came too late, into a file that somebody has removed or written over */
  async #write({ opened: { file, stats }, log }: OpenLog, pieces: readonly Piece[]): Promise<boolean> {
    const bytes = formatWrite(pieces.map(({ text }) => text));
    const before = log.position;
    // One call, so that the lines of two processes never mix.
    const { bytesWritten } = await file.write(bytes);
    const at = Date.now();
    const after = await file.stat({ bigint: true });
    const size = Number(after.size);
    const isAlone = size === before + bytes.length && bytesWritten === bytes.length;
    if (isAlone && log.position === before) {
      log.skip(bytes);
      for (const piece of pieces) log.contents.add(piece);
    } else if (!(await log.catchUp(file, size))) {
      this.#known = undefined;
      return false;
    }
    log.saw(after, at);
    const isRemoved = stats.nlink > 0n && after.nlink === 0n;
    return log.sealed || !isRemoved;
  }

  /**
   * Brings to the disk what was read, whoever has written it: only what stays is told. Reading back comes before it, and
   * not after, for that reason.
   */
  async #sync({ opened: { file }, log }: OpenLog): Promise<void> {
    const { position } = log;
    if (log.syncedTo < position) {
      try {
        await file.datasync();
      } catch (error) {
        this.#isUnsure = true;
        throw error;
      }
      log.syncedTo = position;
    }
    await this.#settle(log);
  }

  /** Makes sure that the file is there after a power cut: who renamed it may have died before it had done so. */
  async #settle(log: Log): Promise<void> {
    if (log.settled) return;
    await syncFolder(dirname(await followLinks(this.#path)));
    log.settled = true;
  }

  /** Makes a journal of what is there, or is not, with what the plan says, under the lock. */
  async #replace<T>(plan: (contents: Contents) => Plan<T>): Promise<{ value: T } | 'again'> {
    const target = await followLinks(this.#path);
    await makeFolder(dirname(target));
    await this.#compaction.cancel();
    await this.#kept.close();
    const isNeedless = async (): Promise<boolean> => {
      const log = await this.read();
      return !this.#isUnsure && log?.id !== undefined && !log.sealed;
    };
    const draft = await this.#lock.acquire(target, { isNeedless });
    if (draft === undefined) return 'again';
    let isPublished = false;
    try {
      if (await isNeedless()) return 'again';
      const contents = await this.#sealWhatIsThere(target, true);
      this.#known = undefined;
      const { pieces, result } = plan(contents);
      for (const piece of pieces) contents.add(piece);
      const value = result(contents);
      if (value === undefined) return 'again';
      await this.#publish(draft, target, contents);
      isPublished = true;
      return { value };
    } finally {
      if (!isPublished) await this.#lock.release(draft, target);
    }
  }

  /**
   * Sees to it that nobody appends to what is about to be replaced.
   * @param isKept whether it has to be read
   */
  async #sealWhatIsThere(target: string, isKept = false): Promise<Contents> {
    const opened = await openFile(target, 'append');
    if (opened === undefined) return new Contents(this.#terms.where, this.#terms.compare);
    return this.#closing(opened, async () => {
      try {
        const log = await readLog(opened, undefined, this.#terms);
        if (log.id !== undefined) await seal(opened, log);
        return log.contents;
      } catch (error) {
        if (isKept || !(error instanceof SerializationError)) throw error;
        return new Contents(this.#terms.where, this.#terms.compare);
      }
    });
  }

  async #publish(draft: string, target: string, contents: Contents): Promise<void> {
    const was = await statFile(target);
    const id = randomId();
    const log = await this.#lock.publish(draft, target, async (file) => {
      await keepMode(file, was);
      const start = await writeHeader(file, id);
      const pause = () => this.#lock.touch(draft).then(() => true);
      const end = await writeSources(file, start, contents, contents.sources(), pause);
      return new Log(id, contents, this.#terms.where, end);
    });
    log.syncedTo = log.position;
    this.#isUnsure = false;
    await this.#settle(log);
    this.#known = log;
  }

  async #readFrom(opened: OpenFile): Promise<Log> {
    const known = this.#known;
    const log = await readLog(opened, known, this.#terms);
    // A slow reader does not bring back a file that was replaced meanwhile.
    if (this.#known === known) this.#known = log;
    return log;
  }

  async #closing<T>({ file }: OpenFile, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } finally {
      await file.close();
    }
  }
}

async function closeAndThrow({ file }: OpenFile, error: unknown): Promise<never> {
  await file.close();
  throw error;
}
