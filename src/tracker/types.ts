/// <reference lib="esnext.disposable" preserve="true" />
import type { Offset } from '../offset.ts';
import type { OffsetStore } from '../store.ts';
import type { Strategy } from './strategy.ts';
import type { TransactCall } from './transact-types.ts';

/** What became of recorded offsets: durable, or void because the source is in another epoch. */
export type CommitOutcome = 'committed' | 'fenced';

/**
 * What became of a record: 'pending', to be committed later; 'committed', an offset at or beyond it is durable; 'fenced',
 * the source was reset or taken over, and nothing that this reading records counts any more.
 */
export type RecordOutcome = 'pending' | CommitOutcome;

/** Where to start a source of which nothing is committed; 'none': reject with SourceNotFoundError. */
export type ResetPolicy = 'earliest' | 'latest' | 'none' | ((source: string) => Offset | Promise<Offset>);

/** Options of an {@link OffsetTracker}. */
export interface TrackerOptions {
  /** When to commit; default 'auto'. */
  readonly strategy?: Strategy;
  /** Where to start where nothing is committed; default 'earliest'. */
  readonly resetPolicy?: ResetPolicy;
  /** How many tickets of a reading may be between the oldest unfinished and the newest; default 1024. */
  readonly maxInFlight?: number;
  /** After how many ms a ticket that blocks the watermark raises a 'blocked' event; default 60,000. */
  readonly stuckAfterMs?: number;
  /**
   * Called for every commit that failed, once a source, and for what else `record`, `begin` or `done` rejects with. With it,
   * one of these that nobody awaits causes no unhandled rejection. Default: none.
   */
  readonly onError?: (error: unknown, source?: string) => void;
  /** The clock, in ms since the Unix epoch; default `Date.now`. */
  readonly now?: () => number;
}

/** Options of {@link OffsetTracker.read}. */
export interface ReadOptions {
  /**
   * Whether to begin a new epoch where the source stands, so that nothing that an older reading does, here or elsewhere,
   * counts any more. Default false: readings share the epoch.
   */
  readonly fence?: boolean;
}

/** Options of a record. */
export interface RecordOptions {
  /**
   * Whether the place moves without an event, past events that the server left out. A heartbeat comes after its event and
   * before the next, and never outranks an event. Default false.
   */
  readonly heartbeat?: boolean;
}

/** Options of {@link Reading.begin}. */
export interface BeginOptions extends RecordOptions {
  /** Ends the wait for room: the call rejects with the signal's reason, and its place goes to the next. Default: none. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * One pass over a source, from where it starts to its end; `tracker.read` makes one. Once the source is in another epoch,
 * by a reset or by another reading that fences, it is fenced: whatever it is asked answers 'fenced', for ever.
 */
export interface Reading<S extends OffsetStore = OffsetStore> extends AsyncDisposable {
  /** The source that is read. */
  readonly source: string;
  /** Where to start: read strictly after it. */
  readonly from: Offset;
  /**
   * Aborted when the reading is fenced or closed. The reason is a FencedError, whose `by` says whether it was a reset or
   * another reader, or an OffsetError of code 'closed'.
   */
  readonly signal: AbortSignal;
  /**
   * Says that an event has been processed, and all before it. An offset at or below what is recorded changes nothing.
   * Rejects with InvalidOffsetError for an offset that does not fit the source, with code 'closed' after `close`, and,
   * where this record triggers a commit, with what that fails with: the offset stays pending then.
   * @example
   * await reading.record(Offset.sequence(42)); // 'pending', 'committed' or 'fenced'
   */
  record(offset: Offset, options?: RecordOptions): Promise<RecordOutcome>;
  /**
   * Begins an event that may finish in any order with others; call it in the order of the feed. Waits while `maxInFlight`
   * are under way, in the order of the calls. Only the watermark, the last offset before which all have finished, is
   * recorded. Rejects as `record`, and with code 'in-flight' where an abandoned event blocks all room.
   * @example
   * const ticket = await reading.begin(Offset.sequence(42));
   * handle(order).then(() => ticket.done(), () => ticket.abandon());
   */
  begin(offset: Offset, options?: BeginOptions): Promise<Ticket>;
  /**
   * Applies an effect and stores the offset, both or neither, in one transaction of the store. What comes after the offset
   * is what the store's `transact` takes: `(tx) => …`, over IndexedDB the names of object stores before it, over D1
   * statements.
   *
   * The effect is that of all events after the reading's place, up to the offset. It is applied only onto the very place
   * that this reading knows: where somebody else has moved the source into the middle of it, the reading is fenced, and a
   * new one starts where the source stands.
   *
   * Calls run in the order in which they are made. One whose effect throws stores nothing and rejects with that error; those
   * after it still run. Rejects with UnsupportedError where the store has no transactions, and for opaque offsets without
   * a `compare` unless the reading fences; with InvalidOffsetError for an offset that does not fit; with code 'in-flight'
   * while tickets are unfinished, 'closed' after `close`, and with what the store fails with. The calls that were made
   * meanwhile reject with the same error then, and it is safe to make all of them again, in order.
   * @returns 'applied'; 'duplicate' where the offset is stored already; 'fenced': nothing was done
   * @example
   * await reading.transact(Offset.sequence(42), (db) => db.prepare('UPDATE total SET value = value + 1').run());
   */
  readonly transact: TransactCall<S>;
  /** Commits what is pending for the source; 'none' where nothing is. Rejects with what the store fails with. */
  commit(): Promise<CommitOutcome | 'none'>;
  /** Ends the reading and commits what is pending. Where that fails it rejects, and may be called again. */
  close(): Promise<void>;
}

/** An event that has begun and not yet finished. */
export interface Ticket {
  /** The offset that the event began with. */
  readonly offset: Offset;
  /** The event is processed. 'pending' while an earlier one blocks the watermark. A second call changes nothing. */
  done(): Promise<RecordOutcome>;
  /** The event is given up unprocessed: the watermark stays before it, so that the next reading begins it again. */
  abandon(): void;
}

/** What a tracker tells its subscribers. */
export interface TrackerEvent {
  /** What happened. */
  readonly type:
    | 'recorded'
    | 'committed'
    | 'reset'
    | 'cleared'
    /** A reading began a new epoch at the place where the source stands. */
    | 'fenced'
    /** A ticket began, or tickets ended: `status().inFlight` changed. */
    | 'in-flight'
    /** `status().role` changed. */
    | 'role'
    /** How far the feed is, or whether it is caught up with, changed. */
    | 'progress'
    /** A ticket has blocked the watermark for `stuckAfterMs`; `offset` is its event. */
    | 'blocked'
    /** Something works less well than it seems; `message` says what, and `code` which it is. Once a reading and code. */
    | 'warning'
    /** An event that could not be processed was left out, as `onFailed` said; `offset` is its own. */
    | 'skipped'
    /** The store stopped working. */
    | 'degraded'
    /** The store works again. */
    | 'recovered'
    /** A commit failed. */
    | 'error';
  /** Undefined where the event is about the whole store. */
  readonly source?: string | undefined;
  /** Where the source stands, or the event that this is about, where there is one. */
  readonly offset?: Offset | undefined;
  /** Whether this tracker did it, or another tab or process. */
  readonly origin: 'local' | 'remote';
  /** What failed. */
  readonly error?: unknown;
  /** Which warning it is. */
  readonly code?: string | undefined;
  /** The same in words. */
  readonly message?: string | undefined;
}

/** Which part a tab has in reading a source under `exclusive`. */
export type Role = 'reader' | 'waiting';

/** What a tracker knows of a source, without asking the store. The same object until something in it changes. */
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
  /** The source's life between two resets or fences, as a number: a higher one is later. */
  readonly epoch: number;
  /** A reading of this tracker was fenced by somebody else, and nobody has read again since. */
  readonly fenced: boolean;
  /** Under `resume(…, { exclusive: true })`: whether this tab reads the source, or waits for the one that does. */
  readonly role: Role | undefined;
  /** Why the last commit failed; undefined once one has gone through. */
  readonly lastError: unknown;
  /** Why the store does not work at the moment. */
  readonly degraded: Error | undefined;
  /** The feed id of what is committed. */
  readonly feed: string | undefined;
  /** The last event that the feed is known to have; undefined where it does not say. */
  readonly head: Offset | undefined;
  /** From `recorded` to `head`, in events for sequences and in ms for timestamps; undefined where that is not known. */
  readonly lag: number | undefined;
  /** Whether all that the feed had when it last said so is recorded; undefined where it does not say. */
  readonly caughtUp: boolean | undefined;
}
