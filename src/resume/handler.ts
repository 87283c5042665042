import { isConcrete } from '../offset.ts';
import { type FeedEvent, type FeedHeartbeat, isHeartbeat } from '../feeds/feed.ts';
import type { FeedTracker, ReaderOptions } from './options.ts';
import type { Reader } from './reader.ts';

/** Options of `resume` where a handler processes the events, several at once if wanted. */
export interface HandlerOptions<E extends FeedEvent<unknown>> extends ReaderOptions {
  /**
   * Processes one event. The signal is aborted when the event is void, because the source was reset, and when the reading
   * is aborted; what the handler throws then is of no interest.
   */
  readonly handler: (event: E, context: { readonly signal: AbortSignal }) => unknown;
  /** How many events are processed at once; default 1. */
  readonly concurrency?: number;
}

/** Has a handler process what a reader reads, each event with a ticket of its own. */
export async function handleAll<E extends FeedEvent<unknown>>(
  reader: Reader<E>,
  tracker: FeedTracker,
  source: string,
  { handler, concurrency = 1 }: HandlerOptions<E>,
): Promise<void> {
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    throw new TypeError(`concurrency ${concurrency}: give a whole number of events, 1 or more`);
  }
  const running = new Running();

  const handle = async (item: E | FeedHeartbeat): Promise<void> => {
    const { offset } = item;
    const { life, signal } = reader;
    let abandon: (() => void) | undefined;
    running.count++;
    try {
      const ticket = offset && isConcrete(offset) ? tracker.begin(source, offset) : undefined;
      abandon = ticket?.abandon;
      if (!isHeartbeat(item)) await handler(item, { signal });
      if (ticket && (await reader.sure()) && life === reader.life) reader.watch(ticket.done());
    } catch (error) {
      abandon?.();
      if (!signal.aborted) reader.fail(error);
    } finally {
      running.oneLess();
    }
  };

  try {
    for (let item = await reader.next(); item; item = await reader.next()) {
      const { itemLife: life } = reader;
      const ready = tracker.ready(source).then(() => true);
      while (reader.alive(life) && !(await reader.until(ready)));
      if (reader.alive(life)) void handle(item);
      await running.fewerThan(concurrency);
    }
  } catch (error) {
    await running.fewerThan(1);
    await reader.close().catch(() => {});
    throw error;
  } finally {
    await running.fewerThan(1);
    await reader.close();
  }
}

/** Counts the handlers that run. */
class Running {
  count = 0;
  #freed: (() => void) | undefined;

  oneLess(): void {
    this.count--;
    this.#freed?.();
  }

  async fewerThan(limit: number): Promise<void> {
    while (this.count >= limit) {
      await new Promise<void>((resolve) => {
        this.#freed = resolve;
      });
    }
  }
}
