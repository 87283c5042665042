import { OffsetError, type OffsetErrorOptions } from '../errors.ts';
import type { Offset } from '../offset.ts';

/** Options of a {@link FeedError}. */
export interface FeedErrorOptions extends OffsetErrorOptions {
  /** See {@link FeedError.status}. Default: none. */
  readonly status?: number | undefined;
  /** See {@link FeedError.retryable}. Default true. */
  readonly retryable?: boolean;
  /** How long the server asks to wait, in ms. Default: none, `resume` decides alone. */
  readonly retryAfterMs?: number | undefined;
  /** See {@link FeedError.event}. Default: none. */
  readonly event?: unknown;
  /** See {@link FeedError.offset}. Default: none. */
  readonly offset?: Offset | undefined;
}

/** A feed could not be opened or read on. */
export class FeedError extends OffsetError {
  override readonly name = 'FeedError';
  /** The HTTP status, where there was an answer. */
  readonly status: number | undefined;
  /** Whether opening the feed again may help; `resume` gives up at once where it does not. */
  readonly retryable: boolean;
  /** How long the server asks to wait, in ms. */
  readonly retryAfterMs: number | undefined;
  /** The event that cannot be read, as it came, where the error is about one. */
  readonly event: unknown;
  /** The position of that event, where it can be read. */
  readonly offset: Offset | undefined;

  constructor(message: string, options: FeedErrorOptions = {}) {
    super('feed', message, options);
    this.status = options.status;
    this.retryable = options.retryable ?? true;
    this.retryAfterMs = options.retryAfterMs;
    this.event = options.event;
    this.offset = options.offset;
  }
}
