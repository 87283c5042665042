import type { FeedEvent } from '../feeds/feed.ts';
import type { ReaderOptions } from './options.ts';

/** Options of `resume` where every tab shows the events that one of them reads. */
export interface ViewOptions<E extends FeedEvent<unknown>> extends ReaderOptions<E> {
  readonly exclusive: true;
  readonly batch?: undefined;
  readonly transact?: undefined;
  /**
   * Called in every tab, once for each event, in order and without a gap; a promise is awaited before the next. `origin` is
   * 'local' where this tab has read the event over a connection of its own. A new tab begins where the source stands in the
   * store. What it throws ends this tab's reading with the error.
   */
  readonly view: (event: E, about: { readonly origin: 'local' | 'remote' }) => unknown;
  /**
   * Processes the events in the tab that reads alone, and decides what is recorded. Without one, an event is recorded once
   * the reading tab has viewed it.
   */
  readonly handler?: (event: E, context: { readonly signal: AbortSignal }) => unknown;
  /** How many events are processed at once; default 1. */
  readonly concurrency?: number;
}
