/// <reference lib="esnext.disposable" preserve="true" />
import {
  type Feed,
  type FeedEvent,
  type FeedFailure,
  type FeedHeartbeat,
  type FeedItem,
  isHeartbeat,
} from '../feeds/feed.ts';
import { type HandlerOptions, handleAll } from './handler.ts';
import type { FeedTracker, ReaderOptions } from './options.ts';
import { Reader } from './reader.ts';

/** A feed by what it yields, so that one written where it is used need not name its type. */
type FeedOf<I> = (...args: Parameters<Feed<unknown>>) => AsyncIterable<I, 'end' | void, void>;
type EventOf<I> = Exclude<I, FeedHeartbeat | FeedFailure>;

/** Options of {@link resume}. */
export interface ResumeOptions extends ReaderOptions {
  readonly handler?: undefined;
}

/**
 * Reads a source from its offset on, for ever: opens the feed at `tracker.getOffset(source)`, and whenever it drops, after
 * a while, again at the position it had reached.
 *
 * When the loop asks for the next event, the last one is recorded; on `break` or `throw` it is not. Recording does not
 * hold the loop up: commits run beside it. One that cannot succeed ends the loop with its error, as do five in a row that
 * might have. When the source is reset, here or elsewhere, the event being processed is not recorded, and the feed is
 * opened anew where the reset says. At the end (`break`, `throw`, an abort, a feed that ended) what was recorded is
 * committed, and the loop rejects if that fails.
 *
 * @param feed see {@link Feed}; `sse` makes one
 * @returns the events; or, with a `handler`, which processes up to `concurrency` events at once, a promise of the end. A
 * handler that throws ends the reading with its error, once the others have finished: its event is not recorded, and none
 * after it.
 * @throws FeedError that is not retryable; FeedExpiredError without `onExpired`, or when it does not help;
 * SourceNotFoundError under the reset policy 'none'; what the store fails with
 */
export function resume<I extends FeedItem<unknown>>(
  tracker: FeedTracker,
  source: string,
  feed: FeedOf<I>,
  options?: ResumeOptions,
): AsyncGenerator<EventOf<I>, void, void>;
export function resume<I extends FeedItem<unknown>>(
  tracker: FeedTracker,
  source: string,
  feed: FeedOf<I>,
  options: HandlerOptions<EventOf<I>>,
): Promise<void>;
export function resume<E extends FeedEvent<unknown>>(
  tracker: FeedTracker,
  source: string,
  feed: Feed<unknown, E>,
  options: ResumeOptions | HandlerOptions<E> = {},
): AsyncGenerator<E, void, void> | Promise<void> {
  const reader = new Reader(tracker, source, feed, options);
  if (options.handler) return handleAll(reader, tracker, source, options);
  const events = oneByOne(reader);
  const end = events.return.bind(events);
  const over = {
    // Also while the next event is awaited, for which a generator's own would wait.
    return: () => {
      reader.stop();
      return end();
    },
    // Engines that know the symbol may not have it on their generators.
    [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]: async () => void (await over.return()),
  };
  return Object.assign(events, over);
}

async function* oneByOne<E extends FeedEvent<unknown>>(reader: Reader<E>): AsyncGenerator<E, void, void> {
  try {
    for (let item = await reader.next(); item; item = await reader.next()) {
      const { itemLife: life } = reader;
      if (!isHeartbeat(item) && life === reader.life) yield item;
      if (item.offset && (await reader.sure()) && life === reader.life) reader.record(item.offset);
    }
  } catch (error) {
    await reader.close().catch(() => {});
    throw error;
  } finally {
    await reader.close();
  }
}
