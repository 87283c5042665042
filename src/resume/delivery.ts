import type { FeedEvent, FeedFailure, FeedHeartbeat } from '../feeds/feed.ts';
import type { Reading } from '../tracker/types.ts';

/** An item of the feed, and the reading that it belongs to. */
export interface Delivery<E extends FeedEvent<unknown>> {
  readonly item: E | FeedHeartbeat | FeedFailure<E>;
  readonly reading: Reading;
  /** The same for all items of one opening of the feed. */
  readonly opening: object;
  /** Aborted when the item is void, or nobody wants it any more. */
  readonly signal: AbortSignal;
}
