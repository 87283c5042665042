import { FeedChangedError, FeedExpiredError, quote } from '../errors.ts';
import type { FeedOpening } from '../feeds/feed.ts';
import { type Offset, format, isConcrete } from '../offset.ts';
import type { Runs } from '../tracker/runs.ts';
import type { Filter } from './filter.ts';

/**
 * Compares what a feed tells of itself with the place, and notes its id.
 * @returns why reading cannot go on there, where the log is another one than the place belongs to
 */
export function checkIdentity(
  { feedId, head }: FeedOpening,
  filter: Filter,
  source: string,
  runs: Runs,
): FeedChangedError | undefined {
  const { place } = filter;
  const expected = runs.feedOf(source);
  const started = isConcrete(place);
  const other = otherLog(feedId, filter, source, runs);
  if (other) return other;
  if (started && head && filter.isBehind(head)) {
    const about = feedId === undefined ? '' : ` of the log ${quote(feedId)}`;
    return changed(`ends at '${format(head)}'${about}, before the place '${format(place)}'`, {
      source,
      expected: expected ?? feedId,
      found: feedId,
    });
  }
  if (feedId !== undefined) runs.identify(source, feedId);
  return undefined;
}

/** Why the place is none of the feed's: a server that refuses it may say that its log is another one. */
export function whyLost<E extends FeedExpiredError | FeedChangedError>(
  error: E,
  filter: Filter | undefined,
  runs: Runs,
): E | FeedChangedError {
  if (!(error instanceof FeedExpiredError) || !filter) return error;
  const { feedId, source } = error;
  return (source !== undefined && otherLog(feedId, filter, source, runs)) || error;
}

/** The error of a log that is not the one that the place belongs to. */
function otherLog(
  found: string | undefined,
  { place }: Filter,
  source: string,
  runs: Runs,
): FeedChangedError | undefined {
  const expected = runs.feedOf(source);
  if (found === undefined || expected === undefined || found === expected || !isConcrete(place)) return undefined;
  const what = `is the log ${quote(found)} now, and '${format(place)}' belongs to ${quote(expected)}`;
  return changed(what, { source, expected, found });
}

function changed(
  what: string,
  options: { readonly source: string; readonly expected: string | undefined; readonly found: string | undefined },
): FeedChangedError {
  return new FeedChangedError(
    `the feed of ${quote(options.source)} ${what}: it was recreated or restored. Say by \`onFeedChanged\` where to go on, ` +
      'or reset the source',
    options,
  );
}

/** Where a feed that is read from 'latest' stands: reading goes on there whatever happens before the first event. */
export function pinOf(filter: Filter, head: Offset | undefined): Offset | undefined {
  return filter.place.kind === 'latest' && head && isConcrete(head) && filter.moves(head) ? head : undefined;
}
