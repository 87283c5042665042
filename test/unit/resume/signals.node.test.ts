import { getEventListeners } from 'node:events';
import { InMemoryOffsetStore, OffsetTracker, type Feed, durableStream, poll, resume, sse } from 'tidemark';
import { expect, test } from 'vitest';
import { numbers, swift } from './feeds.ts';

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

/** The most that a signal collects while it is in use. */
function watching() {
  const most = new Map<AbortSignal, number>();
  const look = (signal: AbortSignal): void => {
    most.set(signal, Math.max(most.get(signal) ?? 0, listeners(signal)));
  };
  return { look, most: () => Math.max(...most.values()), count: () => most.size };
}

/** Tells of the signal of each opening. */
function seen<T>(feed: Feed<T>, look: (signal: AbortSignal) => void): Feed<T> {
  return async function* (from, context) {
    look(context.signal);
    const items = feed(from, context)[Symbol.asyncIterator]();
    try {
      for (let item = await items.next(); !item.done; item = await items.next()) {
        look(context.signal);
        yield item.value;
      }
    } finally {
      await items.return?.();
      look(context.signal);
    }
  };
}

test.each([1, 8])(
  'a long-lived signal collects no listeners, with a handler of concurrency %i',
  async (concurrency) => {
    const { look, most, count } = watching();
    const stop = new AbortController();
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { maxInFlight: 4 });
    const handled: AbortSignal[] = [];
    let failures = 0;
    await resume(tracker, 'orders', seen(numbers({ perOpening: 20 }).feed, look), {
      ...swift,
      signal: stop.signal,
      concurrency,
      onFailed: () => 'retry',
      handler: async ({ data }, { signal }) => {
        handled.push(signal);
        look(signal);
        look(stop.signal);
        await Promise.resolve();
        if (data % 10 === 0 && failures++ % 2 === 0) throw new Error('once more');
        if (data >= 1000) stop.abort();
      },
    });
    expect(count()).toBeGreaterThan(45);
    // For each event that waits before another attempt there is one.
    expect(most()).toBeLessThan(5 + 2 * concurrency);
    expect([listeners(stop.signal), new Set(handled).size]).toEqual([0, 1]);
  },
);

test('a signal that outlives many readings keeps no listener of theirs', async () => {
  const stop = new AbortController();
  const tracker = new OffsetTracker(new InMemoryOffsetStore());
  for (let last = 1; last <= 30; last++) {
    const { feed } = numbers({ last });
    if (last % 3 === 0) await resume(tracker, 'orders', feed, { signal: stop.signal, handler: () => {} });
    else if (last % 3 === 1) for await (const _ of resume(tracker, 'orders', feed, { signal: stop.signal }));
    else await resume(tracker, 'orders', feed, { signal: stop.signal, batch: { size: 3 }, handler: () => {} });
    await Promise.allSettled([
      tracker.caughtUp('elsewhere', { signal: AbortSignal.any([stop.signal, AbortSignal.timeout(1)]) }),
    ]);
  }
  const waiting = Array.from({ length: 5 }, () => tracker.caughtUp('orders', { signal: stop.signal }));
  expect(listeners(stop.signal)).toBe(5);
  await Promise.allSettled([...waiting, tracker.close()]);
  expect(listeners(stop.signal)).toBe(0);
});

const json = (value: unknown, headers = {}): Response => new Response(JSON.stringify(value), { headers });

test.each<[string, () => Feed<unknown>]>([
  [
    'sse',
    () => {
      let n = 0;
      const text = (): string => `id: ${++n}\ndata: x\n\n`;
      const headers = { 'content-type': 'text/event-stream' };
      return sse('/feed', { fetch: async () => new Response(Array.from({ length: 50 }, text).join(''), { headers }) });
    },
  ],
  [
    'poll',
    () => {
      let n = 0;
      const options = {
        events: (page: number[]) => page,
        offset: () => undefined,
        next: () => String(n),
        intervalMs: 0,
      };
      return poll('/feed', { ...options, fetch: async () => json(n % 3 === 0 ? [] : [n], { etag: String(n++) }) });
    },
  ],
  [
    'durableStream',
    () => {
      let n = 0;
      const headers = () => ({
        'stream-next-offset': String(++n).padStart(6, '0'),
        'content-type': 'application/json',
      });
      return durableStream('/feed', { fetch: async () => json([n], headers()) });
    },
  ],
])('an opening of %s collects no listeners, however many answers and events it brings', async (_kind, make) => {
  const { look, most } = watching();
  const stop = new AbortController();
  let count = 0;
  await resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', seen(make(), look), {
    ...swift,
    signal: stop.signal,
    handler: () => void (++count === 200 && stop.abort()),
  });
  expect(count).toBe(200);
  expect(most()).toBeLessThan(5);
});
