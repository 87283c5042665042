import { open } from 'node:fs/promises';
import type { Contents } from './contents.ts';
import { keepMode, seal, writeHeader, writeSources } from './draft.ts';
import { followLinks, statFile } from './folder.ts';
import { randomId } from './journal.ts';
import type { FileLock } from './lock.ts';
import { Log, type Terms, openFile, readLog } from './log.ts';

/** A file grows to this many times what it would hold without superseded lines, and by this many bytes more. */
const growth = 2;
const allowance = 256 << 10;
/** A slice (bytes) goes to the disk at a time, so that no commit beside it waits for all of them. */
const syncEvery = 1 << 20;
const fewSources = 200;

/** A compaction under way. */
interface Job {
  readonly target: string;
  readonly id: string;
  isCancelled: boolean;
  /** Undefined until the lock is had. */
  draft: string | undefined;
  /** Settles when nothing is written aside any more, and the rest waits for its turn. */
  written: Promise<unknown>;
}

/**
 * Replaces a journal that has grown by one that holds each source once, beside commits that go on meanwhile. What stands is
 * written aside and brought to the disk in slices; then, in a turn of its own, the old file is sealed, what has
 * changed since is added, and the new file moved into place. Only this last step, which is short, holds commits up.
 */
export class Compaction {
  readonly #lock: FileLock;
  readonly #inTurn: (work: () => Promise<void>) => Promise<void>;
  readonly #terms: Terms;
  #job: Job | undefined;
  #running: Promise<void> | undefined;
  /** Where one was not possible, the file grows on before the next. */
  #notBefore = 0;

  constructor(lock: FileLock, inTurn: (work: () => Promise<void>) => Promise<void>, terms: Terms) {
    this.#lock = lock;
    this.#inTurn = inTurn;
    this.#terms = terms;
  }

  /** Starts one where the file has grown enough. @param onReplaced told of the new file */
  consider(log: Log, path: string, onReplaced: (next: Log) => Promise<void>): void {
    const limit = Math.max(growth * log.contents.size + allowance, this.#notBefore);
    if (this.#running || log.sealed || log.id === undefined || log.position < limit) return;
    // Somebody else may do it just now, and the next commit try again: it fails nobody.
    this.#notBefore = log.position + log.contents.size / 4 + allowance / 4;
    this.#running = this.#run(log, path, onReplaced)
      .catch(() => {})
      .finally(() => (this.#running = undefined));
  }

  /** Gives up what is under way, and its lock: somebody whose turn it is needs it. */
  async cancel(): Promise<void> {
    const job = this.#job;
    if (job === undefined) return;
    job.isCancelled = true;
    await job.written;
    await this.#release(job);
  }

  /** Waits until nothing is under way. */
  async end(): Promise<void> {
    await this.#running;
  }

  async #run(log: Log, path: string, onReplaced: (next: Log) => Promise<void>): Promise<void> {
    const target = await followLinks(path);
    const job: Job = { target, id: randomId(), isCancelled: false, draft: undefined, written: Promise.resolve() };
    this.#job = job;
    log.contents.watch();
    try {
      const written = this.#write(job, log.contents);
      job.written = written.catch(() => {});
      const end = await written;
      await this.#inTurn(async () => {
        const next = job.isCancelled ? undefined : await this.#finish(job, log, end);
        if (next === undefined) return;
        job.draft = undefined;
        this.#notBefore = 0;
        await onReplaced(next);
      });
    } finally {
      log.contents.unwatch();
      await this.#release(job);
    }
  }

  async #release(job: Job): Promise<void> {
    if (this.#job === job) this.#job = undefined;
    const { draft } = job;
    job.draft = undefined;
    if (draft !== undefined) await this.#lock.release(draft, job.target);
  }

  /** @returns where the draft ends */
  async #write(job: Job, contents: Contents): Promise<number> {
    const draft = await this.#lock.acquire(job.target, { timeoutMs: 0 });
    job.draft = draft;
    const file = await open(draft, 'r+');
    try {
      await keepMode(file, await statFile(job.target));
      let synced = 0;
      const pause = async (end: number): Promise<boolean> => {
        if (end - synced < syncEvery) return !job.isCancelled;
        synced = end;
        await file.datasync();
        await this.#lock.touch(draft);
        return !job.isCancelled;
      };
      let end = await writeSources(file, await writeHeader(file, job.id), contents, contents.sources(), pause);
      // Few are left for the end, where commits wait for them.
      for (let round = 0, changed: string[]; round < 5 && !job.isCancelled; round++) {
        changed = contents.takeChanged();
        end = await writeSources(file, end, contents, changed, pause);
        await file.datasync();
        if (changed.length < fewSources) break;
      }
      return end;
    } finally {
      await file.close();
    }
  }

  /** @returns the new file; undefined where somebody else has replaced the old one */
  async #finish({ draft, target, id }: Job, log: Log, end: number): Promise<Log | undefined> {
    if (draft === undefined) return undefined;
    const opened = await openFile(target, 'append');
    if (opened === undefined) return undefined;
    try {
      const current = await readLog(opened, log, this.#terms);
      if (current !== log || log.sealed || !(await seal(opened, log))) return undefined;
    } finally {
      await opened.file.close();
    }
    const next = await this.#lock.publish(draft, target, async (file) => {
      const grown = await writeSources(file, end, log.contents, log.contents.takeChanged());
      return new Log(id, log.contents, this.#terms.where, grown);
    });
    next.syncedTo = next.position;
    return next;
  }
}
