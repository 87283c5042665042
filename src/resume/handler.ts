import { type FeedEvent, type FeedHeartbeat, isHeartbeat } from '../feeds/feed.ts';
import { isConcrete } from '../offset.ts';
import type { Ticket } from '../tracker/types.ts';
import { workOn } from './attempts.ts';
import type { Delivery } from './delivery.ts';
import type { ReaderOptions } from './options.ts';
import type { Reader } from './reader.ts';
import { Running, checkCount } from './running.ts';

/** Options of {@link resume} where a handler processes the events, several at once if wanted. */
export interface HandlerOptions<E extends FeedEvent<unknown>> extends ReaderOptions<E> {
  /**
   * Processes one event. The signal is aborted when the event is void, because the source was reset, and when the reading
   * is aborted; what the handler throws then is of no interest.
   */
  readonly handler: (event: E, context: { readonly signal: AbortSignal }) => unknown;
  readonly batch?: undefined;
  readonly transact?: undefined;
  /** How many events are processed at once; default 1. */
  readonly concurrency?: number;
  readonly view?: undefined;
}

/** Has a handler process what a reader reads, each event with a ticket of its own. */
export async function handleAll<E extends FeedEvent<unknown>>(
  reader: Reader<E>,
  options: HandlerOptions<E>,
): Promise<void> {
  const { concurrency = 1 } = options;
  checkCount('concurrency', concurrency);
  const { closeTimeoutMs = 5000 } = options;
  const running = new Running(closeTimeoutMs, () => reader.news.letGo(closeTimeoutMs));
  try {
    for (let delivery = await reader.next(); delivery; delivery = await reader.next()) {
      await begin(reader, options, delivery, running);
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

/** Waits for room, and starts the handler. */
async function begin<E extends FeedEvent<unknown>>(
  reader: Reader<E>,
  options: HandlerOptions<E>,
  delivery: Delivery<E>,
  running: Running,
): Promise<void> {
  const { item, reading, signal } = delivery;
  const { offset } = item;
  let ticket: Ticket | undefined;
  try {
    if (offset && isConcrete(offset)) {
      ticket = await reading.begin(offset, { heartbeat: isHeartbeat(item), signal });
    }
  } catch (error) {
    // Nor does room come where an event has failed: `next` rejects with what it failed with.
    if (!signal.aborted && !reader.ended) throw error;
    return;
  }
  if (signal.aborted || reader.ended) return ticket?.abandon();
  const handle = async (read: E | FeedHeartbeat): Promise<'handled'> => {
    if (!isHeartbeat<E>(read)) await options.handler(read, { signal });
    return 'handled';
  };
  const work = async (): Promise<void> => {
    try {
      const handled = await workOn(reader.news, options, delivery, handle);
      if (!ticket) return;
      // A tab that was asleep meanwhile may have been taken for dead.
      const leads = handled !== undefined && reader.isLeader();
      if (leads === true || (await leads)) reader.watch(ticket.done(), ticket.offset);
      else ticket.abandon();
    } catch (error) {
      if (!signal.aborted) reader.fail(error);
      ticket?.abandon();
    }
  };
  running.run(work, signal, () => ticket?.abandon());
}
