import { describe, expect, it } from 'vitest';
import {
  type Batch,
  type Checkpoint,
  InvalidOffsetError,
  Offset,
  OffsetTracker,
  StorageError,
} from '../../../src/index.ts';
import { watchUnhandled } from '../runtime.ts';
import { TestStore } from './test-store.ts';

const { sequence, custom } = Offset;
const manual = { strategy: 'manual' } as const;

/** A store that asks, before it writes, for what is newest by then. */
class AskingStore extends TestStore {
  newest: ((source: string) => Checkpoint | undefined) | undefined;

  override async commit(batch: Batch, newest?: (source: string) => Checkpoint | undefined) {
    this.newest = newest;
    return super.commit(batch);
  }
}

describe('what a store is told that asks for the newest', () => {
  const underWay = async () => {
    const store = new AskingStore();
    const tracker = new OffsetTracker(store);
    await tracker.read('orders');
    const open = store.hold();
    const first = tracker.record('orders', sequence(1));
    while (!store.newest) await undefined;
    return { store, tracker, open, first };
  };

  it('is what was recorded meanwhile', async () => {
    const { store, tracker, open, first } = await underWay();
    const second = tracker.record('orders', sequence(2));
    expect(store.newest?.('orders')).toMatchObject({ epoch: 0, rank: 2, offset: sequence(2) });
    expect(store.newest?.('clicks')).toBeUndefined();
    open();
    expect(await Promise.all([first, second])).toEqual(['committed', 'committed']);
    expect(store.newest?.('orders')).toBeUndefined();
  });

  it('is nothing of another epoch', async () => {
    const { store, tracker, open, first } = await underWay();
    const batch = new Map([['orders', { epoch: 1, rank: 0, offset: undefined, committedAt: 0 }]]);
    store.push({ type: 'commit', batch });
    void tracker.record('orders', sequence(9));
    expect(store.newest?.('orders')).toBeUndefined();
    open();
    expect(await first).toBe('fenced');
  });
});

it('an effect that fails leaves committed what was pending before it', async () => {
  const tracker = new OffsetTracker(new TestStore(), manual);
  const reading = await tracker.read('orders');
  await reading.record(sequence(1));
  const failing = reading.transact(sequence(2), () => {
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect([tracker.status('orders').committed, tracker.getAllPending().size]).toEqual([sequence(1), 0]);
});

it('a store that does not answer for a source is named with it', async () => {
  const store = new TestStore();
  store.commit = async () => new Map();
  const tracker = new OffsetTracker(store);
  await tracker.read('orders');
  const error = await tracker.record('orders', sequence(1)).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(StorageError);
  expect(error).toMatchObject({ source: 'orders', message: 'the store did not answer for "orders"' });
});

it('what the store says of another kind ends what is pending, and readings go on there', async () => {
  const store = new TestStore();
  const tracker = new OffsetTracker(store);
  const reading = await tracker.read('orders');
  const { commit } = store;
  store.commit = async () => {
    store.commit = commit;
    return store.inner.commit(new Map([['orders', { epoch: 0, rank: 7, offset: custom('seven'), committedAt: 0 }]]));
  };
  await expect(reading.record(sequence(1))).rejects.toBeInstanceOf(InvalidOffsetError);
  expect(tracker.getAllPending()).toEqual(new Map());
  expect(tracker.status('orders').committed).toEqual(custom('seven'));
  expect(await reading.record(custom('eight'))).toBe('committed');
  expect(await store.inner.get('orders')).toMatchObject({ rank: 8, offset: custom('eight') });
});

describe('what a caller need not await', () => {
  const told = (store: TestStore, options = {}) => {
    const errors: unknown[] = [];
    const tracker = new OffsetTracker(store, { ...manual, ...options, onError: (error) => void errors.push(error) });
    return { errors, tracker };
  };

  it('is told where its signal is aborted, unless with the reason of that', async () => {
    const { errors, tracker } = told(new TestStore());
    const reading = await tracker.read('orders');
    await reading.record(sequence(1));
    const signal = AbortSignal.abort(new Error('enough'));
    void reading.begin(custom('another kind'), { signal });
    await expect.poll(() => errors).toMatchObject([{ code: 'invalid-offset' }]);
  });

  it('is told once of an error that ends several', async () => {
    const { errors, tracker } = told(new TestStore(), { maxInFlight: 1 });
    const reading = await tracker.read('orders');
    const ticket = await reading.begin(sequence(1));
    const waiting = [2, 3].map((n) => reading.begin(sequence(n)));
    ticket.abandon();
    await Promise.allSettled(waiting);
    expect(errors).toMatchObject([{ code: 'in-flight' }]);
  });

  it('is an unhandled rejection without an onError, where the store cannot be asked for its source', async () => {
    const unhandled = watchUnhandled();
    const store = new TestStore();
    const error = new StorageError('the disk is full');
    store.failing = () => error;
    const tracker = new OffsetTracker(store, manual);
    void tracker.record('orders', sequence(1));
    await expect.poll(() => unhandled).toEqual([error]);
  });
});
