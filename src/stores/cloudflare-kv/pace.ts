import type { Checkpoint } from '../../checkpoint.ts';
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

/** A Worker has six connections at once ("Workers: Limits"). */
export const connectionsAtOnce = 6;

/** What is under way for longer is given up: the Worker's request that began it has probably ended. */
export const patienceMs = 10_000;
const glanceMs = 50;

/**
 * The writes to one key: one at a time, spaced, and, when KV refuses them for now, with ever longer pauses.
 *
 * Calls share what stands here, and never a promise: in Workers a promise of a request that has ended does not resolve
 * any more, and whoever awaits it hangs. So each call waits on timers of its own and looks again.
 */
export class KVLine {
  /** The latest that a call which waits here wants written. */
  wanted: Checkpoint | undefined;
  /** What was last written, for calls that come before the next write may begin. */
  written: Checkpoint | undefined;
  readonly #madeAt: number;
  #last: { at: number; readonly pauseMs: number; readonly underWay: boolean } | undefined;
  #failures = 0;
  #failuresInARow = 0;
  #failure: unknown;

  constructor(madeAt: number) {
    this.#madeAt = madeAt;
  }

  /** The end of the last write, or the beginning of the one that is under way, in ms. */
  get usedAt(): number {
    return this.#last?.at ?? this.#madeAt;
  }

  /** Takes note of a write that somebody else made. */
  seen(at: number, pace: Pace): void {
    const last = this.#last;
    // Another machine's clock may be fast.
    const seenAt = Math.min(at, pace.now());
    if (last && (last.underWay || seenAt <= last.at)) return;
    this.#last = { at: seenAt, pauseMs: pace.writeIntervalMs, underWay: false };
  }

  /**
   * Writes until it is done, by this call or by another.
   * @throws what KV threw, once that is not transient, or after `maxRetries` repetitions, whoever's they were
   */
  async write(isDone: () => boolean, write: () => Promise<void>, io: Connections, pace: Pace): Promise<void> {
    const failuresBefore = this.#failures;
    let isInDoubt = false;
    const isOpen = (): boolean => isInDoubt || !isDone();
    while (isOpen()) {
      if (this.#failures - failuresBefore > pace.maxRetries) {
        this.#failuresInARow = 0;
        throw this.#failure;
      }
      const rest = this.rest(pace);
      if (rest > 0) {
        await pace.wait(rest);
        continue;
      }
      await io(async () => {
        // Others may have come first while this call waited for a connection.
        if (isOpen() && !(this.rest(pace) > 0)) isInDoubt = !(await this.#writeNow(write, pace));
      });
    }
  }

  /** How long to wait before looking again, in ms; 0 or less where a write may begin. */
  rest(pace: Pace): number {
    const last = this.#last;
    if (last === undefined) return 0;
    const now = pace.now();
    // A clock that was set back must not make the pause longer than it is.
    if (now < last.at) last.at = now;
    if (last.underWay) return Math.min(last.at + last.pauseMs - now, glanceMs);
    return last.at + Math.max(last.pauseMs, pace.writeIntervalMs) - now;
  }

  /** @returns false where another call wrote meanwhile: nobody knows then which of the two writes came last */
  async #writeNow(write: () => Promise<void>, pace: Pace): Promise<boolean> {
    const mine = (this.#last = { at: pace.now(), pauseMs: patienceMs, underWay: true });
    let pauseMs = pace.writeIntervalMs;
    try {
      await write();
      this.#failuresInARow = 0;
      return this.#last === mine;
    } catch (error) {
      if (!isTransient(error)) throw error;
      this.#failure = error;
      this.#failures++;
      pauseMs = Math.max(pauseMs, backoff(pace, this.#failuresInARow++));
      return this.#last === mine;
    } finally {
      // The time is taken after the I/O: until then a Worker's clock stands still, and the pause would be too short.
      if (this.#last === mine) this.#last = { at: pace.now(), pauseMs, underWay: false };
    }
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

/** A call's own connections, since its request may end any time. */
export function connections(): Connections {
  let free = connectionsAtOnce;
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
export function storageError(doing: string, source: string | undefined, cause: unknown, key?: string): StorageError {
  const name = source ?? key;
  const about = name === undefined ? '' : ` ${quote(name)}`;
  return new StorageError(`${doing}${about} in KV failed: ${reason(cause)}`, {
    source,
    cause,
    retryable: isTransient(cause),
  });
}

/** What KV said, and what to do. */
export function reason(cause: unknown): string {
  const found = cause instanceof Error ? cause.message : quote(cause);
  const advice = isTransient(cause) ? 'it was repeated in vain, try again later' : 'repeating it does not help for now';
  return `${found} (${advice})`;
}

function backoff({ retryBaseMs, retryMaxMs }: Pace, failuresBefore: number): number {
  return Math.ceil(Math.min(retryMaxMs, retryBaseMs * 2 ** failuresBefore) * (0.5 + Math.random() / 2));
}
