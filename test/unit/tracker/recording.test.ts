import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { InMemoryOffsetStore, InvalidOffsetError, Offset, OffsetTracker, type Strategy } from '../../../src/index.ts';
import { TestStore } from './test-store.ts';

const { sequence, timestamp, custom } = Offset;

describe('under auto, a record', () => {
  it('is answered once it is durable', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    const go = store.hold();
    const told = tracker.record('orders', sequence(1));
    expect(tracker.getAllPending()).toEqual(new Map([['orders', sequence(1)]]));
    expect(await Promise.race([told, soon('not yet')])).toBe('not yet');
    go();
    expect(await told).toBe('committed');
    expect(await store.inner.get('orders')).toMatchObject({ epoch: 0, rank: 1, offset: sequence(1) });
    expect(tracker.getAllPending()).toEqual(new Map());
  });

  it('shares a store write with all that is recorded meanwhile, and a promise with its source’s', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    const go = store.hold();
    const first = tracker.record('orders', sequence(1));
    await expect.poll(() => store.calls).toContain('get');
    const [second, third] = [tracker.record('orders', sequence(2)), tracker.record('orders', sequence(3))];
    const other = tracker.record('clicks', custom('a'));
    expect(third).toBe(second);
    expect(second).not.toBe(first);
    go();
    expect(await Promise.all([first, second, third, other])).toEqual(Array(4).fill('committed'));
    expect(store.batches.length).toBeLessThanOrEqual(2);
    expect((await store.inner.get('orders'))?.offset).toEqual(sequence(3));
  });

  it('costs next to nothing when nobody waits: 100,000 of three sources are a handful of writes', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    const told: Promise<string>[] = [];
    for (let i = 1; i <= 100_000; i++) told.push(tracker.record(['a', 'b', 'c'][i % 3] ?? '', sequence(i)));
    expect(new Set(await Promise.all(told))).toEqual(new Set(['committed']));
    expect(store.batches.length).toBeLessThanOrEqual(3);
    expect(await tracker.getAllCommitted()).toEqual(
      new Map([
        ['b', sequence(100_000)],
        ['c', sequence(99_998)],
        ['a', sequence(99_999)],
      ]),
    );
    expect((await store.inner.get('a'))?.rank).toBe(33_333);
  });

  it('writes the latest offset of each source, never one by one, however slow the store is', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    await tracker.record('orders', sequence(0));
    const go = store.hold();
    void tracker.record('orders', sequence(1));
    await expect.poll(() => store.batches.length).toBe(2);
    for (let i = 2; i <= 50; i++) void tracker.record('orders', sequence(i));
    const last = tracker.record('clicks', sequence(9));
    go();
    await last;
    expect(store.batches.map((batch) => [...batch].map(([source, { offset }]) => [source, offset]))).toEqual([
      [['orders', sequence(0)]],
      [['orders', sequence(1)]],
      [
        ['orders', sequence(50)],
        ['clicks', sequence(9)],
      ],
    ]);
  });
});

describe('recording what was recorded', () => {
  it('is no error, changes nothing, and writes nothing', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    await tracker.record('orders', sequence(5));
    expect(await tracker.record('orders', sequence(5))).toBe('committed');
    expect(await tracker.record('orders', sequence(3))).toBe('committed');
    expect(store.batches.length).toBe(1);
    expect(await store.inner.get('orders')).toMatchObject({ rank: 1, offset: sequence(5) });
  });

  it('does not count, so that opaque cursors keep their place in the feed', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store);
    for (const cursor of ['b', 'b', 'b', 'a', 'a', 'c']) await tracker.record('orders', custom(cursor));
    expect(await store.get('orders')).toMatchObject({ rank: 3, offset: custom('c') });
  });

  it('is pending as long as what is recorded is', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy: 'manual' });
    await tracker.record('orders', sequence(5));
    expect(await tracker.record('orders', sequence(4))).toBe('pending');
    expect(tracker.getAllPending()).toEqual(new Map([['orders', sequence(5)]]));
  });

  it('goes by the store’s compare where it has one', async () => {
    const store = new InMemoryOffsetStore([], { compare: (a, b) => a.length - b.length });
    const tracker = new OffsetTracker(store);
    await tracker.record('orders', custom('bbb'));
    await tracker.record('orders', custom('aa'));
    expect(await tracker.getOffset('orders')).toEqual(custom('bbb'));
    await tracker.record('orders', custom('aaaa'));
    expect(await tracker.getOffset('orders')).toEqual(custom('aaaa'));
  });
});

describe('recording what does not fit', () => {
  it.each([[undefined], [null], [5], [5n], ['seq:5'], [{ kind: 'sequence', value: -1n }]])(
    'refuses %o and names the source',
    async (offset) => {
      const store = new TestStore();
      const failed = await new OffsetTracker(store).record('orders', offset as never).catch((error: unknown) => error);
      expect(failed).toBeInstanceOf(InvalidOffsetError);
      expect(failed).toMatchObject({ source: 'orders', message: expect.stringContaining('"orders"') });
      expect(store.calls).toEqual(['get']);
    },
  );

  it('refuses the sentinels: they name no event', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    await expect(tracker.record('orders', Offset.earliest)).rejects.toThrow(InvalidOffsetError);
    await expect(tracker.record('orders', Offset.latest)).rejects.toThrow(
      `"orders" cannot take 'latest': no event has that place: record the offset of the event, or reset the source to it`,
    );
  });

  it('refuses another kind than was recorded, says so, and takes it after a reset', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store);
    await tracker.record('orders', sequence(5));
    await expect(tracker.record('orders', timestamp(5))).rejects.toThrow(/seq:5.*ts:1970.*reset/);
    expect((await store.get('orders'))?.offset).toEqual(sequence(5));
    expect(await tracker.record('orders', sequence(6))).toBe('committed');
    await tracker.reset('orders', timestamp(1));
    expect(await tracker.record('orders', timestamp(5))).toBe('committed');
  });

  it('refuses another kind than is stored, also where it has not looked yet, and goes on refusing', async () => {
    for (const strategy of ['auto', 'manual'] as const) {
      const store = new InMemoryOffsetStore([['orders', sequence(10)]]);
      const tracker = new OffsetTracker(store, { strategy });
      await tracker.record('orders', custom('a')).catch(() => {});
      await tracker.commitAll().catch(() => {});
      await expect(tracker.record('orders', custom('b'))).rejects.toThrow(InvalidOffsetError);
      await tracker.commitAll();
      expect((await store.get('orders'))?.offset).toEqual(sequence(10));
      await tracker.record('orders', sequence(11));
      await tracker.commitAll();
      expect((await store.get('orders'))?.offset).toEqual(sequence(11));
    }
  });

  it('takes any kind after a sentinel', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    await tracker.reset('orders', Offset.latest);
    await tracker.read('orders');
    expect(await tracker.record('orders', custom('a'))).toBe('committed');
  });
});

describe('under manual, a record', () => {
  it('is pending until somebody commits', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { strategy: 'manual' });
    for (let i = 1; i <= 1000; i++) expect(await tracker.record('orders', sequence(i))).toBe('pending');
    expect(store.calls).toEqual(['get']);
    expect(await tracker.commit('orders')).toBe('committed');
    expect(await tracker.commit('orders')).toBe('none');
    expect(await tracker.record('orders', sequence(1000))).toBe('committed');
    expect(store.batches.length).toBe(1);
  });
});

describe('under { every, intervalMs }', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const open = (strategy: Strategy, now?: () => number): [TestStore, OffsetTracker] => {
    const store = new TestStore();
    return [store, new OffsetTracker(store, now ? { strategy, now } : { strategy })];
  };
  const record = (tracker: OffsetTracker, n: number, source = 'orders'): Promise<string> =>
    tracker.record(source, sequence(n));

  it('every so many records of a source are committed together', async () => {
    const [store, tracker] = open({ every: 3 });
    expect(await record(tracker, 1)).toBe('pending');
    expect(await record(tracker, 2)).toBe('pending');
    expect(await record(tracker, 1, 'clicks')).toBe('pending');
    expect(await record(tracker, 3)).toBe('committed');
    expect(await record(tracker, 4)).toBe('pending');
    expect(store.batches).toMatchObject([new Map([['orders', { offset: sequence(3) }]])]);
    expect(vi.getTimerCount()).toBe(0);
    expect(tracker.getAllPending()).toEqual(
      new Map([
        ['orders', sequence(4)],
        ['clicks', sequence(1)],
      ]),
    );
  });

  it('what is recorded is committed so long after the first of it', async () => {
    const [store, tracker] = open({ intervalMs: 1000 });
    expect(await record(tracker, 1)).toBe('pending');
    await vi.advanceTimersByTimeAsync(600);
    expect(await record(tracker, 2)).toBe('pending');
    await vi.advanceTimersByTimeAsync(399);
    expect(store.batches).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(store.batches).toMatchObject([new Map([['orders', { offset: sequence(2) }]])]);
    expect(tracker.getAllPending()).toEqual(new Map());
    await vi.advanceTimersByTimeAsync(10_000);
    expect(store.batches.length).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('nothing is left for the timer where a commit took more than it was asked for', async () => {
    const [store, tracker] = open({ every: 2, intervalMs: 1000 });
    await tracker.read('orders');
    await Promise.all([1, 2, 3].map((n) => record(tracker, n)));
    await tracker.commitAll();
    expect([store.batches.length, tracker.getAllPending().size, vi.getTimerCount()]).toEqual([1, 0, 0]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(await record(tracker, 4)).toBe('pending');
    await vi.advanceTimersByTimeAsync(1000);
    expect([store.batches.length, vi.getTimerCount()]).toEqual([2, 0]);
  });

  it('each source has its own interval', async () => {
    const [store, tracker] = open({ intervalMs: 1000 });
    await record(tracker, 1);
    await vi.advanceTimersByTimeAsync(500);
    await record(tracker, 1, 'clicks');
    await vi.advanceTimersByTimeAsync(500);
    expect(store.written).toEqual([['orders']]);
    await vi.advanceTimersByTimeAsync(500);
    expect(store.written).toEqual([['orders'], ['clicks']]);
  });

  it('whichever comes first', async () => {
    const [store, tracker] = open({ every: 2, intervalMs: 1000 });
    await record(tracker, 1);
    expect(await record(tracker, 2)).toBe('committed');
    await vi.advanceTimersByTimeAsync(900);
    await record(tracker, 3);
    await vi.advanceTimersByTimeAsync(999);
    expect(store.batches.length, 'the interval counts from the first uncommitted one').toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(store.batches.length).toBe(2);
  });

  it('a record that finds the interval over commits, even where no timer runs', async () => {
    let now = 1000;
    const [store, tracker] = open({ intervalMs: 1000 }, () => now);
    expect(await record(tracker, 1)).toBe('pending');
    now = 1999;
    expect(await record(tracker, 2)).toBe('pending');
    now = 2000;
    expect(await record(tracker, 3)).toBe('committed');
    now = 2500;
    expect(await record(tracker, 4)).toBe('pending');
    expect(store.batches.length).toBe(1);
  });

  it('a commit that failed is tried again after the interval, with the latest', async () => {
    const [store, tracker] = open({ intervalMs: 1000 });
    await record(tracker, 1);
    store.failing = (call) => (call === 'commit' ? new Error('disk') : undefined);
    await vi.advanceTimersByTimeAsync(1000);
    expect(tracker.status('orders').lastError).toMatchObject({ message: 'disk' });
    store.failing = () => undefined;
    await record(tracker, 2);
    await vi.advanceTimersByTimeAsync(1000);
    expect(await store.inner.get('orders')).toMatchObject({ offset: sequence(2) });
    expect(tracker.status('orders')).toMatchObject({ lastError: undefined, pending: undefined });
  });

  it('a commit by hand leaves nothing for the timer', async () => {
    const [store, tracker] = open({ intervalMs: 1000 });
    await record(tracker, 1);
    await tracker.commitAll();
    await vi.advanceTimersByTimeAsync(5000);
    expect(store.batches.length).toBe(1);
  });
});

describe('a strategy', () => {
  it.each<[unknown]>([
    ['sometimes'],
    [5],
    [{}],
    [{ every: 0 }],
    [{ every: -1 }],
    [{ every: 1.5 }],
    [{ every: Number.NaN }],
    [{ every: '5' }],
    [{ intervalMs: 0 }],
    [{ intervalMs: 2 ** 31 }],
    [{ every: 5, intervalMs: -1 }],
    [{ every: Number.POSITIVE_INFINITY }],
  ])('that makes no sense, as %o, is refused at once', (strategy) => {
    const make = (): unknown => new OffsetTracker(new InMemoryOffsetStore(), { strategy: strategy as never });
    expect(make).toThrow(/strategy.*'auto', 'manual' or/);
  });

  it.each([['earlest'], [5], [null], [{}]])('to start by that makes no sense, as %o, is refused at once', (policy) => {
    const make = (): unknown => new OffsetTracker(new InMemoryOffsetStore(), { resetPolicy: policy as never });
    const found = JSON.stringify(policy);
    expect(make).toThrow(new TypeError(`resetPolicy ${found}: give 'earliest', 'latest', 'none' or a function`));
  });

  it('needs room for one event at least', () => {
    for (const maxInFlight of [0, -1, Number.NaN, 'x' as never]) {
      expect(() => new OffsetTracker(new InMemoryOffsetStore(), { maxInFlight })).toThrow(TypeError);
    }
  });
});

function soon<T>(value: T): Promise<T> {
  return new Promise((resolve) => setTimeout(resolve, 0, value));
}
