import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Offset, OffsetError, OffsetTracker } from '../../../src/index.ts';
import { isNode } from '../runtime.ts';
import { TestStore } from './test-store.ts';

const { sequence } = Offset;

describe('a new tracker', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('starts nothing: no timer, no listener, no call of the store, no random number', () => {
    const store = new TestStore();
    const spies = [vi.spyOn(Math, 'random'), vi.spyOn(crypto, 'getRandomValues'), ...listening()];
    const tracker = new OffsetTracker(store, { strategy: { every: 5, intervalMs: 100 } });
    expect(store.calls).toEqual([]);
    expect(store.listeners).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
    expect(spies.flatMap(({ mock }) => mock.calls as unknown[])).toEqual([]);
    expect(tracker.store).toBe(store);
    vi.restoreAllMocks();
  });

  it('listens to the store from its first use on, once', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { strategy: 'manual' });
    await tracker.record('orders', sequence(1));
    await tracker.record('clicks', sequence(1));
    tracker.subscribe(() => {});
    expect(store.listeners).toBe(1);
  });
});

describe('close', () => {
  it('commits what is pending, in one write, and leaves the store open for others', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { strategy: 'manual' });
    await tracker.record('orders', sequence(1));
    await tracker.record('clicks', sequence(2));
    await tracker.close();
    expect(store.batches.length).toBe(1);
    expect(store.calls).not.toContain('close');
    expect((await store.inner.get('clicks'))?.offset).toEqual(sequence(2));
  });

  it('waits for a reset and a clear that are under way, and whoever awaits them knows before', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    await tracker.record('orders', sequence(1));
    const go = store.hold();
    const ended: string[] = [];
    void tracker.clear('orders').then(() => ended.push('clear'));
    void tracker.reset('clicks', sequence(7)).then(() => ended.push('reset'));
    const closed = tracker.close().then(() => ended.push('close'));
    go();
    await closed;
    expect(ended).toEqual(['clear', 'reset', 'close']);
  });

  it('waits for the write that is under way', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    const go = store.hold();
    const told = tracker.record('orders', sequence(1));
    const closed = tracker.close().then(() => store.inner.get('orders'));
    go();
    expect(await closed).toMatchObject({ offset: sequence(1) });
    expect(await told).toBe('committed');
  });

  it('may be called twice, and from `await using`', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { strategy: 'manual' });
    await tracker.record('orders', sequence(1));
    await Promise.all([tracker.close(), tracker.close()]);
    await tracker.close();
    expect(store.batches.length).toBe(1);
    const other = new OffsetTracker(store, { strategy: 'manual' });
    await other.record('orders', sequence(2));
    // Engines without the symbol get the one that compilers of `await using` fall back on.
    const dispose: typeof Symbol.asyncDispose =
      Symbol.asyncDispose ?? (Symbol.for('Symbol.asyncDispose') as typeof Symbol.asyncDispose);
    await other[dispose]();
    expect((await store.inner.get('orders'))?.offset).toEqual(sequence(2));
    await expect(other.record('orders', sequence(3))).rejects.toThrow(OffsetError);
  });

  it('of a tracker that was never used does nothing', async () => {
    const store = new TestStore();
    await new OffsetTracker(store).close();
    expect(store.calls).toEqual([]);
    expect(store.listeners).toBe(0);
  });

  it('lets go of the store’s events and of all timers', async () => {
    vi.useFakeTimers();
    try {
      const store = new TestStore();
      const tracker = new OffsetTracker(store, { strategy: { intervalMs: 1000 } });
      await tracker.record('orders', sequence(1));
      await tracker.begin('orders', sequence(2));
      expect(vi.getTimerCount()).toBe(2);
      await tracker.close();
      expect(vi.getTimerCount()).toBe(0);
      expect(store.listeners).toBe(0);
      await vi.advanceTimersByTimeAsync(100_000);
      expect(store.batches.length).toBe(1);
    } finally {
      vi.useRealTimers();
    }
  });

  it('rejects where the last commit fails, refuses records, and can be called again', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { strategy: { intervalMs: 1000 } });
    await tracker.record('orders', sequence(1));
    const disk = new Error('disk');
    store.failing = () => disk;
    await expect(tracker.close()).rejects.toBe(disk);
    await expect(tracker.record('orders', sequence(2))).rejects.toMatchObject({ code: 'closed' });
    await expect(tracker.close()).rejects.toBe(disk);
    expect(tracker.getAllPending()).toEqual(new Map([['orders', sequence(1)]]));
    store.failing = () => undefined;
    await tracker.close();
    expect((await store.inner.get('orders'))?.offset).toEqual(sequence(1));
    expect(store.listeners).toBe(0);
  });

  it('wakes who waits for room', async () => {
    const tracker = new OffsetTracker(new TestStore(), { maxInFlight: 1 });
    await tracker.begin('orders', sequence(1));
    const waiting = tracker.begin('orders', sequence(2)).catch((error: unknown) => error);
    await tracker.close();
    expect(await waiting).toMatchObject({ code: 'closed' });
  });
});

describe('a closed tracker', () => {
  const closed = async (): Promise<[OffsetTracker, TestStore]> => {
    const store = new TestStore([['orders', sequence(1)]]);
    const tracker = new OffsetTracker(store);
    await tracker.read('orders');
    await tracker.close();
    store.calls.length = 0;
    return [tracker, store];
  };

  it.each<[string, (tracker: OffsetTracker) => unknown]>([
    ['getOffset', (tracker) => tracker.getOffset('orders')],
    ['record', (tracker) => tracker.record('orders', sequence(2))],
    ['commit', (tracker) => tracker.commit('orders')],
    ['commitAll', (tracker) => tracker.commitAll()],
    ['reset', (tracker) => tracker.reset('orders', sequence(2))],
    ['clear', (tracker) => tracker.clear('orders')],
    ['clearAll', (tracker) => tracker.clearAll()],
    ['getAllCommitted', (tracker) => tracker.getAllCommitted()],
    ['read', (tracker) => tracker.read('orders')],
    ['begin', (tracker) => tracker.begin('orders', sequence(2))],
    ['subscribe', (tracker) => tracker.subscribe(() => {})],
  ])('refuses %s, and calls no store', async (_, use) => {
    const [tracker, store] = await closed();
    const failed = await (async () => use(tracker))().catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(OffsetError);
    expect(failed).toMatchObject({ code: 'closed' });
    expect(store.calls).toEqual([]);
  });

  it('still shows what it knew', async () => {
    const [tracker] = await closed();
    expect(tracker.status('orders').committed).toEqual(sequence(1));
    expect(tracker.getAllPending()).toEqual(new Map());
  });

  it('takes nothing more from tickets that were open: neither a write nor a timer', async () => {
    vi.useFakeTimers();
    try {
      for (const strategy of ['auto', { intervalMs: 1000 }] as const) {
        const store = new TestStore();
        const tracker = new OffsetTracker(store, { strategy });
        const ticket = await tracker.begin('orders', sequence(1));
        await tracker.close();
        const told = await ticket.done().catch((error: OffsetError) => error.code);
        expect(['fenced', 'closed']).toContain(told);
        expect(store.batches).toEqual([]);
        expect(vi.getTimerCount()).toBe(0);
      }
    } finally {
      vi.useRealTimers();
    }
  });
});

/** Node's global object is no event target. */
function listening(): { readonly mock: { readonly calls: unknown[] } }[] {
  return isNode ? [] : [vi.spyOn(globalThis, 'addEventListener'), vi.spyOn(document, 'addEventListener')];
}
