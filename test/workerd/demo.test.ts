import { rm } from 'node:fs/promises';
import { Miniflare, type MiniflareOptions } from 'miniflare';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { workers } from '../../demo/worker/workers.js';
import { mulberry32 } from '../random.ts';
import { temporaryFolder, workerds } from './runtime.ts';

vi.setConfig({ testTimeout: 120_000 });

interface State {
  readonly invoices: { readonly place: string; readonly saved: number };
  readonly rates: { readonly place: string; readonly saved: number };
  readonly orders: { readonly place: string; readonly saved: number };
  readonly prices: { readonly place: string; readonly count: number; readonly sum: number };
}

interface Options {
  readonly workers: readonly object[];
}

interface Handlers {
  scheduled(options: { readonly cron: string }): Promise<{ readonly outcome: string }>;
  queue(
    name: string,
    messages: readonly object[],
  ): Promise<{ readonly explicitAcks: string[]; readonly retryMessages: readonly { readonly msgId: string }[] }>;
}

let folder: string;
let miniflare: Miniflare;

beforeEach(async () => {
  folder = temporaryFolder();
  miniflare = await open();
});

afterEach(async () => {
  await miniflare.dispose();
  await rm(folder, { recursive: true, force: true });
});

describe("the demo's Worker", () => {
  it('drains a paged feed on a schedule, as far as the time allows, and goes on from there', async () => {
    await reopen({ runMs: 0 });
    for (const end of [100, 200, 300]) {
      expect((await (await handlers()).scheduled({ cron: '* * * * *' })).outcome).toBe('ok');
      expect((await state()).invoices).toEqual({ place: `custom:${end}`, saved: end });
    }
    await reopen();
    await (await handlers()).scheduled({ cron: '* * * * *' });
    expect((await state()).invoices).toEqual({ place: 'custom:1000', saved: 1000 });
  });

  it('drains it from a KV that refuses a second write of a key in a second', async () => {
    await reopen({ runMs: 0 }, (options) => {
      const [demo, ...others] = options.workers;
      const limited = { name: 'limited', modules: true, script: limitedKV, kvNamespaces: { INNER: 'OFFSETS' } };
      return {
        ...options,
        workers: [
          { ...demo, kvNamespaces: [], wrappedBindings: { OFFSETS: { scriptName: 'limited', bindings: {} } } },
          ...others,
          limited,
        ],
      };
    });
    for (const end of [100, 200, 300]) {
      expect((await (await handlers()).scheduled({ cron: '* * * * *' })).outcome).toBe('ok');
      expect((await state()).invoices).toEqual({ place: `custom:${end}`, saved: end });
    }
  });

  it('answers a request at once, and drains another feed after that', async () => {
    const response = await miniflare.dispatchFetch('http://worker/refresh', { method: 'POST' });
    expect(response.status).toBe(202);
    await response.text();
    await expect.poll(async () => (await state()).rates).toEqual({ place: 'custom:1000', saved: 1000 });
  });

  it('loses none of 300 messages of a queue, though one in twenty fails and they come in any order', async () => {
    const random = mulberry32(3);
    const consumer = await handlers();
    const waiting = Array.from({ length: 300 }, (_, i) => i + 1);
    const acknowledged = new Set<number>();
    let triedAgain = 0;
    for (let batches = 0; waiting.length > 0 && batches < 1000; batches++) {
      waiting.sort(() => random() - 0.5);
      const batch = waiting.splice(0, 10);
      const messages = batch.map((n) => ({ id: String(n), timestamp: new Date(), attempts: 1, body: { n } }));
      const { explicitAcks, retryMessages } = await consumer.queue('orders', messages);
      for (const id of explicitAcks) acknowledged.add(Number(id));
      expect(explicitAcks.length + retryMessages.length).toBe(batch.length);
      triedAgain += retryMessages.length;
      waiting.push(...retryMessages.map(({ msgId }) => Number(msgId)));
      // What is acknowledged never comes again: it has to be done.
      expect((await state()).orders.saved).toBeGreaterThanOrEqual(acknowledged.size);
    }
    expect(acknowledged.size).toBe(300);
    expect(triedAgain).toBeGreaterThanOrEqual(15);
    expect((await state()).orders).toEqual({ place: 'seq:300', saved: 300 });
  });

  it('reads what is sent to the queue itself', async () => {
    await (await miniflare.dispatchFetch('http://worker/orders?first=1&last=60', { method: 'POST' })).text();
    await expect.poll(async () => (await state()).orders.saved).toBe(60);
  });

  it('counts each event of an SSE feed once, over dropped connections and two kills', async () => {
    await start();
    for (const enough of [1, 100]) {
      await expect.poll(async () => (await state()).prices.count, { interval: 5 }).toBeGreaterThanOrEqual(enough);
      for (const pid of workerds()) process.kill(pid, 'SIGKILL');
      await reopen();
      await start();
    }
    await expect.poll(async () => (await state()).prices.place).toBe('seq:400');
    expect((await state()).prices).toEqual({ place: 'seq:400', count: 400, sum: (400 * 401) / 2 });
  });
});

/** What a real KV does to whoever writes too fast. */
const limitedKV = `export default function ({ INNER }) {
  const last = new Map();
  return {
    get: (...given) => INNER.get(...given),
    list: (...given) => INNER.list(...given),
    delete: (...given) => INNER.delete(...given),
    async put(key, ...given) {
      if (Date.now() - (last.get(key) ?? 0) < 1000) throw new Error('KV PUT failed: 429 Too Many Requests');
      last.set(key, Date.now());
      return INNER.put(key, ...given);
    },
  };
}`;

async function reopen(options: { runMs?: number } = {}, change = (given: Options): Options => given): Promise<void> {
  await miniflare.dispose();
  miniflare = await open(options, change);
}

async function open(options: { runMs?: number } = {}, change = (given: Options): Options => given): Promise<Miniflare> {
  const opened = new Miniflare(
    change((await workers({ folder, ...options })) as unknown as Options) as unknown as MiniflareOptions,
  );
  await opened.ready;
  return opened;
}

async function start(): Promise<void> {
  await (await miniflare.dispatchFetch('http://worker/prices', { method: 'POST' })).text();
}

async function state(): Promise<State> {
  return (await (await miniflare.dispatchFetch('http://worker/')).json()) as State;
}

// Miniflare's types are those of Cloudflare's package of types, which this project does without.
async function handlers(): Promise<Handlers> {
  return (await miniflare.getWorker('demo')) as unknown as Handlers;
}
