import type { Offset } from '../offset.ts';
import type { Strategy } from './strategy.ts';

/** What became of recorded offsets: durable, or void because the source was reset. */
export type CommitOutcome = 'committed' | 'fenced';

/**
 * What became of a record: 'pending', to be committed later; 'committed', an offset at or beyond it is durable; 'fenced',
 * the source was reset elsewhere and nothing is recorded until `getOffset` says where to start again.
 */
export type RecordOutcome = 'pending' | CommitOutcome;

/** Where to start a source of which nothing is committed; 'none': reject with SourceNotFoundError. */
export type ResetPolicy = 'earliest' | 'latest' | 'none' | ((source: string) => Offset | Promise<Offset>);

/** Options of an `OffsetTracker`. */
export interface TrackerOptions {
  /** When to commit; default 'auto'. */
  readonly strategy?: Strategy;
  /** Where to start where nothing is committed; default 'earliest'. */
  readonly resetPolicy?: ResetPolicy;
  /** How many tickets of a source may be between the oldest unfinished and the newest; default 1024. */
  readonly maxInFlight?: number;
  /** After how many ms a ticket that holds the watermark up raises a 'blocked' event; default 60,000. */
  readonly stuckAfterMs?: number;
  /**
   * Called for every commit that failed, once a source. With it, a failed record that nobody awaits causes no unhandled
   * rejection.
   */
  readonly onError?: (error: unknown, source?: string) => void;
  /** The clock, in ms since the Unix epoch; default `Date.now`. */
  readonly now?: () => number;
}

/** An event that has begun and not yet finished. */
export interface Ticket {
  readonly offset: Offset;
  /**
   * The event is processed. 'pending' while an earlier one holds the watermark up. Calling it twice, or after a reset,
   * changes nothing and is counted in `status().voidTickets`.
   */
  done(): Promise<RecordOutcome>;
  /**
   * The event is given up unprocessed: the watermark stays before it, so that the next reading (`getOffset`) starts
   * there again.
   */
  abandon(): void;
}

/** What a tracker tells its subscribers. */
export interface TrackerEvent {
  readonly type:
    | 'committed'
    | 'reset'
    | 'cleared'
    /** A ticket has held the watermark up for `stuckAfterMs`; `offset` is its event. */
    | 'blocked'
    /** The store stopped working. */
    | 'degraded'
    /** The store works again. */
    | 'recovered'
    /** A commit failed. */
    | 'error';
  /** Undefined where the event is about the whole store. */
  readonly source?: string | undefined;
  readonly offset?: Offset | undefined;
  /** Whether this tracker did it, or another tab or process. */
  readonly origin: 'local' | 'remote';
  readonly error?: unknown;
}

/** What a tracker knows of a source, without asking the store. */
export interface SourceStatus {
  /** The furthest recorded in this epoch. */
  readonly recorded: Offset | undefined;
  /** What the store is known to hold. */
  readonly committed: Offset | undefined;
  /** Recorded and not yet durable. */
  readonly pending: Offset | undefined;
  /** Tickets begun and not finished. */
  readonly inFlight: number;
  /** When `committed` was committed, in ms since the Unix epoch. */
  readonly lastCommitAt: number | undefined;
  readonly epoch: number;
  /** Somebody else reset the source, and reading has not started again. */
  readonly fenced: boolean;
  /** Tickets that were finished twice, or after a reset. */
  readonly voidTickets: number;
  /** Why the last commit failed; undefined once one has gone through. */
  readonly lastError: unknown;
  /** Why the store does not work at the moment. */
  readonly degraded: Error | undefined;
  /** Under `resume(…, { exclusive: true })`: whether this tab reads the source, or waits for the one that does. */
  readonly role: 'reader' | 'waiting' | undefined;
}
