import type { FeedEvent } from '../feeds/feed.ts';
import type { OffsetStore } from '../store.ts';
import type { EffectResult, ScopedTx, ScopedTypes, TxOf } from '../tracker/transact-types.ts';
import type { ReaderOptions } from './options.ts';
import type { View, ViewPlace } from './view-options.ts';

/** How events are handed over by the array. */
export interface BatchSize {
  /** How many events with an offset make a batch. */
  readonly size: number;
  /** How long after its first event a batch that is not full is handed over, in ms; default 100. */
  readonly intervalMs?: number;
}

/** What is given as `transact`: over IndexedDB the names of object stores, and `true` over every other store. */
export type TransactScope<S> = [ScopedTypes<S>] extends [never] ? true : ScopedTypes<S>['scopes'];

/** What an effect is given beside what it is about. */
export interface EffectContext<S, Scope, Prepared> {
  /** The transaction, as the store's `transact` gives it; undefined where that gives none. */
  readonly tx: [ScopedTypes<S>] extends [never] ? TxOf<S> : ScopedTx<ScopedTypes<S>, Scope>;
  /** What `prepare` answered; an array of that where a batch is handed over. */
  readonly prepared: Prepared;
  /** Aborted when the event is void, and when the reading is aborted. */
  readonly signal: AbortSignal;
}

/** What every way to hand events over by `batch` or `transact` takes. */
interface AppliedOptions<E extends FeedEvent<unknown>, P> extends ReaderOptions<E>, ViewPlace {
  /**
   * Does ahead what needs no transaction, like fetching what the effect needs: for up to `concurrency` events at once. Its
   * answer is the handler's `prepared`. A failure is `onFailed`'s, as one of the handler is. Default: none.
   */
  readonly prepare?: (event: E, context: { readonly signal: AbortSignal }) => P | Promise<P>;
  /** How many events are prepared at once; default 1. Effects are applied one by one, in the order of the feed. */
  readonly concurrency?: number;
  /** Shows the events in every tab, as {@link ViewOptions} says, when they are read. Needs `exclusive: true`. Default: none. */
  readonly view?: View<E>;
}

/** Options of {@link resume} where a handler takes events by the array, and their last offset is recorded once it is done. */
export interface BatchOptions<E extends FeedEvent<unknown>, P = undefined> extends AppliedOptions<E, P> {
  /** How large a batch is, and how long it may wait. */
  readonly batch: BatchSize;
  readonly transact?: undefined;
  /** Processes a batch. */
  readonly handler: (
    events: readonly E[],
    context: { readonly prepared: readonly P[]; readonly signal: AbortSignal },
  ) => unknown;
}

/**
 * Options of {@link resume} where the effect of an event and its offset are stored in one transaction of the tracker's store, so
 * that each event counts exactly once.
 */
export interface TransactOptions<
  E extends FeedEvent<unknown>,
  S extends OffsetStore,
  Scope,
  P = undefined,
> extends AppliedOptions<E, P> {
  /** `true`; over IndexedDB the names of the object stores that the handler uses. */
  readonly transact: Scope;
  readonly batch?: undefined;
  /**
   * Applies the effect of an event by `tx`; over D1 it returns statements. It may run again where a transaction was rolled
   * back; only one run counts. What it throws rolls its transaction back, and is what `onFailed` decides about.
   *
   * Events without an offset are applied with the next that has one, in one transaction.
   */
  readonly handler: (event: E, context: EffectContext<S, Scope, P>) => EffectResult<S>;
}

/** The same, with events by the array: the effects of a batch and its last offset are stored in one transaction. */
export interface TransactBatchOptions<
  E extends FeedEvent<unknown>,
  S extends OffsetStore,
  Scope,
  P = undefined,
> extends AppliedOptions<E, P> {
  /** `true`; over IndexedDB the names of the object stores that the handler uses. */
  readonly transact: Scope;
  /** How large a batch is, and how long it may wait. */
  readonly batch: BatchSize;
  /**
   * Applies the effects of a batch. What another reader has applied meanwhile is left out. Where it fails and there is an
   * `onFailed`, the events are applied one by one, to find the one that fails.
   */
  readonly handler: (events: readonly E[], context: EffectContext<S, Scope, readonly P[]>) => EffectResult<S>;
}

/** All of these, as the loop has them. */
export interface EffectOptions<E extends FeedEvent<unknown>> extends AppliedOptions<E, unknown> {
  readonly transact?: unknown;
  readonly batch?: BatchSize | undefined;
  readonly handler: (given: never, context: never) => unknown;
}
