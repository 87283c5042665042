import { OffsetError, type OffsetErrorOptions } from '../errors.ts';
import type { Offset } from '../offset.ts';

/** An event of a feed. */
export interface FeedEvent<T> {
  readonly offset: Offset;
  readonly data: T;
}

/** A sign of life without an event, which may move the position on, past events that the server filtered out. */
export interface FeedHeartbeat {
  readonly heartbeat: true;
  /** The position to go on from; undefined where the heartbeat says nothing of it. */
  readonly offset?: Offset | undefined;
}

/** What a feed yields. */
export type FeedItem<T> = FeedEvent<T> | FeedHeartbeat;

/** What `resume` hands to a feed that it opens. */
export interface FeedContext {
  readonly source: string;
  /** Aborted when the feed is to let go of its connection. */
  readonly signal: AbortSignal;
  /** The connection stands: waiting times start anew, and the state is 'open'. */
  opened(): void;
  /** The server asks to be left alone for this long, in ms, before each reopening. */
  reopenAfter(ms: number): void;
}

/**
 * A source opened for reading, strictly after an offset. An iteration that returns 'end' has ended for good; one that
 * just finishes has been dropped, and is opened again.
 */
export type Feed<T> = (from: Offset, context: FeedContext) => AsyncIterable<FeedItem<T>, 'end' | void, void>;

/** Options of a {@link FeedError}. */
export interface FeedErrorOptions extends OffsetErrorOptions {
  readonly status?: number | undefined;
  readonly retryable?: boolean;
  readonly retryAfterMs?: number | undefined;
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

  constructor(message: string, options: FeedErrorOptions = {}) {
    super('feed', message, options);
    this.status = options.status;
    this.retryable = options.retryable ?? true;
    this.retryAfterMs = options.retryAfterMs;
  }
}
