import { describe, expect, it } from 'vitest';
import {
  InMemoryOffsetStore,
  InvalidOffsetError,
  Offset,
  type OffsetStore,
  OffsetTracker,
  type TrackerEvent,
} from '../../../src/index.ts';
import { TestStore } from './test-store.ts';

const { sequence, custom } = Offset;

describe('reset', () => {
  it('sets a source back, or forward, and reading goes on from there', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    await tracker.record('orders', sequence(100));
    await tracker.reset('orders', sequence(10));
    expect(await tracker.getOffset('orders')).toEqual(sequence(10));
    expect(await tracker.record('orders', sequence(11))).toBe('committed');
    expect(await tracker.getOffset('orders')).toEqual(sequence(11));
    await tracker.reset('orders', sequence(1000));
    expect(await tracker.getOffset('orders')).toEqual(sequence(1000));
  });

  it('begins a new epoch in the store, at rank 0', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { now: () => 5 });
    await tracker.record('orders', custom('x'));
    await tracker.reset('orders', Offset.earliest);
    expect(await store.inner.get('orders')).toEqual({
      epoch: expect.any(Number),
      rank: 0,
      offset: Offset.earliest,
      committedAt: 5,
    });
    const first = tracker.status('orders').epoch;
    expect(first).toBeGreaterThan(0);
    await tracker.reset('orders', Offset.earliest);
    expect((await store.inner.get('orders'))?.epoch).toBeGreaterThan(first);
    expect(tracker.status('orders').epoch).toBeGreaterThan(first);
  });

  it('does not need to have read the source', async () => {
    const store = new TestStore();
    await store.elsewhere('orders', { epoch: 6, rank: 9, offset: sequence(9), committedAt: 0 }, false);
    const tracker = new OffsetTracker(store);
    await tracker.reset('orders', sequence(1));
    expect(await store.inner.get('orders')).toMatchObject({ epoch: expect.any(Number), rank: 0 });
    expect(await tracker.record('orders', sequence(2))).toBe('committed');
  });

  it('does not fence who did it, and tells those who listen once', async () => {
    const events: TrackerEvent[] = [];
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    await tracker.record('orders', sequence(100));
    tracker.subscribe((event) => void (event.type !== 'recorded' && events.push(event)));
    await tracker.reset('orders', sequence(10));
    await tracker.clear('clicks');
    expect(events).toMatchObject([
      { type: 'reset', source: 'orders', offset: sequence(10), origin: 'local' },
      { type: 'cleared', source: 'clicks', offset: undefined, origin: 'local' },
    ]);
    expect(tracker.status('orders')).toMatchObject({ fenced: false, epoch: expect.any(Number) });
    expect(await tracker.record('orders', sequence(11))).toBe('committed');
  });

  it('makes void what was pending, and the tickets that were open', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy: 'manual' });
    await tracker.record('orders', sequence(100));
    const ticket = await tracker.begin('orders', sequence(101));
    await tracker.reset('orders', sequence(10));
    expect(tracker.getAllPending()).toEqual(new Map());
    expect(await ticket.done()).toBe('fenced');
    expect(tracker.status('orders')).toMatchObject({ inFlight: 0, recorded: sequence(10) });
    expect(await tracker.commit('orders')).toBe('none');
  });

  it('answers ‘fenced’ to what waits for a commit, and ‘committed’ to what is being written', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    await tracker.read('orders');
    const go = store.hold();
    const writing = tracker.record('orders', sequence(1));
    await expect.poll(() => store.batches.length).toBe(1);
    const reset = tracker.reset('orders', sequence(50));
    const waiting = tracker.record('orders', sequence(2));
    go();
    await reset;
    expect(await writing).toBe('committed');
    expect(await waiting).toBe('fenced');
    expect((await store.inner.get('orders'))?.offset).toEqual(sequence(50));
  });

  it('keeps the offset as it was when it was given', async () => {
    const tracker = new OffsetTracker(new TestStore());
    const mine = { kind: 'sequence', value: 5n } as const;
    const reset = tracker.reset('orders', mine);
    Object.assign(mine, { value: 9n });
    await reset;
    expect(tracker.status('orders').committed).toEqual(sequence(5));
  });

  it('refuses what is no offset, and leaves everything as it is', async () => {
    const store = new TestStore([['orders', sequence(1)]]);
    const tracker = new OffsetTracker(store);
    await expect(tracker.reset('orders', { kind: 'sequence', value: -1n })).rejects.toThrow(InvalidOffsetError);
    await expect(tracker.reset('orders', undefined as never)).rejects.toThrow(/"orders"/);
    expect(store.calls).toEqual([]);
  });

  it('that fails leaves the source as it was, with what was pending', async () => {
    const store = new TestStore([['orders', sequence(1)]]);
    const tracker = new OffsetTracker(store, { strategy: 'manual' });
    await tracker.record('orders', sequence(2));
    store.failing = (call) => (call === 'commit' ? new Error('disk') : undefined);
    await expect(tracker.reset('orders', sequence(0))).rejects.toThrow('disk');
    store.failing = () => undefined;
    expect(await tracker.commitAll()).toEqual(new Map([['orders', 'committed']]));
    expect(await store.inner.get('orders')).toMatchObject({ epoch: 0, offset: sequence(2) });
  });

  it('repeats until its own epoch stands, where somebody else resets at the same moment', async () => {
    const store = new TestStore([['orders', sequence(100)]]);
    const tracker = new OffsetTracker(store);
    let others = 3;
    const { get } = store;
    store.get = async (source) => {
      const found = await get.call(store, source);
      // Between our reading and our writing, the other one wins.
      const epoch = (found?.epoch ?? 0) + 1;
      if (others-- > 0) await store.elsewhere(source, { epoch, rank: 0, offset: sequence(90), committedAt: 0 }, false);
      return found;
    };
    await tracker.reset('orders', sequence(5));
    expect(await store.inner.get('orders')).toMatchObject({ epoch: expect.any(Number), offset: sequence(5) });
    expect(await tracker.record('orders', sequence(6))).toBe('committed');
  });
});

describe('a reset that another tab’s has overtaken', () => {
  it.each([true, false])(
    'before its answer came fences who did it, whether it had read the source: %s',
    async (read) => {
      const store = new TestStore();
      const tracker = new OffsetTracker(store);
      if (read) await tracker.read('orders');
      const { commit } = store;
      store.commit = async (batch) => {
        const stands = await commit.call(store, batch);
        await store.elsewhere('orders', { epoch: 2 ** 50, rank: 0, offset: sequence(10), committedAt: 0 });
        return stands;
      };
      await tracker.reset('orders', sequence(100));
      store.commit = commit;
      expect(tracker.status('orders')).toMatchObject({ fenced: true, epoch: expect.any(Number) });
      expect(await tracker.record('orders', sequence(101))).toBe('fenced');
      expect(await store.inner.get('orders')).toMatchObject({ epoch: expect.any(Number), offset: sequence(10) });
      expect((await tracker.read('orders')).from).toEqual(sequence(10));
      expect(await tracker.record('orders', sequence(11))).toBe('committed');
    },
  );
});

describe('clear', () => {
  it('forgets a source: reading starts where the reset policy says', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore([['orders', sequence(5)]]), { resetPolicy: 'latest' });
    await tracker.clear('orders');
    expect(await tracker.getOffset('orders')).toEqual(Offset.latest);
    expect(await tracker.getAllCommitted()).toEqual(new Map());
    expect(await tracker.record('orders', sequence(1))).toBe('committed');
  });

  it('leaves a tombstone, which a tab that slept cannot undo', async () => {
    const store = new InMemoryOffsetStore();
    const [asleep, awake] = [new OffsetTracker(store, { strategy: 'manual' }), new OffsetTracker(store)];
    await asleep.read('orders');
    await asleep.record('orders', sequence(100));
    await awake.clear('orders');
    expect(await asleep.commitAll()).toEqual(new Map([['orders', 'fenced']]));
    expect(await store.get('orders')).toMatchObject({ epoch: expect.any(Number), offset: undefined });
    expect(await asleep.getOffset('orders')).toEqual(Offset.earliest);
  });

  it('of a source that nobody knows is no error', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    await tracker.clear('unknown');
    expect(await tracker.getOffset('unknown')).toEqual(Offset.earliest);
  });
});

describe('clearAll', () => {
  it('removes everything, and reading starts over', async () => {
    const store = new InMemoryOffsetStore([['left', sequence(1)]]);
    const tracker = new OffsetTracker(store);
    await tracker.record('orders', sequence(5));
    await tracker.reset('clicks', sequence(5));
    await tracker.clearAll();
    expect(await store.getAll()).toEqual(new Map());
    expect(await tracker.getOffset('orders')).toEqual(Offset.earliest);
    expect(await tracker.record('orders', sequence(1))).toBe('committed');
    expect(await store.get('orders')).toMatchObject({ epoch: 0, rank: 1 });
  });

  it('makes void what was pending, recorded meanwhile, or in flight; what was being written is committed', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    await tracker.read('orders');
    const ticket = await tracker.begin('clicks', sequence(1));
    const go = store.hold();
    const writing = tracker.record('orders', sequence(1));
    await expect.poll(() => store.batches.length).toBe(1);
    const clearing = tracker.clearAll();
    const waiting = tracker.record('orders', sequence(2));
    go();
    await clearing;
    expect(await writing).toBe('committed');
    expect(await waiting).toBe('fenced');
    expect(await ticket.done()).toBe('fenced');
    expect(tracker.getAllPending()).toEqual(new Map());
    expect(await store.inner.getAll()).toEqual(new Map());
    expect(await tracker.record('orders', sequence(1))).toBe('committed');
  });

  it('is told for each source that is known', async () => {
    const events: TrackerEvent[] = [];
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    await tracker.record('orders', sequence(5));
    tracker.subscribe((event) => void (event.type !== 'recorded' && events.push(event)));
    await tracker.clearAll();
    expect(events).toMatchObject([{ type: 'cleared', source: 'orders', offset: undefined, origin: 'local' }]);
  });

  it('that fails leaves everything as it was', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    await tracker.record('orders', sequence(5));
    store.failing = () => new Error('disk');
    await expect(tracker.clearAll()).rejects.toThrow('disk');
    store.failing = () => undefined;
    expect(tracker.status('orders').committed).toEqual(sequence(5));
    expect(await tracker.getOffset('orders')).toEqual(sequence(5));
  });

  it('by another tab that was not heard of shows at the next reading', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    await tracker.record('orders', sequence(5));
    await store.inner.clearAll();
    expect((await tracker.read('orders')).from).toEqual(Offset.earliest);
    expect(await tracker.record('orders', sequence(1))).toBe('committed');
    expect(await store.inner.get('orders')).toMatchObject({ rank: 1, offset: sequence(1) });
  });
});

describe('two trackers on one store', () => {
  const pair = (store: OffsetStore, strategy: 'auto' | 'manual' = 'auto'): [OffsetTracker, OffsetTracker] => [
    new OffsetTracker(store, { strategy }),
    new OffsetTracker(store, { strategy }),
  ];

  it('never take each other back', async () => {
    const store = new InMemoryOffsetStore();
    const [ahead, behind] = pair(store);
    await ahead.record('orders', sequence(100));
    expect(await behind.record('orders', sequence(7))).toBe('committed');
    expect((await store.get('orders'))?.offset).toEqual(sequence(100));
  });

  it('a reset by one fences the other, which says so once, writes nothing and records nothing', async () => {
    const store = new InMemoryOffsetStore();
    const [mine, other] = pair(store);
    const events: TrackerEvent[] = [];
    await mine.read('orders');
    await mine.record('orders', sequence(99));
    mine.subscribe((event) => void (event.type !== 'recorded' && events.push(event)));
    await other.reset('orders', sequence(10));
    expect(await mine.record('orders', sequence(100))).toBe('fenced');
    expect(await mine.record('orders', sequence(101))).toBe('fenced');
    expect(await mine.commit('orders')).toBe('fenced');
    expect(await mine.commitAll()).toEqual(new Map());
    expect(mine.getAllPending()).toEqual(new Map());
    expect(mine.status('orders')).toMatchObject({ fenced: true, epoch: expect.any(Number), committed: sequence(10) });
    expect(await store.get('orders')).toMatchObject({ epoch: expect.any(Number), offset: sequence(10) });
    expect(events).toMatchObject([{ type: 'reset', source: 'orders', offset: sequence(10), origin: 'remote' }]);
  });

  it('a fenced one records again once it has asked where to start', async () => {
    const store = new InMemoryOffsetStore();
    const [mine, other] = pair(store);
    await mine.record('orders', sequence(100));
    await other.reset('orders', sequence(10));
    await mine.record('orders', sequence(101));
    expect((await mine.read('orders')).from).toEqual(sequence(10));
    expect(mine.status('orders').fenced).toBe(false);
    expect(await mine.record('orders', sequence(11))).toBe('committed');
    expect(await store.get('orders')).toMatchObject({ epoch: expect.any(Number), rank: 1, offset: sequence(11) });
  });

  it('a fence concerns its source alone', async () => {
    const [mine, other] = pair(new InMemoryOffsetStore());
    await mine.record('orders', sequence(1));
    await other.reset('orders', sequence(10));
    await mine.record('orders', sequence(2));
    expect(await mine.record('clicks', sequence(2))).toBe('committed');
  });

  it('a fenced one may reset the source itself', async () => {
    const [mine, other] = pair(new InMemoryOffsetStore());
    await mine.record('orders', sequence(1));
    await other.reset('orders', sequence(10));
    await mine.record('orders', sequence(2));
    await mine.reset('orders', sequence(5));
    expect(await mine.record('orders', sequence(6))).toBe('committed');
    expect(await other.record('orders', sequence(11))).toBe('fenced');
  });

  it('a ticket that was open at the reset is fenced when it is done', async () => {
    const [mine, other] = pair(new InMemoryOffsetStore());
    await mine.record('orders', sequence(1));
    const ticket = await mine.begin('orders', sequence(2));
    await other.reset('orders', sequence(10));
    expect(await ticket.done()).toBe('fenced');
    expect(mine.status('orders')).toMatchObject({ fenced: true, inFlight: 0 });
  });

  it('a ticket that begins behind the fence is void, whatever its kind, and holds nobody up', async () => {
    const [mine, other] = pair(new InMemoryOffsetStore());
    await mine.record('orders', sequence(1));
    await other.reset('orders', custom('x'));
    expect(await mine.record('orders', sequence(2))).toBe('fenced');
    const tickets = await Promise.all(Array.from({ length: 2000 }, (_, i) => mine.begin('orders', sequence(3 + i))));
    expect(await tickets[0]?.done()).toBe('fenced');
    tickets[1]?.abandon();
    expect(mine.status('orders')).toMatchObject({ inFlight: 0 });
  });
});

describe('opaque cursors', () => {
  it('go on from the stored rank after a restart', async () => {
    const store = new InMemoryOffsetStore();
    const first = new OffsetTracker(store);
    for (const cursor of ['z', 'm', 'a']) await first.record('orders', custom(cursor));
    const second = new OffsetTracker(store);
    expect(await second.getOffset('orders')).toEqual(custom('a'));
    await second.record('orders', custom('q'));
    expect(await store.get('orders')).toMatchObject({ rank: 4, offset: custom('q') });
  });

  it('that two read from the same start are compared by their place in the feed', async () => {
    const store = new InMemoryOffsetStore();
    const [ahead, behind] = [new OffsetTracker(store), new OffsetTracker(store)];
    const feed = ['z', 'm', 'a', 'q', 'b'].map((cursor) => custom(cursor));
    await Promise.all([ahead.read('orders'), behind.read('orders')]);
    for (const offset of feed.slice(0, 4)) await ahead.record('orders', offset);
    for (const offset of feed.slice(0, 3)) expect(await behind.record('orders', offset)).toBe('committed');
    expect(await store.get('orders')).toMatchObject({ rank: 4, offset: custom('q') });
    for (const offset of feed.slice(3)) await behind.record('orders', offset);
    expect(await store.get('orders')).toMatchObject({ rank: 5, offset: custom('b') });
  });

  it('that are read again after a failed commit keep their place', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { strategy: 'manual' });
    const feed = ['z', 'm', 'a', 'q'].map((cursor) => custom(cursor));
    await tracker.read('orders');
    for (const offset of feed.slice(0, 3)) await tracker.record('orders', offset);
    store.failing = () => new Error('disk');
    await expect(tracker.commit('orders')).rejects.toThrow('disk');
    store.failing = () => undefined;
    expect((await tracker.read('orders')).from).toEqual(custom('a'));
    expect(tracker.getAllPending()).toEqual(new Map([['orders', custom('a')]]));
    for (const offset of feed.slice(2)) await tracker.record('orders', offset);
    await tracker.commitAll();
    expect(await store.inner.get('orders')).toMatchObject({ rank: 4, offset: custom('q') });
  });

  it('start at rank 0 again after a reset', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store);
    for (const cursor of ['z', 'm', 'a']) await tracker.record('orders', custom(cursor));
    await tracker.reset('orders', custom('z'));
    await tracker.record('orders', custom('m'));
    expect(await store.get('orders')).toMatchObject({ epoch: expect.any(Number), rank: 1, offset: custom('m') });
  });
});
