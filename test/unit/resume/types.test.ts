import {
  Offset,
  OffsetTracker,
  InMemoryOffsetStore,
  resume,
  type Feed,
  type FeedEvent,
  sse,
  type SseEvent,
} from 'tidemark';
import { expectTypeOf, test } from 'vitest';

interface Order {
  readonly total: number;
}

const tracker = new OffsetTracker(new InMemoryOffsetStore());

test('events have the type that the feed says', () => {
  const orders: Feed<Order> = async function* () {};
  expectTypeOf(resume(tracker, 'orders', orders)).toEqualTypeOf<AsyncGenerator<FeedEvent<Order>, void, void>>();

  const text = resume(tracker, 'orders', sse('/feed'));
  expectTypeOf(text).toEqualTypeOf<AsyncGenerator<SseEvent<string>, void, void>>();

  const parsed = resume(tracker, 'orders', sse('/feed', { parse: (data): Order => JSON.parse(data) }));
  expectTypeOf(parsed).toEqualTypeOf<AsyncGenerator<SseEvent<Order>, void, void>>();
});

test('a handler is given events of that type, and makes a promise of the reading', () => {
  const orders: Feed<Order> = async function* () {};
  const signal = AbortSignal.abort();
  const reading = resume(tracker, 'orders', orders, {
    signal,
    concurrency: 4,
    handler: async (event) => expectTypeOf(event).toEqualTypeOf<FeedEvent<Order>>(),
  });
  expectTypeOf(reading).toEqualTypeOf<Promise<void>>();
});

test('a feed may be written where it is used', () => {
  const totals = async (): Promise<number> => {
    let sum = 0;
    const events = resume(tracker, 'orders', async function* (from, { signal }) {
      expectTypeOf(from).toEqualTypeOf<Offset>();
      if (signal.aborted) return 'end';
      yield { offset: Offset.sequence(1), data: { total: 1 } };
      yield { heartbeat: true, offset: Offset.sequence(2) };
      return;
    });
    for await (const { data } of events) sum += data.total;
    return sum;
  };
  expectTypeOf(totals).toBeFunction();
});
