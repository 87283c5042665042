import { type Feed, InMemoryOffsetStore, Offset, OffsetTracker, resume, sse } from 'tidemark';
import { CloudflareKVOffsetStore } from 'tidemark/cloudflare-kv';
import { IndexedDBOffsetStore } from 'tidemark/indexeddb';
import { LocalStorageOffsetStore } from 'tidemark/local-storage';
import { MemoryLog, serve } from 'tidemark/serve';
import { testOffsetStore, testTransact } from 'tidemark/testing';
import { Suite } from '../workerd/suite.ts';
import { cutAfter } from './cut-after.ts';

const suite = new Suite();
const { it, expect } = suite;

testOffsetStore('memory', ({ compare }) => new InMemoryOffsetStore([], { compare }), suite);

testTransact(
  'memory',
  ({ compare }) => {
    const store = new InMemoryOffsetStore([], { compare });
    let sum = 0;
    return {
      store,
      apply: (source, change, amount) => store.transact(source, change, () => void (sum += amount)),
      fail: (source, change, amount, error) =>
        store.transact(source, change, () => {
          if (amount !== 0) throw error;
        }),
      read: async () => sum,
    };
  },
  suite,
);

it('`resume` reads what `serve` sends over connections that break, each event once', async () => {
  const log = new MemoryLog<number>();
  for (let i = 1; i <= 100; i++) log.append(i);
  const handler = serve(log.feed, { retryMs: 1 });
  let requests = 0;
  const send = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const response = await handler(new Request(input, init));
    return ++requests > 2 ? response : new Response(cutAfter(response, 500), response);
  };
  const feed = sse('https://example.org/orders', {
    fetch: send,
    parse: Number,
    offset: Offset.sequence,
    earliest: 'earliest',
  });
  const store = new InMemoryOffsetStore();
  const found: number[] = [];
  for await (const { data } of resume(new OffsetTracker(store), 'orders', feed)) {
    found.push(data);
    if (data >= 100 && data < 300) log.append(data + 1);
    if (data === 300) break;
  }
  expect(found).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
  expect(requests).toEqual(3);
  // The last one was broken off, and so it was not processed.
  expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(299));
});

it('a feed with events at hand lets timers run, where there is neither setImmediate nor MessageChannel', async () => {
  const feed: Feed<number> = () => ({
    async *[Symbol.asyncIterator]() {
      for (let n = 1; n <= 64; n++) yield { offset: Offset.sequence(n), data: n };
      return 'end';
    },
  });
  let ran = false;
  setTimeout(() => (ran = true), 0);
  let ranBeforeTheEnd = false;
  for await (const { data } of resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', feed)) {
    const start = performance.now();
    while (performance.now() - start < 1);
    if (data === 64) ranBeforeTheEnd = ran;
  }
  expect(ranBeforeTheEnd).toEqual(true);
});

it('a store in KV keeps what is committed', async () => {
  const kept = new Map<string, { readonly value: string; readonly metadata: unknown }>();
  const store = new CloudflareKVOffsetStore({
    put: async (key: string, value: string, options?: { metadata?: unknown }) =>
      void kept.set(key, { value, metadata: options?.metadata }),
    get: async (key: string) => kept.get(key)?.value ?? null,
    getWithMetadata: async (key: string) => kept.get(key) ?? { value: null, metadata: null },
    list: async () => ({ keys: [...kept].map(([name, { metadata }]) => ({ name, metadata })), list_complete: true }),
    delete: async (key: string) => void kept.delete(key),
  } as never);
  const tracker = new OffsetTracker(store);
  await tracker.record('orders', Offset.custom('é'));
  await tracker.close();
  expect((await store.get('orders'))?.offset).toEqual(Offset.custom('é'));
});

it('stores of pages say that they have nothing to store in', async () => {
  for (const store of [new IndexedDBOffsetStore(), new LocalStorageOffsetStore()]) {
    const code = await store.get('orders').then(
      () => 'none',
      (error: unknown) => (error as { readonly code?: string }).code,
    );
    expect(code).toEqual('unsupported');
  }
});

export const verdicts = suite.run();
