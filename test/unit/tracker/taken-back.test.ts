import { describe, expect, it } from 'vitest';
import { Offset, OffsetTracker, StorageError } from '../../../src/index.ts';
import { TestStore } from './test-store.ts';

const { sequence } = Offset;

describe('clearAll', () => {
  it.each([true, false])('counts for a reading that has asked the store before: source known %s', async (known) => {
    const store = new TestStore([['orders', sequence(100)]]);
    const tracker = new OffsetTracker(store);
    if (known) await tracker.record('orders', sequence(101));
    const late = lateGet(store);
    const asked = tracker.read('orders');
    await late.found;
    await tracker.clearAll();
    late.answer();
    const reading = await asked;
    expect([reading.from, tracker.status('orders').committed]).toEqual([Offset.earliest, undefined]);
    expect(await reading.record(sequence(1))).toBe('committed');
    expect((await store.inner.get('orders'))?.offset).toEqual(sequence(1));
  });
});

describe('a store that holds less than it once said, after a transaction of the caller’s that failed', () => {
  it('counts: the next reading starts there, and who read on from the place that is void is fenced', async () => {
    const { store, tracker, takeBack } = await committed();
    const other = await tracker.read('orders');
    const types: string[] = [];
    tracker.subscribe(({ type }) => types.push(type));
    await takeBack();
    const reading = await tracker.read('orders');
    expect([reading.from, tracker.status('orders').committed]).toEqual([sequence(1), sequence(1)]);
    expect(other.signal.reason).toMatchObject({ code: 'fenced', by: 'reset' });
    expect(await other.record(sequence(3))).toBe('fenced');
    expect(types).toEqual(['reset']);
    expect(await reading.record(sequence(2))).toBe('committed');
    expect((await store.inner.get('orders'))?.offset).toEqual(sequence(2));
  });

  it('is no reader that fences, also where one has begun the epoch', async () => {
    const { tracker, takeBack } = await committed(true);
    const other = await tracker.read('orders');
    await takeBack();
    expect((await tracker.read('orders')).from).toEqual(sequence(1));
    expect(other.signal.reason).toMatchObject({ by: 'reset' });
  });

  it('does not count where it may be behind', async () => {
    const { store, tracker, takeBack } = await committed();
    Object.assign(store, { capabilities: { ...store.capabilities, consistency: 'eventual' } });
    await takeBack();
    expect((await tracker.read('orders')).from).toEqual(sequence(2));
  });

  it('does not count where more is recorded here, or heard of while the store is asked', async () => {
    const { store, tracker, takeBack } = await committed();
    await takeBack();
    const late = lateGet(store);
    const asked = tracker.read('orders');
    await late.found;
    await store.elsewhere('orders', { epoch: 0, rank: 3, offset: sequence(3), committedAt: 0 });
    late.answer();
    expect((await asked).from).toEqual(sequence(3));
    store.failing = (call) => (call === 'commit' ? new StorageError('the disk is full') : undefined);
    await expect(tracker.record('orders', sequence(4))).rejects.toThrow('full');
    await takeBack();
    expect((await tracker.read('orders')).from).toEqual(sequence(4));
  });
});

interface Committed {
  readonly store: TestStore;
  readonly tracker: OffsetTracker;
  /** The store goes back to 1, and nobody is told. */
  readonly takeBack: () => Promise<void>;
}

/** Event 2 is committed. */
async function committed(fence = false): Promise<Committed> {
  const store = new TestStore();
  const tracker = new OffsetTracker(store);
  const reading = await tracker.read('orders', { fence });
  await reading.record(sequence(1));
  const before = await store.inner.getAll();
  await reading.record(sequence(2));
  await reading.close();
  const takeBack = async (): Promise<void> => {
    await store.inner.clearAll();
    await store.inner.commit(before);
  };
  return { store, tracker, takeBack };
}

/** Has the next `get` answer late with what it found early. */
function lateGet(store: TestStore): { readonly found: Promise<void>; readonly answer: () => void } {
  let answer = (): void => {};
  const answered = new Promise<void>((resolve) => (answer = resolve));
  const found = new Promise<void>((resolve) => {
    store.get = async (source) => {
      Reflect.deleteProperty(store, 'get');
      const checkpoint = await store.get(source);
      resolve();
      await answered;
      return checkpoint;
    };
  });
  return { found, answer };
}
