import { StorageError, quote } from '../../errors.ts';

/** How fast Workers KV may be asked. All times are in ms. */
export interface Pace {
  readonly now: () => number;
  readonly wait: (ms: number) => Promise<void>;
  readonly writeIntervalMs: number;
  readonly maxRetries: number;
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
}

/** Runs work as soon as one of a call's connections is free. */
export type Connections = <T>(work: () => Promise<T>) => Promise<T>;

// Another call stops waiting for a write that takes longer: the Worker's request that began it has probably ended.
const patienceMs = 10_000;
const glanceMs = 50;

/**
 * The writes to one key: one at a time, spaced, and, when KV refuses them for now, with ever longer pauses.
 *
 * Calls share what stands here, and never a promise: in Workers a promise of a request that has ended does not resolve
 * any more, and whoever awaits it hangs. So each call waits on timers of its own and looks again.
 */
export class KVLine {
  readonly #pace: Pace;
  #last: { at: number; readonly pauseMs: number; readonly underWay: boolean } | undefined;
  #failures = 0;
  #failuresInARow = 0;
  #failure: unknown;

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  /**
   * Writes until it is done, by this call or by another.
   * @throws what KV threw, once that is not transient, or after `maxRetries` repetitions, whoever's they were
   */
  async write(isDone: () => boolean, write: () => Promise<void>, io: Connections): Promise<void> {
    const { wait, maxRetries } = this.#pace;
    const failuresBefore = this.#failures;
    let isInDoubt = false;
    const isOpen = (): boolean => isInDoubt || !isDone();
    while (isOpen()) {
      if (this.#failures - failuresBefore > maxRetries) {
        this.#failuresInARow = 0;
        throw this.#failure;
      }
      const rest = this.#rest();
      if (rest > 0) {
        await wait(rest);
        continue;
      }
      await io(async () => {
        // Others may have come first while this call waited for a connection.
        if (isOpen() && !(this.#rest() > 0)) isInDoubt = !(await this.#writeNow(write));
      });
    }
  }

  /** @returns false where another call wrote meanwhile: nobody knows then which of the two writes came last */
  async #writeNow(write: () => Promise<void>): Promise<boolean> {
    const { now, writeIntervalMs } = this.#pace;
    const mine = (this.#last = { at: now(), pauseMs: patienceMs, underWay: true });
    let pauseMs = writeIntervalMs;
    try {
      await write();
      this.#failuresInARow = 0;
      return this.#last === mine;
    } catch (error) {
      if (!isTransient(error)) throw error;
      this.#failure = error;
      this.#failures++;
      pauseMs = Math.max(pauseMs, backoff(this.#pace, this.#failuresInARow++));
      return this.#last === mine;
    } finally {
      // The time is taken after the I/O: until then a Worker's clock stands still, and the pause would be too short.
      if (this.#last === mine) this.#last = { at: now(), pauseMs, underWay: false };
    }
  }

  /** How long to wait before looking again; 0 or less where a write may begin. */
  #rest(): number {
    const last = this.#last;
    if (last === undefined) return 0;
    const now = this.#pace.now();
    // A clock that was set back must not make the pause longer than it is.
    if (now < last.at) last.at = now;
    const rest = last.at + last.pauseMs - now;
    return last.underWay ? Math.min(rest, glanceMs) : rest;
  }
}

/** Runs what may be repeated, a read, with the same patience. @throws what KV threw at last */
export async function persist<T>(work: () => Promise<T>, pace: Pace, io: Connections): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await io(work);
    } catch (error) {
      if (failures >= pace.maxRetries || !isTransient(error)) throw error;
      await pace.wait(backoff(pace, failures));
    }
  }
}

/** A Worker has six connections at once ("Workers: Limits"); they are a call's own, since its request may end any time. */
export function connections(): Connections {
  let free = 6;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}

/** Whether the same call may succeed in a moment. Of a 429 KV tells nothing but its message. */
export function isTransient(error: unknown): boolean {
  const { retryable, message } = Object(error) as { readonly retryable?: unknown; readonly message?: unknown };
  const text = String(message);
  if (text.includes('exceeded for the day')) return false;
  return retryable === true || /failed: (429|5\d\d)\b/.test(text);
}

/** What KV threw, as this library's error. */
export function storageError(doing: string, source: string | undefined, cause: unknown): StorageError {
  const retryable = isTransient(cause);
  const about = source === undefined ? '' : ` ${quote(source)}`;
  const found = cause instanceof Error ? cause.message : quote(cause);
  const advice = retryable ? 'it was repeated in vain, try again later' : 'repeating it does not help for now';
  return new StorageError(`${doing}${about} in KV failed: ${found} (${advice})`, { source, cause, retryable });
}

function backoff({ retryBaseMs, retryMaxMs }: Pace, failuresBefore: number): number {
  return Math.ceil(Math.min(retryMaxMs, retryBaseMs * 2 ** failuresBefore) * (0.5 + Math.random() / 2));
}
