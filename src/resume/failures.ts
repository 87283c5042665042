import { OffsetError, SerializationError } from '../errors.ts';
import { FeedError } from '../feeds/feed-error.ts';
import type { Reading } from '../tracker/types.ts';
import type { Backoff } from './backoff.ts';
import type { ReaderOptions } from './options.ts';

/** Whether trying again is of no use. What others throw, like a network error, may pass. */
export function isFinal(error: unknown): boolean {
  return error instanceof OffsetError && !('retryable' in error && error.retryable);
}

/** Whether another try may help. What a server refuses is the application's to judge; what came of no answer may pass. */
export function mayPass(error: unknown, backoff: Backoff, { retry }: ReaderOptions<never>): boolean {
  const refused = error instanceof FeedError && error.status !== undefined;
  return retry && refused ? retry(error, ++backoff.refusals) : !isFinal(error);
}

/** Closes a reading, which commits what is pending. */
export async function endReading(reading: Reading | undefined, patience: StorePatience): Promise<void> {
  try {
    await reading?.close();
  } catch (error) {
    // A tracker that was closed has committed already. What may pass the tracker tries again by itself.
    const isClosed = error instanceof OffsetError && error.code === 'closed';
    if (isClosed || patience.goesOn) return;
    throw error;
  }
}

/** How long a store may fail before a reading ends, or goes on without it. */
export class StorePatience {
  readonly #policy: 'stop' | 'continue';
  readonly #timeoutMs: number;
  readonly #end: (error: unknown) => void;
  #since: number | undefined;
  #last: unknown;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ReaderOptions<never>, end: (error: unknown) => void) {
    this.#policy = options.onStoreFailure ?? 'stop';
    this.#timeoutMs = options.storeTimeoutMs ?? 30_000;
    this.#end = end;
  }

  /** Whether a failure of the store does not end the reading. */
  get goesOn(): boolean {
    return this.#policy === 'continue';
  }

  /** Whether to read on without the store: it has failed for too long, or for good, and that is what is wanted. */
  get without(): boolean {
    const failing = this.#since !== undefined && performance.now() - this.#since >= this.#timeoutMs;
    return this.#policy === 'continue' && (failing || (this.#last !== undefined && isFinal(this.#last)));
  }

  works(): void {
    this.#since = this.#last = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  fails(error: unknown): void {
    this.#last = error;
    if (error instanceof SerializationError || isMisuse(error)) return this.#end(error);
    if (this.#policy === 'continue') {
      this.#since ??= performance.now();
      return;
    }
    if (isFinal(error)) return this.#end(error);
    this.#since ??= performance.now();
    this.#timer ??= setTimeout(() => this.#end(this.#last), this.#timeoutMs);
  }
}

/** What is wrong with the offsets, and not with the store. */
function isMisuse(error: unknown): boolean {
  return error instanceof OffsetError && /^(invalid-offset|source-not-found|in-flight)$/.test(error.code);
}
