/// <reference lib="esnext.disposable" preserve="true" />
import type { Feed, FeedEvent, FeedFailure, FeedHeartbeat, FeedItem } from '../feeds/feed.ts';
import type { OffsetStore } from '../store.ts';
import type {
  BatchOptions,
  EffectOptions,
  TransactBatchOptions,
  TransactOptions,
  TransactScope,
} from './effect-options.ts';
import { checkArguments } from './arguments.ts';
import { applyAll, isApplied } from './effects.ts';
import { Events } from './events.ts';
import { type HandlerOptions, handleAll } from './handler.ts';
import type { OffsetTracker } from '../tracker/tracker.ts';
import type { ReaderOptions } from './options.ts';
import { Reader } from './reader.ts';
import type { View, ViewOptions } from './view-options.ts';

/** A feed by what it yields, so that one written where it is used need not name its type. */
export type FeedOf<I> = (...args: Parameters<Feed<unknown>>) => AsyncIterable<I, 'end' | void, void>;
/** What a feed's items are but for heartbeats and failures. */
export type EventOf<I> = Exclude<I, FeedHeartbeat | FeedFailure>;

/** Options of {@link resume}. */
export interface ResumeOptions<E = unknown> extends ReaderOptions<E> {
  readonly handler?: undefined;
  readonly batch?: undefined;
  readonly transact?: undefined;
  readonly view?: undefined;
}

/**
 * Reads a source from its offset on, for ever: begins a reading, opens the feed there, and whenever the feed drops, opens it
 * again, after a while, at the position it had reached.
 *
 * When the loop asks for the next event, the last one is recorded; on `break` or `throw` it is not. Recording does not
 * hold the loop up: commits run beside it, and what fails and may pass is tried again by the tracker (see
 * `onStoreFailure`). When the source is reset, here or elsewhere, the event being processed is not recorded, and the feed is
 * opened anew where the reset says. At the end (`break`, `throw`, an abort, `tracker.close()`, a feed that ended) what was
 * recorded is committed, and the loop rejects if that fails.
 *
 * @param feed see {@link Feed}; `sse` makes one
 * @returns the events; or, with a `handler`, which processes up to `concurrency` events at once, a promise of the end. A
 * handler that throws ends the reading with its error, once the others have finished: its event is not recorded, and none
 * after it; `onFailed` decides otherwise. With a `view`, see {@link ViewOptions}, every tab shows what one of them reads.
 * @throws TypeError for what is no tracker, source, feed or handler; FeedError that is not retryable; FeedExpiredError without
 * `onExpired`, or when it does not help; FencedError where another reader took the source over; SourceNotFoundError under
 * the reset policy 'none'; what the store fails with
 * @example
 * for await (const event of resume(tracker, 'orders', sse('/feed'))) await handle(event.data);
 */
export function resume<I extends FeedItem<unknown>>(
  tracker: OffsetTracker,
  source: string,
  feed: FeedOf<I>,
  options?: ResumeOptions<EventOf<I>>,
): AsyncGenerator<EventOf<I>, void, void>;
export function resume<I extends FeedItem<unknown>>(
  tracker: OffsetTracker,
  source: string,
  feed: FeedOf<I>,
  options: HandlerOptions<EventOf<I>>,
): Promise<void>;
export function resume<I extends FeedItem<unknown>, P = undefined>(
  tracker: OffsetTracker,
  source: string,
  feed: FeedOf<I>,
  options: BatchOptions<EventOf<I>, P>,
): Promise<void>;
export function resume<
  I extends FeedItem<unknown>,
  S extends OffsetStore,
  const Scope extends TransactScope<S>,
  P = undefined,
>(
  tracker: OffsetTracker<S>,
  source: string,
  feed: FeedOf<I>,
  options: TransactBatchOptions<EventOf<I>, S, Scope, P>,
): Promise<void>;
export function resume<
  I extends FeedItem<unknown>,
  S extends OffsetStore,
  const Scope extends TransactScope<S>,
  P = undefined,
>(
  tracker: OffsetTracker<S>,
  source: string,
  feed: FeedOf<I>,
  options: TransactOptions<EventOf<I>, S, Scope, P>,
): Promise<void>;
export function resume<I extends FeedItem<unknown>>(
  tracker: OffsetTracker,
  source: string,
  feed: FeedOf<I>,
  options: ViewOptions<EventOf<I>>,
): Promise<void>;
export function resume<E extends FeedEvent<unknown>>(
  tracker: OffsetTracker,
  source: string,
  feed: Feed<unknown, E>,
  options: ResumeOptions<E> | HandlerOptions<E> | EffectOptions<E> | ViewOptions<E> = {},
): AsyncGenerator<E, void, void> | Promise<void> {
  checkArguments(tracker, source, feed, options);
  // Who shows nothing in other tabs does not load what that takes.
  if (isViewed(options)) return import('./view.ts').then(({ viewAll }) => viewAll(tracker, source, feed, options));
  const reader = new Reader<E>(tracker, source, feed, options);
  if (isApplied<E>(options)) return applyAll(reader, tracker.store, source, options);
  if (options.handler) return handleAll(reader, options);
  return new Events(reader, options);
}

function isViewed<O extends { readonly view?: unknown }>(options: O): options is O & { readonly view: View<never> } {
  return options.view !== undefined;
}
