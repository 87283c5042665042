import { StorageError } from '../errors.ts';
import { RequestTimers } from './request-timers.ts';

/** How long one piece of work may keep all others waiting, in ms. */
const limitMs = 9000;

interface Job {
  readonly start: () => Promise<unknown>;
  readonly settle: (result: Promise<unknown>) => void;
}

/**
 * Runs one piece of work at a time. One that does not end is given up as soon as somebody has waited for it long enough:
 * in a Worker, a promise that is pending when its request ends never settles. Nothing here is chained to such a promise.
 */
export class SingleFlight {
  readonly #now: () => number;
  readonly #jobs: Job[] = [];
  #current: Job | undefined;
  #startedAt = 0;
  readonly #timers = new RequestTimers();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Rejects with what the work does, or with a retryable StorageError where it was given up. */
  run<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#jobs.push({ start: work, settle: (result) => result.then((value) => resolve(value as T), reject) });
      if (this.#current) this.watch();
      else this.#next();
    });
  }

  /** Somebody waits. */
  watch(): void {
    if (!this.#current) return;
    const timer = this.#timers.set(this.#startedAt + limitMs - this.#now(), () => this.#check());
    // A process with nothing left to do but this may end.
    if (typeof timer === 'object') timer.unref();
  }

  #check(): void {
    const stuck = this.#current;
    if (!stuck) return;
    if (this.#now() - this.#startedAt < limitMs) return this.watch();
    stuck.settle(
      Promise.reject(
        new StorageError(
          `the store has not answered for ${limitMs} ms: in a Worker, a request that ended left a commit behind; use one ` +
            'tracker an invocation and await it, or hand it to waitUntil',
          { retryable: true },
        ),
      ),
    );
    this.#next();
  }

  #next(): void {
    this.#timers.clear();
    const job = (this.#current = this.#jobs.shift());
    if (!job) return;
    this.#startedAt = this.#now();
    const result = job.start();
    job.settle(result);
    const ended = (): void => {
      if (this.#current === job) this.#next();
    };
    result.then(ended, ended);
    if (this.#jobs.length > 0) this.watch();
  }
}
