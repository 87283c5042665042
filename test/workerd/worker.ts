import type { CloudflareKVBinding } from '../../src/stores/cloudflare-kv/store.ts';
import { CloudflareKVOffsetStore } from '../../src/stores/cloudflare-kv/store.ts';
import { Offset, OffsetTracker } from '../../src/index.ts';
import { testOffsetStore } from '../../src/testing/index.ts';
import { Suite } from './suite.ts';

/** What this Worker uses of the Workers runtime. */
interface Env {
  readonly KV: CloudflareKVBinding;
}
interface Message {
  readonly body: { readonly n: number; readonly isBad?: boolean };
  ack(): void;
  retry(): void;
}

let env: Env | undefined;
/** Called when a write of the store of all begins; answers whether that write is ever to end. */
let begins = (): boolean => true;
const kvOfAll: CloudflareKVBinding = {
  get: (key, type) => kv().get(key, type),
  put: (key, value, options) => (begins() ? kv().put(key, value, options) : new Promise(() => {})),
  delete: (key) => kv().delete(key),
  list: (options) => kv().list(options),
};

// Made in global scope, where Workers allow neither timers nor I/O nor random numbers, and used by all requests. Its
// time runs fifty times as fast, so that nobody has to wait for it.
const storeOfAll = new CloudflareKVOffsetStore(kvOfAll, {
  prefix: 'all:',
  now: () => Date.now() * 50,
  wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms / 50)),
});

export default {
  async fetch(request: Request, bindings: Env): Promise<Response> {
    env = bindings;
    const { pathname, searchParams } = new URL(request.url);
    const number = Number(searchParams.get('number'));
    switch (pathname) {
      case '/conformance':
        return Response.json(await conformance(bindings.KV));
      case '/list':
        return Response.json(await list(bindings.KV, number));
      case '/rate':
        return Response.json(await rate(bindings.KV, number));
      case '/refusals':
        return Response.json(await refusals(bindings.KV, new Error(String(searchParams.get('error'))), number));
      case '/fresh':
        return Response.json(await fresh(bindings.KV));
      case '/many':
        return new Response(String(await many(bindings.KV, Number(searchParams.get('count')), number)));
      case '/commit':
        return new Response(String(await commit(storeOfAll, number)));
      case '/leave':
        await leave(number, String(searchParams.get('during')));
        return new Response('left');
      default:
        return new Response(null, { status: 404 });
    }
  },

  /** Reads a feed of 1,000 events on a schedule, from where it was left. */
  async scheduled(_: unknown, { KV }: Env): Promise<void> {
    const tracker = new OffsetTracker(new CloudflareKVOffsetStore(KV), {
      strategy: { every: 250 },
      resetPolicy: () => Offset.sequence(0),
    });
    try {
      let { from: next } = await tracker.read('scheduled');
      for (let i = 0; i < 1000; i++) {
        next = Offset.increment(next) ?? next;
        void tracker.record('scheduled', next);
      }
    } finally {
      await tracker.close();
    }
  },

  /** Processes messages side by side. A message is acknowledged where its own ticket was done, and is committed. */
  async queue({ messages }: { readonly messages: readonly Message[] }, { KV }: Env): Promise<void> {
    const tracker = new OffsetTracker(new CloudflareKVOffsetStore(KV), { strategy: 'manual' });
    await tracker.read('queue');
    const sorted = [...messages];
    sorted.sort((a, b) => a.body.n - b.body.n);
    const done = new Set<Message>();
    const process = async (message: Message, pauseMs: number): Promise<void> => {
      const ticket = await tracker.begin('queue', Offset.sequence(message.body.n));
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      if (message.body.isBad) return ticket.abandon();
      await ticket.done();
      done.add(message);
    };
    await Promise.all(sorted.map((message, i) => process(message, (sorted.length - i) * 5)));
    await tracker.commitAll();
    const { committed } = tracker.status('queue');
    for (const message of sorted) {
      const isCommitted = committed && (Offset.compare(Offset.sequence(message.body.n), committed) ?? 1) <= 0;
      // What is done behind one that failed is not committed: it is tried again as that one is.
      if (done.has(message) && isCommitted) message.ack();
      else message.retry();
    }
    await tracker.close();
  },
};

async function conformance(binding: CloudflareKVBinding) {
  const suite = new Suite();
  const open = ({ id, ...options }: { readonly id: string }) =>
    new CloudflareKVOffsetStore(binding, { ...options, prefix: `worker ${id}:`, writeIntervalMs: 1 });
  testOffsetStore('Workers KV in a Worker', open, suite);
  return suite.run();
}

/** Commits many sources, and has another store list them. */
async function list(binding: CloudflareKVBinding, count: number) {
  const committedAt = Date.now();
  const batch = new Map(
    Array.from({ length: count }, (_, i) => [`${i}`, { epoch: 0, rank: i, offset: Offset.sequence(i), committedAt }]),
  );
  await new CloudflareKVOffsetStore(binding, { prefix: 'list:' }).commit(batch);
  const { calls, counted } = counting(binding, Infinity);
  const all = await new CloudflareKVOffsetStore(counted, { prefix: 'list:' }).getAll();
  return {
    found: [...all].filter(([source, { rank }]) => String(rank) === source).length,
    calls: calls.map(({ call }) => call),
  };
}

/** What a Worker does an invocation: a store and a tracker of its own. @returns when it wrote */
async function fresh(binding: CloudflareKVBinding): Promise<number[]> {
  const { calls, counted } = counting(binding, Infinity);
  const tracker = new OffsetTracker(new CloudflareKVOffsetStore(counted, { prefix: 'fresh:' }), { strategy: 'manual' });
  const from = await tracker.getOffset('orders');
  await tracker.record('orders', Offset.increment(from) ?? Offset.sequence(1));
  await tracker.close();
  return calls.filter(({ call }) => call === 'put').map(({ at }) => at);
}

/** Commits many sources within Workers' limit of calls an invocation. @returns how many it took */
async function many(binding: CloudflareKVBinding, count: number, number: number): Promise<number> {
  const { calls, counted } = counting(binding, 1000);
  const store = new CloudflareKVOffsetStore(counted, { prefix: `many ${count}:`, writeIntervalMs: 1 });
  const tracker = new OffsetTracker(store, { strategy: 'manual', onError() {} });
  for (let i = 0; i < count; i++) void tracker.record(`source ${i}`, Offset.sequence(number));
  await tracker.close().catch(() => {});
  return calls.length;
}

/** A binding that notes its calls as they end, and refuses those beyond a limit, as Workers do. */
function counting(binding: CloudflareKVBinding, limit: number) {
  const calls: { readonly call: string; readonly at: number }[] = [];
  let begun = 0;
  const count = async <T>(call: string, run: () => Promise<T>): Promise<T> => {
    if (++begun > limit) throw new Error('Too many API requests by single worker invocation.');
    const answer = await run();
    calls.push({ call, at: Date.now() });
    return answer;
  };
  const counted: CloudflareKVBinding = {
    get: (key, type) => count('get', () => binding.get(key, type)),
    list: (options) => count('list', () => binding.list(options)),
    put: (key, value, options) => count('put', () => binding.put(key, value, options)),
    delete: (key) => count('delete', () => binding.delete(key)),
  };
  return { calls, counted };
}

/** Commits one after another to a KV that takes a write of a key each 100 ms, and counts what it refuses. */
async function rate(binding: CloudflareKVBinding, commits: number) {
  let refused = 0;
  let last = -Infinity;
  const limited: CloudflareKVBinding = {
    get: (key, type) => binding.get(key, type),
    list: (options) => binding.list(options),
    delete: (key) => binding.delete(key),
    async put(key, value, options) {
      // Before some I/O the time is that of the last I/O.
      await binding.get('the time', 'text');
      const before = last;
      last = Date.now();
      if (last - before < 100) {
        refused++;
        throw new Error('KV PUT failed: 429 Too Many Requests');
      }
      await binding.put(key, value, options);
    },
  };
  const store = new CloudflareKVOffsetStore(limited, { prefix: 'rate:', writeIntervalMs: 110 });
  let stands: string | undefined;
  for (let n = 1; n <= commits; n++) stands = await commit(store, n);
  return { refused, stands };
}

/** Commits once to a KV that refuses a number of writes with an error. */
async function refusals(binding: CloudflareKVBinding, error: Error, count: number) {
  let refused = 0;
  if (error.message === 'Network connection lost.') Object.assign(error, { retryable: true });
  const refusing: CloudflareKVBinding = {
    get: (key, type) => binding.get(key, type),
    list: (options) => binding.list(options),
    delete: (key) => binding.delete(key),
    put: (key, value, options) => (refused++ < count ? Promise.reject(error) : binding.put(key, value, options)),
  };
  const options = { prefix: `refusals ${error.message} ${count}:`, writeIntervalMs: 1, retryBaseMs: 1 };
  const store = new CloudflareKVOffsetStore(refusing, options);
  try {
    return { stands: await commit(store, 1) };
  } catch (found) {
    const { name, message, source, retryable } = found as Record<string, unknown>;
    return { name, message, source, retryable, puts: refused };
  }
}

/** Begins a commit and returns in the middle of it: the response ends the request, and all that it has not awaited. */
async function leave(number: number, during: string): Promise<void> {
  const reached = new Promise<void>((resolve) => {
    begins = () => {
      resolve();
      return during !== 'a write that never ends';
    };
  });
  void commit(storeOfAll, number);
  if (during !== 'the pause') await reached;
  begins = () => true;
}

async function commit(store: CloudflareKVOffsetStore, number: number): Promise<string | undefined> {
  const checkpoint = { epoch: 0, rank: number, offset: Offset.sequence(number), committedAt: Date.now() };
  const stands = (await store.commit(new Map([['orders', checkpoint]]))).get('orders');
  return stands?.offset && Offset.format(stands.offset);
}

function kv(): CloudflareKVBinding {
  if (env === undefined) throw new Error('no request yet');
  return env.KV;
}
