import type { Feed, FeedContext, FeedEvent, FeedItem, FeedOpening } from 'tidemark';
import { Offset } from 'tidemark';

/** What a feed is opened with, and what it told. */
export function context(signal: AbortSignal = new AbortController().signal) {
  const openings: FeedOpening[] = [];
  const given: FeedContext = {
    source: 'orders',
    signal,
    openedBefore: false,
    opened: (about = {}) => void openings.push(about),
    alive() {},
    deadAfter() {},
    reopenAfter() {},
    onRecorded() {},
    warn() {},
  };
  return { ...given, openings };
}

/** The next so many events of a feed, opened at a place. */
export async function take<T, E extends FeedEvent<T>>(feed: Feed<T, E>, from: Offset, count: number): Promise<T[]> {
  const found: T[] = [];
  for await (const item of feed(from, context())) {
    if (isEvent<T, E>(item)) found.push(item.data);
    if (found.length === count) break;
  }
  return found;
}

export function isEvent<T, E extends FeedEvent<T>>(item: FeedItem<T, E>): item is E {
  return 'data' in item;
}
