// Records in a Worker into Workers KV, beside a put for each event: how many writes they cost, and how far what is stored is
// behind what is recorded. KV takes one write a second and key, and bills each.
import { Offset, OffsetTracker } from 'tidemark';
import { CloudflareKVOffsetStore } from 'tidemark/cloudflare-kv';

/** @typedef {import('tidemark/cloudflare-kv').CloudflareKVBinding} KV */

/** Counts the calls of a KV, and tells which of its writes have ended. @param {KV} kv @param {(value: string) => void} [stored] */
function counting(kv, stored = () => {}) {
  const calls = { get: 0, put: 0, delete: 0, list: 0 };
  /** @type {KV} */
  const counted = {
    get: (/** @type {any} */ key, /** @type {'text'} */ type) => {
      calls.get++;
      return kv.get(key, type);
    },
    put: async (key, value, options) => {
      calls.put++;
      await kv.put(key, value, options);
      stored(value + JSON.stringify(options));
    },
    delete: (key) => {
      calls.delete++;
      return kv.delete(key);
    },
    list: (options) => {
      calls.list++;
      return kv.list(options);
    },
  };
  return { calls, counted };
}

/** How many records come together, and how many ms pass until the next come: 2,000 a second. */
const group = 100;
const pauseMs = 50;

/**
 * Records come for some seconds. Each carries its number, so that what is stored tells how far it is behind.
 * @param {KV} kv @param {boolean} quick
 * @param {(counted: KV) => { record: (place: string) => Promise<unknown>, end: () => Promise<unknown> }} open
 */
async function flow(kv, quick, open) {
  const count = quick ? 6000 : 20_000;
  /** @type {number[]} when each was recorded */
  const recorded = [];
  let last = 0;
  let longest = 0;
  const { calls, counted } = counting(kv, (value) => {
    const n = Number(/place:(\d+)/.exec(value)?.[1] ?? 0);
    if (n <= last) return;
    // The oldest of those that were not stored until now has waited the longest.
    longest = Math.max(longest, Date.now() - (recorded[last] ?? NaN));
    last = n;
  });
  const { record, end } = open(counted);
  /** @type {Promise<unknown>[]} */
  const records = [];
  for (let n = 1; n <= count; n++) {
    recorded.push(Date.now());
    records.push(record(`place:${n}`));
    if (n % group === 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  await end();
  await Promise.all(records);
  if (last !== count) throw new Error(`${last} is stored, not ${count}`);
  return { amount: (calls.put * 10_000) / count, also: { 'longest lag, ms': longest } };
}

/** @param {import('tidemark').Strategy} strategy */
const tracking = (strategy) => (/** @type {KV} */ counted) => {
  const tracker = new OffsetTracker(new CloudflareKVOffsetStore(counted, { prefix: `${crypto.randomUUID()}:` }), {
    strategy,
    resetPolicy: 'earliest',
  });
  return {
    record: (/** @type {string} */ place) => tracker.record('orders', Offset.custom(place)),
    end: () => tracker.close(),
  };
};

/** @param {KV} counted */
const putting = (counted) => ({
  record: (/** @type {string} */ place) => counted.put('orders', place, {}),
  end: async () => {},
});

const sources = 1000;

/** @param {KV} kv */
async function listing(kv) {
  const at = { epoch: 0, rank: 1, offset: Offset.sequence(1), committedAt: Date.now() };
  const batch = new Map(Array.from({ length: sources }, (_, i) => [`source ${i}`, at]));
  await new CloudflareKVOffsetStore(kv, { prefix: 'listed:' }).commit(batch);
  const { calls, counted } = counting(kv);
  const { size } = await new CloudflareKVOffsetStore(counted, { prefix: 'listed:' }).getAll();
  return answerOf(calls, size);
}

/** @param {KV} kv */
async function gettingEach(kv) {
  for (let i = 0; i < sources; i++) await kv.put(`plain:source ${i}`, '1', {});
  const { calls, counted } = counting(kv);
  const { keys } = await counted.list({ prefix: 'plain:' });
  const found = await Promise.all(keys.map(({ name }) => counted.get(name, 'text')));
  return answerOf(calls, found.length);
}

/** @param {{ get: number, list: number }} calls @param {number} found */
function answerOf({ get, list }, found) {
  if (found !== sources) throw new Error(`${found} are found, not ${sources}`);
  return { amount: get + list };
}

/** @type {Record<string, (kv: KV, quick: boolean) => Promise<import('../lib/turns.js').Answer>>} */
const ways = {
  'a put for each event': (kv, quick) => flow(kv, quick, putting),
  auto: (kv, quick) => flow(kv, quick, tracking('auto')),
  '{ every: 100 }': (kv, quick) => flow(kv, quick, tracking({ every: 100 })),
  '{ intervalMs: 5000 }': (kv, quick) => flow(kv, quick, tracking({ intervalMs: 5000 })),
  getAll: listing,
  'list, and get each': gettingEach,
};

export default {
  /** @param {Request} request @param {{ KV: KV }} env */
  async fetch(request, { KV }) {
    const { name, quick } = /** @type {{ name: string, quick: boolean }} */ (await request.json());
    const way = ways[name];
    return way ? Response.json(await way(KV, quick)) : new Response(`there is no '${name}'`, { status: 404 });
  },
};
