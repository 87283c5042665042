import { StorageError } from '../errors.ts';
import { RequestTimers } from './request-timers.ts';

/**
 * How long one piece of work may keep all others waiting, in ms: longer than stores wait for their locks, so that their own
 * errors come first.
 */
const limitMs = 15_000;
/** The same while an effect runs: that takes its time, unless its Worker's request has ended. */
const effectLimitMs = 600_000;

interface Job {
  readonly start: () => Promise<unknown>;
  readonly settle: (result: Promise<unknown>) => void;
}

/**
 * Runs one piece of work at a time. One that does not end is given up as soon as somebody has waited for it long enough:
 * in a Worker, a promise that is pending when its request ends never settles. Nothing here is chained to such a promise.
 */
export class SingleFlight {
  readonly #jobs: Job[] = [];
  #current: Job | undefined;
  /** When its time began, in ms as `performance.now` has them, and how long that is. */
  #startedAt = 0;
  #limitMs = limitMs;
  readonly #timers = new RequestTimers();

  /** Rejects with what the work does, or with a retryable StorageError where it was given up. */
  run<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#jobs.push({ start: work, settle: (result) => result.then((value) => resolve(value as T), reject) });
      if (this.#current) this.watch();
      else this.#next();
    });
  }

  /** Has the time that an effect takes, as part of the work that is under way, not count. */
  timed(effect: unknown): unknown {
    if (typeof effect !== 'function') return effect;
    const job = this.#current;
    const ended = (): void => this.#grant(job, limitMs);
    // Stores ask whether it is an async function.
    return new Proxy(effect, {
      apply: (_, self, args) => {
        this.#grant(job, effectLimitMs);
        let result: unknown;
        try {
          return (result = Reflect.apply(effect, self, args));
        } finally {
          // A thenable of a library may do its work once for each time that it is asked.
          if (result instanceof Promise) result.then(ended, ended);
          else ended();
        }
      },
    });
  }

  /** Somebody waits. */
  watch(): void {
    if (!this.#current) return;
    // Looks again while an effect runs: its end makes the limit short.
    const wait = Math.min(limitMs, this.#startedAt + this.#limitMs - performance.now());
    const timer = this.#timers.set(wait, () => this.#check());
    // A process with nothing left to do but this may end.
    if (typeof timer === 'object') timer.unref();
  }

  #check(): void {
    const stuck = this.#current;
    if (!stuck) return;
    const limit = this.#limitMs;
    if (performance.now() - this.#startedAt < limit) return this.watch();
    const who = limit === limitMs ? 'the store has not answered' : 'an effect has not ended';
    stuck.settle(
      Promise.reject(
        new StorageError(
          `${who} for ${limit} ms, and others wait: see what holds it up; in a Worker, a request that ended may have left ` +
            'it behind: use one tracker an invocation and await it, or hand it to waitUntil',
          { retryable: true },
        ),
      ),
    );
    this.#next();
  }

  /** The time of a piece of work begins anew. */
  #grant(job: Job | undefined, ms: number): void {
    if (this.#current !== job) return;
    this.#startedAt = performance.now();
    this.#limitMs = ms;
  }

  #next(): void {
    this.#timers.clear();
    const job = (this.#current = this.#jobs.shift());
    if (!job) return;
    this.#grant(job, limitMs);
    const result = job.start();
    job.settle(result);
    const ended = (): void => {
      if (this.#current === job) this.#next();
    };
    result.then(ended, ended);
    if (this.#jobs.length > 0) this.watch();
  }
}
