import type { FeedEvent } from '../feeds/feed.ts';
import type { Offset } from '../offset.ts';
import type { ReaderOptions } from './options.ts';

/** Shows an event in a tab; see {@link ViewOptions}. */
export type View<E> = (event: E, about: { readonly origin: 'local' | 'remote' }) => unknown;

/** Where a tab begins to show events. */
export interface ViewPlace {
  /**
   * The offset of the last event that this tab shows already, as where it keeps a list of its own: `view` is called for what
   * follows it. Default: the offset that the store holds as the tab begins.
   */
  readonly viewFrom?: Offset | undefined;
}

/** Options of {@link resume} where every tab shows the events that one of them reads. */
export interface ViewOptions<E extends FeedEvent<unknown>> extends ReaderOptions<E>, ViewPlace {
  /** One tab reads, the others wait for their turn: only so can all of them show one connection's events. */
  readonly exclusive: true;
  readonly batch?: undefined;
  readonly transact?: undefined;
  /**
   * Called in every tab, once for each event, in order and without a gap; a promise is awaited before the next. `origin` is
   * 'local' where this tab has read the event over a connection of its own. A new tab begins where `viewFrom` says, or
   * where the source stands in the store. What it throws ends this tab's reading with the error.
   */
  readonly view: View<E>;
  /**
   * Processes the events in the tab that reads alone, and decides what is recorded. Default: none, and an event is
   * recorded once the reading tab has viewed it.
   */
  readonly handler?: (event: E, context: { readonly signal: AbortSignal }) => unknown;
  /** How many events are processed at once; default 1. */
  readonly concurrency?: number;
}
