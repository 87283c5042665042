import type { FeedChangedError, FeedExpiredError } from '../errors.ts';
import type { FeedError } from '../feeds/feed-error.ts';
import type { Offset } from '../offset.ts';

/**
 * - 'connecting': the feed is being opened.
 * - 'open': it stands.
 * - 'retrying': it, or the store, failed, and is tried again in a while.
 * - 'queued': another tab reads; this one waits for its turn, or its page is away.
 * - 'closed': the reading has ended.
 */
export type FeedState = 'connecting' | 'open' | 'retrying' | 'queued' | 'closed';

/**
 * Why a connection is taken for dead:
 * - 'asleep': the machine or the process slept.
 * - 'online': the network is back.
 * - 'visible': the page is seen again after a long silence.
 * - 'silent': the feed has been silent for longer than it ever is.
 * - 'opening': it did not open in time.
 */
export type FeedReason = 'asleep' | 'online' | 'visible' | 'silent' | 'opening';

/** What goes with a {@link FeedState}. */
export interface FeedStateDetail {
  /** Reopenings since the feed last showed life. */
  readonly attempt: number;
  /** Why the feed is tried again or closed, where that was an error. */
  readonly error?: unknown;
  /** Why a connection that looked open was taken for dead. */
  readonly reason?: FeedReason;
  /** How long until the feed is reopened, in ms; undefined where nobody knows. */
  readonly retryInMs?: number;
}

/** How a feed is kept open. `E` is what its events are. */
export interface ReaderOptions<E = unknown> {
  /** Ends the reading, without an error, after a commit. Default: none. */
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
  /**
   * Where to go on when the log behind the feed is another one than the recorded offset belongs to: its id changed, or its
   * newest event is before the offset. Default 'stop': the reading rejects with the FeedChangedError.
   */
  readonly onFeedChanged?:
    | 'earliest'
    | 'latest'
    | 'stop'
    | ((source: string, error: FeedChangedError) => Offset | Promise<Offset>);
  /** Told whenever the state of the connection changes, so that a page can show it. Default: none. */
  readonly onState?: (state: FeedState, detail: FeedStateDetail) => void;
  /**
   * What becomes of an event that the handler, or `parse` or `offset` of the feed, fails at: 'retry', after a pause that
   * doubles with each attempt, which are counted from 1; 'skip', as if it had been processed, told as 'skipped'; 'stop'
   * ends the reading with the error, which has `event` and `offset`. A for-await loop's own mistakes end it. Default 'stop'.
   */
  readonly onFailed?: (
    error: unknown,
    event: E,
    attempt: number,
  ) => 'retry' | 'skip' | 'stop' | Promise<'retry' | 'skip' | 'stop'>;
  /**
   * Whether a refusal of the server is worth another try: a FeedError that has a `status`, for example 409. Attempts are
   * counted from 1, and anew once the feed has shown life. Default: what the error says by `retryable`.
   */
  readonly retry?: (error: FeedError, attempt: number) => boolean;
  /**
   * What a store that does not work for `storeTimeoutMs`, or cannot work at all, does to the reading: 'stop' ends it with
   * the store's error; 'continue' reads on, from what this tracker remembers or else from where the reset policy says, and
   * `status().degraded` says why. What is stored and cannot be read always ends it. Default 'stop'.
   */
  readonly onStoreFailure?: 'stop' | 'continue';
  /** How long the store may fail without a success, in ms; default 30,000. */
  readonly storeTimeoutMs?: number;
  /**
   * How long a loop or handler may take to end after an abort or a reset, in ms; default 5000. Then reading ends or goes on
   * without a handler that has not, which the warning 'handler-let-go' tells, and the next reading does not wait for it
   * either. An effect inside a transaction is waited for as long as the store does.
   */
  readonly closeTimeoutMs?: number;
  /**
   * The most that the first reopening waits, in ms, beside what the server asks for; default 1000. A random part of it is
   * waited, and it doubles with each reopening until the feed shows life.
   */
  readonly minDelayMs?: number;
  /** Where the doubling ends, in ms; default 30,000. */
  readonly maxDelayMs?: number;
  /** How long opening the feed may take, in ms, where the feed tells when it stands; 0: for ever. Default 10,000. */
  readonly openTimeoutMs?: number;
  /**
   * How long the feed may be silent before its connection is taken for dead and opened again at the place, in ms; 0: for
   * ever. Default: three times the longest silence, once two heartbeats, or events in a steady rhythm, have been seen. A
   * feed with a limit of its own goes by that.
   */
  readonly idleTimeoutMs?: number;
  /** What the random part of a waiting time is taken from: a number from 0 up to 1; default `Math.random`. */
  readonly random?: () => number;
  /** Whether to begin a new epoch as the reading starts, so that no older reading counts any more. Default false. */
  readonly fence?: boolean;
  /**
   * Whether only one tab reads the source at a time, and the others wait for their turn: when it closes, crashes or freezes.
   * Each fences those before it. By a Web Lock, so it needs a secure context and a store that tabs share. Default false.
   */
  readonly exclusive?: boolean;
  /**
   * How long the reader may give no sign of life before a tab that waits takes over, in ms; default 10,000. The second in
   * the queue gives it twice the time, and so on.
   */
  readonly takeoverAfterMs?: number;
}
