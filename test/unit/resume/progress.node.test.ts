import { DurableStreamTestServer } from '@durable-streams/server';
import {
  InMemoryOffsetStore,
  Offset,
  OffsetTracker,
  type Feed,
  type FeedEvent,
  durableStream,
  poll,
  resume,
  sse,
} from 'tidemark';
import { SqliteOffsetStore } from 'tidemark/sqlite';
import { afterEach, expect, test } from 'vitest';
import { serveHttp } from '../feeds/http-server.ts';
import { openMemory } from '../stores/sqlite-engines.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** What was processed when the source was caught up with. */
async function catchUp<T>(feed: Feed<T, FeedEvent<T>>, store = new InMemoryOffsetStore()): Promise<T[]> {
  const tracker = new OffsetTracker(store);
  const stop = new AbortController();
  const seen: T[] = [];
  const reading = resume(tracker, 'orders', feed, { signal: stop.signal, handler: ({ data }) => void seen.push(data) });
  await tracker.caughtUp('orders');
  stop.abort();
  await reading;
  await tracker.close();
  return seen;
}

test.each([5, 4, 0])('pages of a log of %i are caught up with at the empty one', async (count) => {
  const { url, close } = await serveHttp((_request, response, { searchParams }) => {
    const from = Number(searchParams.get('cursor') ?? 0);
    const orders = Array.from({ length: count }, (_, i) => i + 1).slice(from, from + 2);
    response.end(JSON.stringify({ orders, cursor: String(from + orders.length) }));
  });
  closing.push(close);
  interface Page {
    readonly orders: number[];
    readonly cursor: string;
  }
  const options = { events: ({ orders }: Page) => orders, next: ({ cursor }: Page) => cursor, intervalMs: 20 };
  const all = Array.from({ length: count }, (_, i) => i + 1);
  const store = new InMemoryOffsetStore();
  expect(await catchUp(poll(url, options), store)).toEqual(all);
  expect(await catchUp(poll(url, options), store)).toEqual([]);
  const more = ({ orders }: Page): boolean => orders.length === 2;
  expect(await catchUp(poll(url, { ...options, more }))).toEqual(all);
});

test.each(['long-poll', 'sse'] as const)('a Durable Stream is caught up with at its end, with %s', async (live) => {
  const server = new DurableStreamTestServer({ port: 0, host: '127.0.0.1', longPollTimeout: 200 });
  await server.start();
  closing.push(() => server.stop());
  const url = `${server.url}/orders`;
  const headers = { 'content-type': 'application/json' };
  await fetch(url, { method: 'PUT', headers });
  for (const n of [1, 2, 3]) await fetch(url, { method: 'POST', headers, body: JSON.stringify(n) });
  const store = new InMemoryOffsetStore();
  expect(await catchUp(durableStream<number>(url, { live }), store)).toEqual([1, 2, 3]);
  expect(await catchUp(durableStream<number>(url, { live }), store)).toEqual([]);
});

/** A server that says where its newest event is in a header. */
async function telling(last: number) {
  const { url, close } = await serveHttp((request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-head': String(last) });
    response.write(': hello\n\n');
    for (let n = Number(request.headers['last-event-id'] ?? 0) + 1; n <= last; n++)
      response.write(`id: ${n}\ndata: ${n}\n\n`);
  });
  closing.push(close);
  return url;
}

test.each([{}, { offset: Offset.sequence }])(
  'a feed of Server-Sent Events is caught up with at the head that it tells: %j',
  async (options) => {
    const url = await telling(50);
    const store = new InMemoryOffsetStore();
    const feed = sse(url, { head: 'x-head', ...options });
    expect(await catchUp(feed, store)).toHaveLength(50);
    expect(await catchUp(feed, store)).toEqual([]);
  },
);

test('a batch is caught up with once it is stored', async () => {
  const url = await telling(20);
  const tracker = new OffsetTracker(new SqliteOffsetStore(openMemory()));
  const stop = new AbortController();
  const reading = resume(tracker, 'orders', sse(url, { head: 'x-head' }), {
    signal: stop.signal,
    fence: true,
    transact: true,
    batch: { size: 7, intervalMs: 50 },
    handler: () => {},
  });
  await tracker.caughtUp('orders');
  expect(tracker.status('orders')).toMatchObject({ committed: Offset.custom('20'), caughtUp: true });
  stop.abort();
  await reading;
});
