import type { FeedExpiredError } from '../errors.ts';
import type { Offset } from '../offset.ts';
import type { OffsetTracker } from '../tracker/tracker.ts';

/** What `resume` asks of a tracker. */
export type FeedTracker = Pick<
  OffsetTracker,
  'store' | 'getOffset' | 'record' | 'commit' | 'reset' | 'begin' | 'ready' | 'subscribe' | 'setRole'
>;

/**
 * - 'connecting': the feed is being opened.
 * - 'open': it stands.
 * - 'waiting': for the time of the next reopening, or for its turn.
 * - 'closed': the reading has ended.
 */
export type FeedState = 'connecting' | 'open' | 'waiting' | 'closed';

/** What goes with a {@link FeedState}. */
export interface FeedStateDetail {
  /** Reopenings since the feed last showed life. */
  readonly attempt: number;
  /** Why the feed is waiting or closed, where that was an error. */
  readonly error?: unknown;
  /** How long until the feed is reopened, in ms; undefined where nobody knows. */
  readonly retryInMs?: number;
}

/** How a feed is kept open. */
export interface ReaderOptions {
  /** Ends the reading, without an error, after a flush. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Where to go on when the feed no longer holds the events after the recorded offset: what `tracker.reset` is called
   * with. Default 'none': the reading rejects with the FeedExpiredError.
   */
  readonly onExpired?:
    | 'earliest'
    | 'latest'
    | 'none'
    | ((source: string, error: FeedExpiredError) => Offset | Promise<Offset>);
  /** Told whenever the state of the connection changes, so that a page can show it. */
  readonly onState?: (state: FeedState, detail: FeedStateDetail) => void;
  /**
   * The most that the first reopening waits, in ms, beside what the server asks for; default 1000. A random part of it is
   * waited, and it doubles with each reopening until the feed shows life.
   */
  readonly minDelayMs?: number;
  /** Where the doubling ends, in ms; default 30,000. */
  readonly maxDelayMs?: number;
  /** From 0 up to 1; default `Math.random`. */
  readonly random?: () => number;
  /**
   * Whether only one tab reads the source at a time, and the others wait for their turn: when it closes, crashes or freezes.
   * By a Web Lock, so it needs a secure context and a store that tabs share. Default false.
   */
  readonly exclusive?: boolean;
  /**
   * How long the reader may give no sign of life before a tab that waits takes over, in ms; default 10,000. The second in
   * the queue gives it twice the time, and so on.
   */
  readonly takeoverAfterMs?: number;
}
