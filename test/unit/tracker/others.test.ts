import { describe, expect, it } from 'vitest';
import { type Checkpoint, Offset, OffsetTracker, type TrackerEvent, type TrackerOptions } from '../../../src/index.ts';
import { TestStore } from './test-store.ts';

const { sequence } = Offset;

describe('what another tab commits', () => {
  it('is told, and shows in status, without asking the store', async () => {
    const { store, tracker, events } = listening();
    await tracker.read('orders');
    await store.elsewhere('orders', at(0, 5, sequence(5)));
    expect(events).toMatchObject([{ type: 'committed', source: 'orders', offset: sequence(5), origin: 'remote' }]);
    expect(tracker.status('orders')).toMatchObject({ committed: sequence(5), lastCommitAt: 1000, fenced: false });
    expect(store.calls).toEqual(['get']);
  });

  it('is told once, however often and in whatever order it is heard', async () => {
    const { store, tracker, events } = listening();
    await tracker.read('orders');
    for (const n of [5, 5, 3, 6, 5]) await store.elsewhere('orders', at(0, n, sequence(n)));
    store.push({ type: 'commit', batch: new Map([['orders', at(0, 2, sequence(2))]]) });
    expect(events.map(({ offset }) => offset)).toEqual([sequence(5), sequence(6)]);
  });

  it('saves this one the write, where it is at or beyond what is pending', async () => {
    const { store, tracker } = listening({ strategy: 'manual' });
    await tracker.read('orders');
    await tracker.record('orders', sequence(4));
    await store.elsewhere('orders', at(0, 5, sequence(5)));
    expect(tracker.getAllPending()).toEqual(new Map());
    expect(await tracker.commit('orders')).toBe('none');
    expect(await tracker.record('orders', sequence(5))).toBe('committed');
    expect(store.batches).toEqual([]);
  });

  it('is remembered where it is heard before this one reads, and the store does not show it yet', async () => {
    const { store, tracker, events } = listening({ strategy: 'manual' });
    store.push({ type: 'commit', batch: new Map([['orders', at(0, 7, sequence(7))]]) });
    const reading = await tracker.read('orders');
    expect(reading.from).toEqual(sequence(7));
    expect(await reading.record(sequence(4))).toBe('committed');
    expect(events.map(({ offset }) => offset)).not.toContainEqual(sequence(4));
    expect(tracker.status('orders').committed).toEqual(sequence(7));
  });

  it('also answers a record that waits for its turn, without a write', async () => {
    const { store, tracker } = listening();
    await tracker.read('orders');
    const go = store.hold();
    const writing = tracker.record('clicks', sequence(1));
    await expect.poll(() => store.calls.length).toBe(2);
    const waiting = tracker.record('orders', sequence(4));
    await store.elsewhere('orders', at(0, 5, sequence(5)));
    go();
    expect(await writing).toBe('committed');
    expect(await waiting).toBe('committed');
    expect(store.written).toEqual([['clicks']]);
  });

  it('does not save the write of what is further', async () => {
    const { store, tracker } = listening({ strategy: 'manual' });
    await tracker.read('orders');
    await tracker.record('orders', sequence(6));
    await store.elsewhere('orders', at(0, 5, sequence(5)));
    expect(await tracker.commit('orders')).toBe('committed');
    expect((await store.inner.get('orders'))?.offset).toEqual(sequence(6));
  });

  it('in one message for many sources is told for each', async () => {
    const { store, events } = listening();
    store.push({
      type: 'commit',
      batch: new Map([
        ['orders', at(0, 5, sequence(5))],
        ['clicks', at(0, 6, sequence(6))],
      ]),
    });
    expect(events.map(({ source, offset }) => [source, offset])).toEqual([
      ['orders', sequence(5)],
      ['clicks', sequence(6)],
    ]);
  });
});

describe('a reset by another tab', () => {
  it('drops what is pending, fences the source and is told once', async () => {
    const { store, tracker, events } = listening({ strategy: 'manual' });
    await tracker.read('orders');
    await tracker.record('orders', sequence(100));
    const ticket = await tracker.begin('orders', sequence(101));
    await store.elsewhere('orders', at(1, 0, sequence(10)));
    store.push({ type: 'commit', batch: new Map([['orders', at(1, 0, sequence(10))]]) });
    expect(events.filter(({ type }) => type !== 'in-flight')).toMatchObject([
      { type: 'reset', source: 'orders', offset: sequence(10), origin: 'remote' },
    ]);
    expect(tracker.getAllPending()).toEqual(new Map());
    expect(await tracker.record('orders', sequence(102))).toBe('fenced');
    expect(await tracker.commit('orders')).toBe('fenced');
    expect(await ticket.done()).toBe('fenced');
    expect(store.batches).toEqual([]);
    expect((await tracker.read('orders')).from).toEqual(sequence(10));
    expect(await tracker.record('orders', sequence(11))).toBe('pending');
  });

  it('answers what waits for its turn with ‘fenced’, at once', async () => {
    const { store, tracker } = listening();
    await tracker.read('orders');
    const go = store.hold();
    const writing = tracker.record('orders', sequence(1));
    await expect.poll(() => store.batches.length).toBe(1);
    const waiting = tracker.record('orders', sequence(2));
    await store.elsewhere('orders', at(1, 0, undefined));
    expect(await waiting).toBe('fenced');
    go();
    expect(await writing).toBe('fenced');
    expect(await store.inner.get('orders')).toMatchObject({ epoch: 1, offset: undefined });
  });

  it('that cleared the source is told as cleared', async () => {
    const { store, tracker, events } = listening();
    await tracker.read('orders');
    await store.elsewhere('orders', at(1, 0, undefined));
    expect(events).toMatchObject([{ type: 'cleared', source: 'orders', offset: undefined, origin: 'remote' }]);
    expect(await tracker.record('orders', sequence(1))).toBe('fenced');
  });

  it('fences even who has recorded before reading, and was going to go on from what is stored', async () => {
    const { store, tracker, events } = listening({ strategy: 'manual' });
    await tracker.record('orders', sequence(100));
    await store.elsewhere('orders', at(1, 0, sequence(10)));
    expect(events).toMatchObject([{ type: 'reset', origin: 'remote' }]);
    expect(tracker.getAllPending()).toEqual(new Map());
  });

  it.each([true, false])(
    'holds for any number of sources, until each is read or reset here: announced %s',
    async (announced) => {
      const { store, tracker } = listening();
      const sources = Array.from({ length: 600 }, (_, i) => `orders ${i}`);
      for (const source of sources) await tracker.record(source, sequence(100));
      for (const source of sources) await store.elsewhere(source, at(1, 0, sequence(10)), announced);
      for (const n of [101, 102, 103]) {
        const outcomes = await Promise.all(sources.map((source) => tracker.record(source, sequence(n))));
        expect(new Set(outcomes)).toEqual(new Set(['fenced']));
      }
      expect(await tracker.commit('orders 0')).toBe('fenced');
      const stored = [...(await tracker.getAllCommitted()).values()];
      expect(stored.filter((offset) => !Offset.equals(offset, sequence(10)))).toEqual([]);
      await tracker.read('orders 0');
      expect(await tracker.record('orders 0', sequence(11))).toBe('committed');
      await tracker.reset('orders 1', sequence(20));
      expect(await tracker.record('orders 1', sequence(21))).toBe('committed');
      expect(await tracker.record('orders 2', sequence(21))).toBe('fenced');
    },
  );

  it('heard of again after reading has started again changes nothing', async () => {
    const { store, tracker, events } = listening();
    await tracker.read('orders');
    await store.elsewhere('orders', at(1, 0, sequence(10)));
    await tracker.read('orders');
    await tracker.record('orders', sequence(11));
    events.length = 0;
    store.push({ type: 'commit', batch: new Map([['orders', at(1, 0, sequence(10))]]) });
    store.push({ type: 'commit', batch: new Map([['orders', at(0, 99, sequence(99))]]) });
    expect(events).toEqual([]);
    expect(await tracker.record('orders', sequence(12))).toBe('committed');
  });
});

describe('clearAll by another tab', () => {
  it('drops what is pending and fences every source, until reading starts again', async () => {
    const { store, tracker, events } = listening({ strategy: 'manual' });
    await tracker.record('orders', sequence(5));
    await tracker.commitAll();
    await tracker.record('orders', sequence(6));
    events.length = 0;
    await store.inner.clearAll();
    store.push({ type: 'clearAll' });
    expect(events).toMatchObject([{ type: 'cleared', source: 'orders', offset: undefined, origin: 'remote' }]);
    expect(tracker.getAllPending()).toEqual(new Map());
    expect(await tracker.record('orders', sequence(7))).toBe('fenced');
    expect((await tracker.read('orders')).from).toEqual(Offset.earliest);
    await tracker.record('orders', sequence(1));
    await tracker.commitAll();
    expect(await store.inner.get('orders')).toMatchObject({ epoch: 0, rank: 1, offset: sequence(1) });
  });
});

describe('the health of a store', () => {
  it('is told once each way, and stands in status meanwhile', async () => {
    const { store, tracker, events } = listening();
    const lost = new Error('connection lost');
    store.push({ type: 'health', error: lost });
    expect(tracker.status('orders').degraded).toBe(lost);
    expect(tracker.status('clicks').degraded).toBe(lost);
    store.push({ type: 'health' });
    expect(tracker.status('orders').degraded).toBeUndefined();
    expect(events).toMatchObject([
      { type: 'degraded', source: undefined, error: lost, origin: 'local' },
      { type: 'recovered', source: undefined, error: undefined, origin: 'local' },
    ]);
  });

  it('keeps nothing from being recorded and kept', async () => {
    const { store, tracker } = listening({ strategy: 'manual' });
    store.push({ type: 'health', error: new Error('connection lost') });
    expect(await tracker.record('orders', sequence(1))).toBe('pending');
    store.push({ type: 'health' });
    expect(await tracker.commitAll()).toEqual(new Map([['orders', 'committed']]));
  });
});

describe('a store that tells nothing', () => {
  it('will do', async () => {
    const store = new TestStore();
    Object.assign(store, { subscribe: undefined });
    const tracker = new OffsetTracker(store);
    expect(await tracker.record('orders', sequence(1))).toBe('committed');
    await tracker.close();
  });
});

interface Listening {
  readonly store: TestStore;
  readonly tracker: OffsetTracker;
  readonly events: TrackerEvent[];
}

function listening(options: TrackerOptions = {}): Listening {
  const store = new TestStore();
  const tracker = new OffsetTracker(store, options);
  const events: TrackerEvent[] = [];
  tracker.subscribe((event) => void (event.type !== 'recorded' && events.push(event)));
  return { store, tracker, events };
}

function at(epoch: number, rank: number, offset: Offset | undefined): Checkpoint {
  return { epoch, rank, offset, committedAt: 1000 };
}
