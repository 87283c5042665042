import { OffsetError, SerializationError } from '../errors.ts';

/** Whether trying again is of no use. What others throw, like a network error, may pass. */
export function isFinal(error: unknown): boolean {
  return error instanceof OffsetError && !('retryable' in error && error.retryable);
}

/** How long a store may fail before a reading ends, or goes on without it. */
export class StorePatience {
  readonly #policy: 'stop' | 'continue';
  readonly #timeoutMs: number;
  readonly #end: (error: unknown) => void;
  #since: number | undefined;
  #last: unknown;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(policy: 'stop' | 'continue', timeoutMs: number, end: (error: unknown) => void) {
    this.#policy = policy;
    this.#timeoutMs = timeoutMs;
    this.#end = end;
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
