import { type FeedEvent, type FeedHeartbeat, isFailure } from '../feeds/feed.ts';
import type { Delivery } from './delivery.ts';
import type { News } from './news.ts';
import type { ReaderOptions } from './options.ts';
import { pauseBefore, sleep } from './sleep.ts';
import { about, verdictOn } from './verdict.ts';

/**
 * Does the work on an item, again where it fails and `onFailed` says so; one that could not be read is read again. Rejects
 * with what ends the reading.
 * @returns what the work gives; 'skipped', as `onFailed` said; undefined where the item is void
 */
export async function workOn<E extends FeedEvent<unknown>, T>(
  news: News,
  options: ReaderOptions<E>,
  { item, signal }: Delivery<E>,
  work: (item: E | FeedHeartbeat) => T | Promise<T>,
): Promise<T | 'skipped' | undefined> {
  const { offset } = item;
  let read = item;
  for (let number = 1; !signal.aborted; number++) {
    let error: unknown;
    let event: unknown = read;
    if (isFailure<E>(read)) {
      error = read.failed;
      ({ event } = read.failed);
    } else {
      try {
        return await work(read);
      } catch (thrown) {
        error = about(thrown, { event: read, offset: read.offset });
      }
    }
    if (signal.aborted) break;
    if ((await verdictOn(options, { error, event, offset }, number)) === 'skip') {
      news.skipped(offset, error);
      return 'skipped';
    }
    await sleep(pauseBefore(number, options), signal);
    if (isFailure<E>(read)) read = read.again();
  }
  return undefined;
}
