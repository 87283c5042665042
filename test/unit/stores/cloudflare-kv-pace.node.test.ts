import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Checkpoint, compareCheckpoints, join } from '../../../src/checkpoint.ts';
import { StorageError } from '../../../src/errors.ts';
import {
  at,
  commit,
  connectionLost,
  dayIsSpent,
  failure,
  manySources,
  numberOf,
  setUp,
  tooMany,
} from '../../workerd/simulated-kv.ts';

describe('writes to one key', () => {
  it('are 1.1 seconds apart, however fast commits follow each other', async () => {
    const { clock, kv, store } = setUp();
    for (let n = 1; n <= 5; n++) await clock.run(commit(store, 'orders', n));
    expect(kv.count('put')).toBe(5);
    expect(kv.shortestInterval()).toBeGreaterThanOrEqual(1100);
  });

  it('are 1.1 seconds apart where the clock stands still between I/O', async () => {
    const { clock, kv, store } = setUp();
    for (let n = 1; n <= 4; n++) {
      // The second write begins at an unseen time; the third must be spaced from that.
      if (n === 2) await clock.run(clock.wait(1200));
      if (n !== 3) clock.compute(900);
      await clock.run(commit(store, 'orders', n));
    }
    expect(kv.count('put')).toBe(4);
    expect(kv.shortestInterval()).toBeGreaterThanOrEqual(1100);
  });

  it('wait no longer than the interval where the clock is set back by an hour', async () => {
    const { clock, kv, store } = setUp();
    await clock.run(commit(store, 'orders', 1));
    clock.setBack(3_600_000);
    const before = clock.time;
    await clock.run(commit(store, 'orders', 2));
    expect(clock.time - before).toBeLessThan(1200);
    expect(kv.count('put')).toBe(2);
  });

  it('are shared by the commits that wait at the same time: the latest offset wins', async () => {
    const { clock, kv, store } = setUp();
    const numbers = [3, 1, 40, 2, ...Array.from({ length: 30 }, (_, i) => i)];
    const stands = await clock.run(Promise.all(numbers.map((n) => commit(store, 'orders', n))));
    expect(kv.count('put')).toBeLessThanOrEqual(2);
    for (const [i, n] of numbers.entries()) expect(numberOf(stands[i])).toBeGreaterThanOrEqual(n);
    expect(numberOf(await clock.run(setUp(kv, clock).store.get('orders')))).toBe(40);
  });

  it('are left out where they would change nothing but the time', async () => {
    const { clock, kv, store } = setUp();
    await clock.run(commit(store, 'orders', 5));
    const again = await clock.run(store.commit(new Map([['orders', { ...at(5), committedAt: 99 }]])));
    await clock.run(commit(store, 'orders', 4));
    expect(again).toEqual(new Map([['orders', at(5)]]));
    expect(kv.count('put')).toBe(1);
  });

  it('read what is stored before the first, and only then', async () => {
    const { clock, kv, store } = setUp();
    await clock.run(commit(store, 'orders', 9));
    const next = setUp(kv, clock).store;
    expect(numberOf(await clock.run(commit(next, 'orders', 3)))).toBe(9);
    expect(numberOf(await clock.run(commit(next, 'orders', 10)))).toBe(10);
    await clock.run(commit(next, 'orders', 11));
    expect(kv.count('get')).toBe(2);
  });

  it('read nothing where `get` has already told what is stored, or that nothing is', async () => {
    const { clock, kv, store } = setUp();
    expect(await clock.run(store.get('orders'))).toBeUndefined();
    await clock.run(commit(store, 'orders', 1));
    expect(kv.count('get')).toBe(1);
  });
});

describe('writes to many keys', () => {
  it('go side by side, six at a time as a Worker has connections', async () => {
    const { clock, kv, store } = setUp();
    await clock.run(store.commit(manySources(60, 1)));
    expect(kv.mostAtOnce).toBe(6);
    expect(kv.count('put')).toBe(60);
  });

  it('wait side by side too: 200 sources take little longer than one', async () => {
    const { clock, kv, store } = setUp();
    await clock.run(store.commit(manySources(200, 1)));
    const before = clock.time;
    await clock.run(store.commit(manySources(200, 2)));
    expect(clock.time - before).toBeLessThan(1100 + (200 / 6 + 2) * kv.latencyMs);
    expect(kv.shortestInterval()).toBeGreaterThanOrEqual(1100);
  });

  it('are spaced where two commits of many sources meet', async () => {
    const { clock, kv, store } = setUp();
    await clock.run(Promise.all([store.commit(manySources(60, 1)), store.commit(manySources(60, 2))]));
    expect(kv.shortestInterval()).toBeGreaterThanOrEqual(1100);
    expect(await clock.run(setUp(kv, clock).store.getAll())).toEqual(manySources(60, 2));
  });
});

describe('a KV that refuses for now', () => {
  it.each([
    ['429', tooMany],
    ['a lost connection', connectionLost],
    ['a failure of its own', () => new Error('KV PUT failed: 503 Service Unavailable')],
  ])('is asked again after %s, later each time, with the latest offset', async (_, error) => {
    const { clock, kv, store } = setUp();
    let refusals = 4;
    kv.fault = (operation) => (operation === 'put' && refusals-- > 0 ? error() : undefined);
    const first = commit(store, 'orders', 1);
    const second = clock.wait(2500).then(() => commit(store, 'orders', 2));
    expect(numberOf(await clock.run(first))).toBe(2);
    expect(numberOf(await clock.run(second))).toBe(2);
    const puts = kv.log.filter(({ operation }) => operation === 'put');
    expect(puts).toHaveLength(5);
    expect(puts[0]?.value).toContain('"1"');
    expect(puts.at(-1)?.value).toContain('"2"');
    const pauses = puts.slice(1).map(({ time }, i) => time - (puts[i]?.time ?? 0) - kv.latencyMs);
    expect(pauses[0]).toBe(1100);
    expect(pauses[3]).toBeGreaterThanOrEqual(2000);
    expect(pauses[3]).toBeLessThanOrEqual(4050);
  });

  it('is given up after five repetitions, and asked again by the next commit', async () => {
    const { clock, kv, store } = setUp();
    kv.fault = (operation) => (operation === 'put' ? tooMany() : undefined);
    const error = await failure(clock.run(commit(store, 'orders', 1)));
    expect(error).toBeInstanceOf(StorageError);
    expect(error).toMatchObject({ source: 'orders', retryable: true, cause: { message: tooMany().message } });
    expect(error.message).toContain('"orders"');
    expect(kv.count('put')).toBe(6);
    expect(kv.shortestInterval()).toBeGreaterThanOrEqual(1100);
    kv.fault = () => undefined;
    expect(numberOf(await clock.run(commit(store, 'orders', 1)))).toBe(1);
    expect(kv.newest('tidemark:orders')).toContain('"1"');
  });

  it('is given up by all commits that wait for it, none of them hanging', async () => {
    const { clock, kv, store } = setUp();
    kv.fault = (operation) => (operation === 'put' ? tooMany() : undefined);
    const outcomes = await clock.run(Promise.allSettled([1, 2, 3].map((n) => commit(store, 'orders', n))));
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(kv.count('put')).toBeLessThanOrEqual(8);
  });

  it('is asked again for reads and listings as well', async () => {
    const { clock, kv, store } = setUp();
    await clock.run(commit(store, 'orders', 1));
    const other = setUp(kv, clock).store;
    let refusals = 5;
    kv.fault = () => (refusals-- > 0 ? connectionLost() : undefined);
    expect(numberOf(await clock.run(other.get('orders')))).toBe(1);
    refusals = 5;
    expect((await clock.run(other.getAll())).size).toBe(1);
    refusals = 6;
    expect(await failure(clock.run(other.get('orders')))).toMatchObject({ source: 'orders', retryable: true });
    refusals = 6;
    expect(await failure(clock.run(other.getAll()))).toMatchObject({ code: 'storage', retryable: true });
  });
});

describe('a KV that refuses for good', () => {
  it.each([
    ['the quota of the day is spent', dayIsSpent],
    ['the quota of the day is spent, though it says otherwise', () => Object.assign(dayIsSpent(), { retryable: true })],
    [
      'what is asked is wrong',
      () => new Error('KV PUT failed: 413 Value length of 26214401 exceeds limit of 26214400.'),
    ],
  ])('is not asked again: %s', async (_, error) => {
    const { clock, kv, store } = setUp();
    kv.fault = (operation) => (operation === 'put' ? error() : undefined);
    const found = await failure(clock.run(commit(store, 'orders', 1)));
    expect(found).toBeInstanceOf(StorageError);
    expect(found).toMatchObject({ source: 'orders', retryable: false });
    expect(found.message).toContain(error().message);
    expect(kv.count('put')).toBe(1);
  });

  it('fails the one source that it concerns, and stores the others of the batch', async () => {
    const { clock, kv, store } = setUp();
    kv.fault = (operation, key) => (operation === 'put' && key.endsWith('bad') ? dayIsSpent() : undefined);
    const batch = new Map([
      ['a', at(1)],
      ['bad', at(1)],
      ['b', at(1)],
    ]);
    expect(await failure(clock.run(store.commit(batch)))).toMatchObject({ source: 'bad' });
    expect(kv.keys()).toEqual(['tidemark:a', 'tidemark:b']);
  });

  it('fails the batch and no single source where several fail', async () => {
    const { clock, kv, store } = setUp();
    kv.fault = (operation) => (operation === 'put' ? dayIsSpent() : undefined);
    const error = await failure(clock.run(store.commit(manySources(3, 1))));
    expect(error).toMatchObject({ code: 'storage', source: undefined, retryable: false });
    expect(error.message).toContain('not written: "source 0", "source 1", "source 2"; written: none');
  });
});

describe('a commit whose request ended in the middle', () => {
  it('holds the next one up for ten seconds at most', async () => {
    const { clock, kv, store } = setUp();
    let puts = 0;
    kv.fault = (operation) => (operation === 'put' && puts++ === 0 ? new Promise(() => {}) : undefined);
    void commit(store, 'orders', 1);
    await clock.run(clock.wait(100));
    const before = clock.time;
    expect(numberOf(await clock.run(commit(store, 'orders', 2)))).toBe(2);
    expect(clock.time - before).toBeLessThan(10_100);
    expect(kv.newest('tidemark:orders')).toContain('"2"');
  });

  it('does not take the source back when its write arrives after all', async () => {
    const { clock, kv, store } = setUp();
    let arrive = (): void => {};
    let puts = 0;
    const late = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    kv.fault = (operation) => (operation === 'put' && puts++ === 0 ? late : undefined);
    const first = commit(store, 'orders', 1);
    await clock.run(clock.wait(100));
    await clock.run(commit(store, 'orders', 2));
    arrive();
    expect(numberOf(await clock.run(first))).toBe(2);
    expect(kv.newest('tidemark:orders')).toContain('"2"');
  });
});

it('whatever fails meanwhile, what was said to be committed is stored, and nothing goes back', async () => {
  const step = fc.record({
    source: fc.constantFrom('a', 'b'),
    epoch: fc.integer({ min: 0, max: 1 }),
    number: fc.integer({ min: 0, max: 50 }),
    delayMs: fc.integer({ min: 0, max: 6000 }),
  });
  const faults = fc.infiniteStream(fc.constantFrom(undefined, undefined, tooMany, connectionLost, dayIsSpent));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), faults, async (steps, faultStream) => {
      const { clock, kv, store } = setUp();
      kv.fault = () => (faultStream.next().value as (() => Error) | undefined)?.();
      const committed = new Map<string, Checkpoint>();
      const work = steps.map(async ({ source, epoch, number, delayMs }) => {
        await clock.wait(delayMs);
        const incoming = { ...at(number), epoch };
        const stands = (await store.commit(new Map([[source, incoming]]))).get(source);
        expect(stands && compareCheckpoints(stands, incoming, source)).toBeGreaterThanOrEqual(0);
        committed.set(source, join(committed.get(source), incoming, source));
      });
      await clock.run(Promise.allSettled(work));
      kv.fault = () => undefined;
      expect(kv.shortestInterval()).toBeGreaterThanOrEqual(1100);
      const stored = await clock.run(setUp(kv, clock).store.getAll());
      for (const [source, checkpoint] of committed) {
        const found = stored.get(source);
        expect(found && compareCheckpoints(found, checkpoint, source)).toBeGreaterThanOrEqual(0);
      }
    }),
    { numRuns: 40 },
  );
});
