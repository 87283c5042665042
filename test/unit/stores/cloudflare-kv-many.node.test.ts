import { describe, expect, it } from 'vitest';
import { Offset } from '../../../src/offset.ts';
import { type CloudflareKVBinding, KVBatchError } from '../../../src/stores/cloudflare-kv/store.ts';
import {
  type SimulatedKV,
  VirtualClock,
  at,
  commit,
  connectionLost,
  dayIsSpent,
  failure,
  manySources,
  numberOf,
  setUp,
} from '../../workerd/simulated-kv.ts';

const tooManyCalls = (): Error => new Error('Too many API requests by single worker invocation.');

/** From here on KV takes so many calls, as an invocation of a Worker has them. */
function limit(kv: SimulatedKV, calls: number): void {
  const before = kv.log.length;
  kv.fault = () => (kv.log.length - before > calls ? tooManyCalls() : undefined);
}

describe('many sources', () => {
  it('that are asked for at once are read by a listing', async () => {
    const { clock, kv, store } = setUp();
    await clock.run(store.commit(manySources(1500, 7)));
    const before = kv.log.length;
    const next = setUp(kv, clock).store;
    const sources = [...manySources(1500, 0).keys(), 'nothing'];
    const found = await clock.run(Promise.all(sources.map((source) => next.get(source))));
    expect(found.slice(0, -1).map(numberOf)).toEqual(Array.from({ length: 1500 }, () => 7));
    expect(found.at(-1)).toBeUndefined();
    expect(kv.log.length - before).toBeLessThan(12);
  });

  it('that are asked for one after another are read by a listing after the first few', async () => {
    const { clock, kv, store } = setUp();
    await clock.run(store.commit(manySources(600, 7)));
    const before = kv.log.length;
    const next = setUp(kv, clock).store;
    for (const source of manySources(600, 0).keys()) expect(numberOf(await clock.run(next.get(source)))).toBe(7);
    expect(kv.log.length - before).toBeLessThan(20);
  });

  it('are read a hundred at a time where the listing is long, or the quota of listings is spent', async () => {
    for (const isSpent of [false, true]) {
      const { clock, kv, store } = setUp();
      await clock.run(store.commit(manySources(9000, 7)));
      const before = kv.log.length;
      kv.fault = (operation) => (isSpent && operation === 'list' ? dayIsSpent() : undefined);
      const wanted = new Map([...manySources(9000, 8)].filter((_, i) => i % 90 === 0));
      const stands = await clock.run(setUp(kv, clock).store.commit(wanted));
      expect([...stands.values()].map(numberOf)).toEqual(Array.from(wanted, () => 8));
      expect(kv.log.length - before).toBeLessThan(wanted.size + 5);
    }
  });

  it('are read anew where they were read before', async () => {
    const { clock, kv, store } = setUp();
    const sources = [...manySources(30, 0).keys()];
    const all = (): Promise<unknown[]> => clock.run(Promise.all(sources.map((source) => store.get(source))));
    expect(await all()).toEqual(sources.map(() => undefined));
    await clock.run(setUp(kv, clock).store.commit(manySources(30, 3)));
    expect(await all()).toEqual(sources.map(() => at(3)));
    await clock.run(setUp(kv, clock).store.commit(manySources(30, 4)));
    for (const source of sources) expect(numberOf(await clock.run(store.get(source)))).toBe(4);
  });

  it('that cannot be read fail by themselves', async () => {
    const { clock, kv, store } = setUp();
    await clock.run(store.commit(manySources(30, 7)));
    await clock.run(kv.put('tidemark:source 3', 'garbage'));
    const next = setUp(kv, clock).store;
    const outcomes = await clock.run(Promise.allSettled([...manySources(30, 0).keys()].map((name) => next.get(name))));
    expect(outcomes.filter(({ status }) => status === 'rejected')).toMatchObject([{ reason: { source: 'source 3' } }]);
    expect(await failure(clock.run(setUp(kv, clock).store.commit(manySources(30, 8))))).toMatchObject({
      code: 'serialization',
      source: 'source 3',
    });
    expect(kv.newest('tidemark:source 29')).toContain('"8"');
  });

  it('are read though a request that read some of them ended in the middle', async () => {
    const { clock, kv, store } = setUp();
    await clock.run(store.commit(manySources(40, 7)));
    const next = setUp(kv, clock).store;
    kv.fault = () => new Promise(() => {});
    for (const source of manySources(30, 0).keys()) void next.get(source);
    await clock.run(clock.wait(1000));
    kv.fault = () => undefined;
    const before = clock.time;
    const found = await clock.run(Promise.all([...manySources(40, 0).keys()].map((source) => next.get(source))));
    expect(found.map(numberOf)).toEqual(Array.from({ length: 40 }, () => 7));
    expect(clock.time - before).toBeLessThan(15_000);
  });
});

describe('more sources than an invocation has calls', () => {
  it.each([
    [600, 1000],
    [1500, 1000],
    [130, 50],
  ])('%i with %i calls: all are written in turn, the one that waited longest first', async (count, calls) => {
    const { clock, kv } = setUp();
    const turns = Math.ceil(count / (calls - 15));
    for (let run = 1; run <= turns * 2; run++) {
      limit(kv, calls);
      await clock.run(
        setUp(kv, clock)
          .store.commit(manySources(count, run))
          .catch(() => {}),
      );
      // One run a minute.
      await clock.run(clock.wait(60_000));
    }
    kv.fault = () => undefined;
    const stored = await clock.run(setUp(kv, clock).store.getAll());
    expect(stored.size).toBe(count);
    expect(Math.min(...[...stored.values()].map(numberOf))).toBeGreaterThanOrEqual(turns + 1);
  });

  it('fail with an error that names what is written and what is not', async () => {
    const { clock, kv, store } = setUp();
    limit(kv, 31);
    const error = await failure(clock.run(store.commit(manySources(50, 1))));
    expect(error).toBeInstanceOf(KVBatchError);
    if (!(error instanceof KVBatchError)) return;
    expect(error).toMatchObject({ code: 'storage', source: undefined, retryable: false });
    expect(kv.keys().sort()).toEqual(error.written.map((source) => `tidemark:${source}`).sort());
    expect([...error.written, ...error.failed.keys()].sort()).toEqual([...manySources(50, 1).keys()].sort());
    expect(error.message).toContain('writing 20 of 50 sources');
    expect(error.message).toContain('not written: "source 30", "source 31", "source 32" and 17 more');
    expect(error.message).toContain('written: "source 0", "source 1", "source 2" and 27 more');
    expect(error.message).toContain(tooManyCalls().message);
  });

  it('a source that fails alone is named by the error, beside what is written', async () => {
    const { clock, kv, store } = setUp();
    kv.fault = (operation, key) => (operation === 'put' && key.endsWith(' 1') ? dayIsSpent() : undefined);
    const error = await failure(clock.run(store.commit(manySources(3, 1))));
    expect(error).toMatchObject({ source: 'source 1', written: ['source 0', 'source 2'] });
  });

  it('may be tried again where KV refused them for now', async () => {
    const { clock, kv, store } = setUp();
    kv.fault = (operation) => (operation === 'put' ? connectionLost() : undefined);
    expect(await failure(clock.run(store.commit(manySources(3, 1))))).toMatchObject({ retryable: true });
  });
});

describe('writes of several store objects', () => {
  it('are spaced where they share a binding, as those of two invocations of an isolate do', async () => {
    const { clock, kv } = setUp();
    for (let n = 1; n <= 4; n++) await clock.run(commit(setUp(kv, clock).store, 'orders', n));
    expect(kv.count('put')).toBe(4);
    expect(kv.shortestInterval()).toBeGreaterThanOrEqual(1100);
  });

  it('are spaced by what is stored where they share nothing, as those of two machines', async () => {
    const { clock, kv } = setUp();
    for (let n = 1; n <= 4; n++) await clock.run(commit(setUp(elsewhere(kv), clock).store, 'orders', n));
    expect(kv.count('put')).toBe(4);
    expect(kv.shortestInterval()).toBeGreaterThanOrEqual(1000);
  });

  it('wait no longer than the interval for a machine whose clock is an hour fast', async () => {
    const { clock, kv } = setUp();
    const fast = { now: () => clock.now() + 3_600_000 };
    await clock.run(commit(setUp(kv, clock, fast).store, 'orders', 1));
    const before = clock.time;
    await clock.run(commit(setUp(elsewhere(kv), clock).store, 'orders', 2));
    expect(clock.time - before).toBeLessThan(1300);
  });

  it('share a write while they wait at the same time, and the latest is what is written', async () => {
    const { clock, kv, store } = setUp();
    await clock.run(commit(store, 'orders', 1));
    const puts = kv.count('put');
    const others = [5, 9, 3, 7].map((n) => commit(setUp(kv, clock).store, 'orders', n));
    for (const stands of await clock.run(Promise.all(others))) expect(numberOf(stands)).toBe(9);
    expect(kv.count('put') - puts).toBe(1);
  });

  it('are not shared with what was removed meanwhile', async () => {
    const { clock, kv, store } = setUp();
    await clock.run(commit(store, 'orders', 9));
    await clock.run(setUp(kv, clock).store.clearAll());
    expect(kv.keys()).toEqual([]);
    expect(numberOf(await clock.run(commit(setUp(kv, clock).store, 'orders', 2)))).toBe(2);
    expect(kv.newest('tidemark:orders')).toContain('"2"');
  });

  it('wait ten seconds at most for one whose request has ended', async () => {
    const { clock, kv } = setUp();
    let puts = 0;
    kv.fault = (operation) => (operation === 'put' && puts++ === 0 ? new Promise(() => {}) : undefined);
    void commit(setUp(kv, clock).store, 'orders', 1);
    await clock.run(clock.wait(100));
    const before = clock.time;
    expect(numberOf(await clock.run(commit(setUp(kv, clock).store, 'orders', 2)))).toBe(2);
    expect(clock.time - before).toBeLessThan(10_200);
  });
});

describe('what is written', () => {
  it('is the newest at the moment of the write, not of the asking', async () => {
    const { clock, kv, store } = setUp();
    const start = clock.time;
    // A place that moves by one each millisecond.
    const place = (): number => clock.time - start;
    for (let i = 0; i < 5; i++) {
      const asked = place();
      const batch = new Map([['orders', at(asked)]]);
      const stands = (await clock.run(store.commit(batch, () => at(place())))).get('orders');
      if (i > 0) expect(numberOf(stands)).toBeGreaterThan(asked + 1000);
    }
    for (const { operation, time, value } of kv.log) {
      if (operation === 'put') expect(time - start - Number(/"value":"(\d+)"/.exec(value ?? '')?.[1])).toBe(0);
    }
  });

  it('is what was asked where whoever commits has nothing to add, or only what is older', async () => {
    const { clock, store } = setUp();
    const batch = new Map([['orders', at(5)]]);
    expect(await clock.run(store.commit(batch, () => undefined))).toEqual(batch);
    const next = new Map([['orders', { ...at(1), epoch: 1 }]]);
    expect(await clock.run(store.commit(next, () => at(9)))).toEqual(next);
  });

  it('fails with what a compare fails with', async () => {
    const compare = (): number => NaN;
    const { clock, store } = setUp(undefined, new VirtualClock(), { compare });
    for (const value of ['a', 'b']) {
      const work = clock.run(store.commit(new Map([['orders', { ...at(1), offset: Offset.custom(value) }]])));
      if (value === 'a') await work;
      else expect(await failure(work)).toMatchObject({ code: 'invalid-offset', source: 'orders' });
    }
  });
});

/** The same KV by another binding: what a machine elsewhere has. */
function elsewhere(kv: SimulatedKV): SimulatedKV & CloudflareKVBinding {
  return new Proxy(kv, {
    get(target, name) {
      const found: unknown = Reflect.get(target, name, target);
      return typeof found === 'function' ? found.bind(target) : found;
    },
  });
}
