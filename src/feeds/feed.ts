import { OffsetError, type OffsetErrorOptions } from '../errors.ts';
import type { Offset } from '../offset.ts';

/** An event of a feed. */
export interface FeedEvent<T> {
  /** Its position. The one that the feed was opened at, where the feed does not say: such an event is not recorded. */
  readonly offset: Offset;
  readonly data: T;
}

/** A sign of life without an event, which may move the position on, past events that the server filtered out. */
export interface FeedHeartbeat {
  readonly heartbeat: true;
  /** The position to go on from; undefined where the heartbeat says nothing of it. */
  readonly offset?: Offset | undefined;
}

/** What a feed yields; `E` where its events carry more than an offset and data. */
export type FeedItem<T, E extends FeedEvent<T> = FeedEvent<T>> = E | FeedHeartbeat;

/** What `resume` hands to a feed that it opens. */
export interface FeedContext {
  readonly source: string;
  /** Aborted when the feed is to let go of its connection. */
  readonly signal: AbortSignal;
  /** The connection stands: the state is 'open', and once it has stood for a while, waiting times start anew. */
  opened(): void;
  /** The server asks to be left alone for this long, in ms, before each reopening. */
  reopenAfter(ms: number): void;
}

/**
 * A source opened for reading, strictly after an offset. An iteration that returns 'end' has ended for good; one that
 * just finishes has been dropped, and is opened again, as is one that throws. What ends the reading with its error is an
 * OffsetError that does not say `retryable`, like a `FeedError` made with `retryable: false`; a FeedExpiredError is
 * answered by `onExpired`.
 */
export type Feed<T, E extends FeedEvent<T> = FeedEvent<T>> = (
  from: Offset,
  context: FeedContext,
) => AsyncIterable<FeedItem<T, E>, 'end' | void, void>;

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

export function isHeartbeat<E extends FeedEvent<unknown>>(item: FeedItem<unknown, E>): item is FeedHeartbeat {
  return 'heartbeat' in item && item.heartbeat === true;
}
