import type { Offset } from '../offset.ts';
import type { FeedError } from './feed-error.ts';

/** An event of a feed. */
export interface FeedEvent<T> {
  /**
   * Its position. Undefined where it has none of its own: such an event is no place to go on from, and comes again unless
   * a later one with an offset was recorded. Where several events share a position, only the last of them carries it.
   */
  readonly offset?: Offset | undefined;
  /** What the event brings. */
  readonly data: T;
  /** Whether the feed has nothing newer than this event. */
  readonly upToDate?: boolean | undefined;
}

/** A sign of life without an event, which may move the position on, past events that the server filtered out. */
export interface FeedHeartbeat {
  /** Tells it from an event. */
  readonly heartbeat: true;
  /** The position to go on from; undefined where the heartbeat says nothing of it. */
  readonly offset?: Offset | undefined;
  /** The position of the feed's newest event, where the heartbeat tells it. */
  readonly head?: Offset | undefined;
  /** Whether all that the feed has has been read. */
  readonly upToDate?: boolean | undefined;
}

/** An event that cannot be read, in its place among the others: reading can go on after it. */
export interface FeedFailure<E extends FeedEvent<unknown> = FeedEvent<unknown>> {
  /** What went wrong; carries `event`, as far as it can be read, and `offset`. */
  readonly failed: FeedError;
  /** Its position, where it can be read. */
  readonly offset?: Offset | undefined;
  /** Reads the event once more. */
  again(): E | FeedHeartbeat | FeedFailure<E>;
}

/** What a feed yields; `E` where its events carry more than an offset and data. */
export type FeedItem<T, E extends FeedEvent<T> = FeedEvent<T>> = E | FeedHeartbeat | FeedFailure<E>;

/** What a feed tells of itself when it opens. */
export interface FeedOpening {
  /** Which log the offsets belong to: another id means that the log was recreated or restored. */
  readonly feedId?: string | undefined;
  /** The position of the feed's newest event. */
  readonly head?: Offset | undefined;
}

/**
 * What does not work as people expect, and nobody would notice:
 * - 'no-ids': the events have no positions, so nothing can be recorded.
 * - 'id-ignored': the feed does not start after the position that it is given.
 * - 'earliest-not-told': reading starts at 'earliest', and the server has not been told so.
 * - 'latest-not-told': the same with 'latest'.
 * - 'cors-last-event-id': a server of another origin does not allow the header `Last-Event-ID`.
 * - 'offset-goes-back': an event's offset is before that of the event before it.
 * - 'shared-offset': two events in a row have one position, and only the first may be recorded.
 * - 'latest-not-pinned': a feed that starts at 'latest' drops before it has said where that is.
 */
export type FeedWarning =
  | 'no-ids'
  | 'id-ignored'
  | 'earliest-not-told'
  | 'latest-not-told'
  | 'cors-last-event-id'
  | 'offset-goes-back'
  | 'shared-offset'
  | 'latest-not-pinned';

/** What `resume` hands to a feed that it opens. */
export interface FeedContext {
  /** The source that is read. */
  readonly source: string;
  /** Aborted when the feed is to let go of its connection. */
  readonly signal: AbortSignal;
  /** Whether the feed was open before in this reading: what is no feed now may be one again in a while. */
  readonly openedBefore: boolean;
  /** The feed calls `opened` once its connection stands: opening takes no longer than `openTimeoutMs` then. */
  opening?(): void;
  /**
   * The connection stands: the state is 'open', and once it has stood for a while, waiting times start anew. May be called
   * again: when more is known, or with each answer of a server that is asked again and again. What comes first after it and
   * was read before is left out.
   */
  opened(about?: FeedOpening): void;
  /** Something was heard of the server that is no item, like a comment: the connection is alive. */
  alive(): void;
  /**
   * How long the server may say nothing before the connection is taken for dead, in ms, the opening included; 0: for ever,
   * since the feed watches its connection itself. Without a call, `resume` goes by what it has seen.
   */
  deadAfter(ms: number): void;
  /** The server asks to be left alone for this long, in ms, before each reopening. */
  reopenAfter(ms: number): void;
  /** Has a listener told each position that is recorded, for a feed that acknowledges what has been processed. */
  onRecorded(listener: (offset: Offset) => void): void;
  /** Tells the application, once for each code, what does not work as it may expect. */
  warn(code: FeedWarning, message: string): void;
}

/** An iteration of a feed. */
export interface FeedIterator<I> extends AsyncIterator<I, 'end' | void, void> {
  /** The next item where it is at hand, so that a reader need not wait a turn for each; undefined: ask `next`. */
  readonly ready?: () => I | undefined;
}

/**
 * A source opened for reading, strictly after an offset. An iteration that returns 'end' has ended for good; one that
 * just finishes has been dropped, and is opened again, as is one that throws. What ends the reading with its error is an
 * OffsetError that does not say `retryable`, like a `FeedError` made with `retryable: false`; a FeedExpiredError is
 * answered by `onExpired`. The iteration may have a method `ready` (see {@link FeedIterator}).
 */
export type Feed<T, E extends FeedEvent<T> = FeedEvent<T>> = (
  from: Offset,
  context: FeedContext,
) => AsyncIterable<FeedItem<T, E>, 'end' | void, void>;

/** Whether an item of a feed is a heartbeat, and no event. */
export function isHeartbeat<E extends FeedEvent<unknown>>(item: FeedItem<unknown, E>): item is FeedHeartbeat {
  return 'heartbeat' in item && item.heartbeat === true;
}

/** Whether an item of a feed is an event that cannot be read. */
export function isFailure<E extends FeedEvent<unknown>>(item: FeedItem<unknown, E>): item is FeedFailure<E> {
  return 'failed' in item && item.failed instanceof Error;
}
