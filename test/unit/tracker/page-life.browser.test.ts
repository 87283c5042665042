import { afterEach, describe, expect, it, vi } from 'vitest';
import { Offset, OffsetTracker, type TrackerEvent } from '../../../src/index.ts';
import { TestStore } from './test-store.ts';

const { sequence } = Offset;

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a page that is hidden', () => {
  it('commits all that is pending, in one write', async () => {
    const { store, tracker } = await reading();
    await tracker.record('orders', sequence(1));
    await tracker.record('clicks', sequence(2));
    hide();
    await expect.poll(() => tracker.getAllPending().size).toBe(0);
    expect(store.calls).toEqual(['commit']);
    expect((await store.inner.get('clicks'))?.offset).toEqual(sequence(2));
    await tracker.close();
  });

  it('commits nothing as it comes back, or where nothing is pending', async () => {
    const { store, tracker } = await reading();
    hide();
    await tracker.record('orders', sequence(1));
    show();
    await macrotask();
    expect(store.calls).toEqual([]);
    await tracker.close();
  });

  it('may fail to commit without anybody noticing but onError, and keeps what is pending', async () => {
    const errors: unknown[] = [];
    const { store, tracker } = await reading((error) => errors.push(error));
    await tracker.record('orders', sequence(1));
    store.failing = () => new Error('disk');
    hide();
    await expect.poll(() => errors.length).toBe(1);
    expect(tracker.getAllPending()).toEqual(new Map([['orders', sequence(1)]]));
    store.failing = () => undefined;
    await tracker.close();
  });
});

describe('a page that goes away', () => {
  it('hands the store exactly what is pending, before anything else can run, and then lets go', async () => {
    const { store, tracker } = await reading();
    await tracker.record('orders', sequence(1));
    await tracker.commit('orders');
    await tracker.record('clicks', sequence(7));
    await tracker.begin('clicks', sequence(8));
    store.calls.length = 0;
    store.batches.length = 0;
    leave();
    expect(store.calls).toEqual(['commitOnHide', 'suspend']);
    expect(store.batches).toMatchObject([new Map([['clicks', { epoch: 0, rank: 1, offset: sequence(7) }]])]);
    await tracker.close();
  });

  it('hands over what is being written, too: that write may never end', async () => {
    const { store, tracker } = await reading();
    const go = store.hold();
    await tracker.record('orders', sequence(1));
    const told = tracker.commit('orders');
    await expect.poll(() => store.batches.length).toBe(1);
    leave();
    expect(store.batches[1]).toMatchObject(new Map([['orders', { offset: sequence(1) }]]));
    go();
    expect(await told).toBe('committed');
    await tracker.close();
  });

  it('hands over nothing where nothing is pending', async () => {
    const { store, tracker } = await reading();
    leave();
    expect(store.calls).toEqual(['suspend']);
    await tracker.close();
  });

  it('does the same as it freezes: a frozen page must hold nobody up', async () => {
    const { store, tracker } = await reading();
    await tracker.record('orders', sequence(1));
    document.dispatchEvent(new Event('freeze'));
    expect(store.calls).toEqual(['commitOnHide', 'suspend']);
    await tracker.close();
  });

  it('will do with a store that knows nothing of pages', async () => {
    const { store, tracker } = await reading();
    Object.assign(store, { commitOnHide: undefined, suspend: undefined, wake: undefined });
    await tracker.record('orders', sequence(1));
    leave();
    comeBack(true);
    expect(tracker.getAllPending().size).toBe(1);
    await tracker.close();
  });
});

describe('a page that comes back', () => {
  it('from the back/forward cache takes up what it let go of, reads again, and hears what it missed', async () => {
    const { store, tracker, events } = await reading();
    await tracker.record('orders', sequence(1));
    leave();
    store.calls.length = 0;
    await store.elsewhere('orders', { epoch: 0, rank: 9, offset: sequence(9), committedAt: 1 }, false);
    await store.elsewhere('clicks', { epoch: 1, rank: 0, offset: undefined, committedAt: 1 }, false);
    comeBack(true);
    expect(store.calls[0]).toBe('wake');
    await expect.poll(() => tracker.status('clicks').fenced).toBe(true);
    expect(tracker.status('orders').committed).toEqual(sequence(9));
    expect(tracker.getAllPending()).toEqual(new Map());
    expect([...store.calls].sort()).toEqual(['get', 'get', 'wake']);
    expect(events).toMatchObject([
      { type: 'committed', source: 'orders', offset: sequence(9), origin: 'remote' },
      { type: 'cleared', source: 'clicks', origin: 'remote' },
    ]);
    expect(await tracker.record('clicks', sequence(3))).toBe('fenced');
    await tracker.close();
  });

  it('from being frozen takes up what it let go of and reads again', async () => {
    const { store, tracker } = await reading();
    document.dispatchEvent(new Event('resume'));
    await expect.poll(() => store.calls).toEqual(['wake', 'get', 'get']);
    await tracker.close();
  });

  it('and cannot read is told so, and goes on', async () => {
    const { store, tracker, events } = await reading();
    const lost = new Error('connection lost');
    store.failing = () => lost;
    comeBack(true);
    await expect.poll(() => events.length).toBe(2);
    expect(events).toMatchObject([
      { type: 'error', source: 'orders', error: lost },
      { type: 'error', source: 'clicks', error: lost },
    ]);
    store.failing = () => undefined;
    await tracker.record('orders', sequence(1));
    expect(await tracker.commit('orders')).toBe('committed');
    await tracker.close();
  });

  it('that was loaded anew does nothing', async () => {
    const { store, tracker } = await reading();
    comeBack(false);
    await macrotask();
    expect(store.calls).toEqual([]);
    await tracker.close();
  });
});

describe('a closed tracker', () => {
  it('hears nothing of its page any more', async () => {
    const { store, tracker } = await reading();
    await tracker.record('orders', sequence(1));
    store.failing = () => new Error('disk');
    await expect(tracker.close()).rejects.toThrow('disk');
    store.failing = () => undefined;
    await tracker.close();
    store.calls.length = 0;
    hide();
    leave();
    comeBack(true);
    document.dispatchEvent(new Event('freeze'));
    document.dispatchEvent(new Event('resume'));
    await macrotask();
    expect(store.calls).toEqual([]);
  });
});

describe('an idle page', () => {
  it('stays eligible for the back/forward cache: nobody listens to unload or beforeunload', async () => {
    const spies = [vi.spyOn(globalThis, 'addEventListener'), vi.spyOn(document, 'addEventListener')];
    const { tracker } = await reading();
    const types = spies.flatMap(({ mock }) => mock.calls.map(([type]) => type as string));
    expect(types).toEqual(expect.arrayContaining(['pagehide', 'pageshow', 'visibilitychange', 'freeze', 'resume']));
    expect(types).not.toContain('unload');
    expect(types).not.toContain('beforeunload');
    await tracker.close();
  });
});

interface Reading {
  readonly store: TestStore;
  readonly tracker: OffsetTracker;
  readonly events: TrackerEvent[];
}

/** A tracker that has begun to read two sources. */
async function reading(onError: (error: unknown) => void = () => {}): Promise<Reading> {
  const store = new TestStore();
  const tracker = new OffsetTracker(store, { strategy: 'manual', onError });
  const events: TrackerEvent[] = [];
  tracker.subscribe((event) => void (event.type !== 'recorded' && events.push(event)));
  await tracker.read('orders');
  await tracker.read('clicks');
  store.calls.length = 0;
  return { store, tracker, events };
}

function hide(): void {
  turnTo('hidden');
}

function show(): void {
  turnTo('visible');
}

function turnTo(state: DocumentVisibilityState): void {
  vi.spyOn(document, 'visibilityState', 'get').mockReturnValue(state);
  vi.spyOn(document, 'hidden', 'get').mockReturnValue(state === 'hidden');
  document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
}

function leave(): void {
  globalThis.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }));
}

function comeBack(persisted: boolean): void {
  globalThis.dispatchEvent(new PageTransitionEvent('pageshow', { persisted }));
}

function macrotask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10));
}
