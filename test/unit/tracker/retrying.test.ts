import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  Offset,
  OffsetError,
  OffsetTracker,
  type RecordOutcome,
  SerializationError,
  StorageError,
  type Strategy,
  type TrackerEvent,
} from '../../../src/index.ts';
import { TestStore } from './test-store.ts';

const { sequence } = Offset;
const gone = (source?: string): StorageError =>
  new StorageError('the server is gone', { retryable: true, ...(source !== undefined && { source }) });
const full = (): StorageError => new StorageError('the disk is full');

interface World {
  readonly store: TestStore;
  readonly tracker: OffsetTracker<TestStore>;
  /** What a commit fails with from now on. */
  fail(error: Error | undefined): void;
  /** How many commits the store was asked for. */
  readonly tries: () => number;
}

/** A tracker whose source is known, so that what fails is a commit. */
async function world(strategy: Strategy): Promise<World> {
  const store = new TestStore();
  const tracker = new OffsetTracker(store, { strategy, onError: () => {} });
  await tracker.read('orders');
  await tracker.read('clicks');
  const fail = (error: Error | undefined): void => {
    store.failing = (call) => (call === 'commit' ? error : undefined);
  };
  return { store, tracker, fail, tries: () => store.batches.length };
}

const outcomeOf = (recorded: Promise<RecordOutcome>): Promise<unknown> =>
  recorded.catch((error: Error) => error.message);

beforeEach(() => {
  vi.useFakeTimers();
  // The whole of each delay.
  vi.spyOn(Math, 'random').mockReturnValue(1);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe('a commit that fails and may pass', () => {
  it.each([
    ['says so', gone()],
    ['is no error of a store, like one of the network', new TypeError('fetch failed')],
  ])('is tried again by itself where its error %s, after 1, 2, 4 … and at most 30 seconds', async (_, error) => {
    const { tracker, store, fail, tries } = await world('auto');
    fail(error);
    expect(await outcomeOf(tracker.record('orders', sequence(1)))).toBe(error.message);
    for (const seconds of [1, 2, 4, 8, 16, 30, 30]) {
      const before = tries();
      await vi.advanceTimersByTimeAsync(seconds * 1000 - 1);
      expect(tries()).toBe(before);
      await vi.advanceTimersByTimeAsync(1);
      expect(tries()).toBe(before + 1);
    }
    fail(undefined);
    await vi.advanceTimersByTimeAsync(30_000);
    expect((await store.get('orders'))?.offset).toEqual(sequence(1));
    expect([tracker.getAllPending().size, vi.getTimerCount()]).toEqual([0, 0]);
  });

  it('waits for at least half of its delay', async () => {
    vi.mocked(Math.random).mockReturnValue(0);
    const { tracker, fail, tries } = await world('auto');
    fail(gone());
    await outcomeOf(tracker.record('orders', sequence(1)));
    await vi.advanceTimersByTimeAsync(499);
    expect(tries()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(tries()).toBe(2);
  });

  it('begins with a short delay again once one has gone through', async () => {
    const { tracker, fail, tries } = await world('auto');
    fail(gone());
    await outcomeOf(tracker.record('orders', sequence(1)));
    await vi.advanceTimersByTimeAsync(1000);
    fail(undefined);
    await vi.advanceTimersByTimeAsync(2000);
    expect(tries()).toBe(3);
    fail(gone());
    await outcomeOf(tracker.record('orders', sequence(2)));
    await vi.advanceTimersByTimeAsync(1000);
    expect(tries()).toBe(5);
  });

  it('shares its next try with what is recorded meanwhile, for any source, the latest of each', async () => {
    const { tracker, store, fail, tries } = await world('auto');
    fail(gone());
    await outcomeOf(tracker.record('orders', sequence(1)));
    fail(undefined);
    const later = Promise.all([tracker.record('orders', sequence(2)), tracker.record('clicks', sequence(7))]);
    await vi.advanceTimersByTimeAsync(999);
    expect(tries()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await later).toEqual(['committed', 'committed']);
    expect(store.batches[1]).toMatchObject(
      new Map([
        ['orders', { offset: sequence(2) }],
        ['clicks', { offset: sequence(7) }],
      ]),
    );
    expect(tries()).toBe(2);
  });

  it('is waited for by a thousand timers at most, however much is recorded meanwhile', async () => {
    const { tracker, fail, tries } = await world('auto');
    fail(gone());
    await outcomeOf(tracker.record('orders', sequence(1)));
    for (let n = 2; n < 3000; n++) {
      void tracker.record('orders', sequence(n));
      await undefined;
    }
    expect(vi.getTimerCount()).toBe(1000);
    fail(undefined);
    await vi.advanceTimersByTimeAsync(1000);
    expect([tries(), tracker.getAllPending().size, vi.getTimerCount()]).toEqual([2, 0, 0]);
  });

  it.each([
    ['stands still', () => 1_767_323_045_678],
    ['was set back', () => 1_767_323_045_678 - 3_600_000 * performance.now()],
  ])('is tried again whatever the clock of the tracker says: it %s', async (_, now) => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { now, onError: () => {} });
    await tracker.read('orders');
    store.failing = (call) => (call === 'commit' ? gone() : undefined);
    await outcomeOf(tracker.record('orders', sequence(1)));
    store.failing = () => undefined;
    await vi.advanceTimersByTimeAsync(1000);
    expect([store.batches.length, tracker.getAllPending().size]).toEqual([2, 0]);
  });

  it('is tried at once where somebody asks for it', async () => {
    const { tracker, fail, tries } = await world('auto');
    fail(gone());
    await outcomeOf(tracker.record('orders', sequence(1)));
    fail(undefined);
    expect(await tracker.commit('orders')).toBe('committed');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(tries()).toBe(2);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is owed for the sources that failed, and not for one that was committed or reset since', async () => {
    const { tracker, store, fail } = await world('manual');
    fail(gone());
    await tracker.record('orders', sequence(1));
    await tracker.record('clicks', sequence(1));
    await tracker.commitAll().catch(() => {});
    fail(undefined);
    await tracker.reset('clicks', sequence(50));
    await vi.advanceTimersByTimeAsync(1000);
    expect(store.batches.at(-1)).toMatchObject(new Map([['orders', { offset: sequence(1) }]]));
    expect(tracker.getAllPending()).toEqual(new Map());
    expect((await store.get('clicks'))?.offset).toEqual(sequence(50));
  });

  it('is tried no more once the tracker is closed, which tries it itself', async () => {
    const { tracker, fail, tries } = await world('auto');
    fail(gone());
    await outcomeOf(tracker.record('orders', sequence(1)));
    fail(undefined);
    await tracker.close();
    expect([tries(), vi.getTimerCount()]).toEqual([2, 0]);
  });

  it('leaves no timer in a tracker that closes with nothing pending any more', async () => {
    const { tracker, store, fail, tries } = await world('auto');
    fail(gone());
    await outcomeOf(tracker.record('orders', sequence(1)));
    store.push({ type: 'clearAll' });
    expect(vi.getTimerCount()).toBe(1);
    await tracker.close();
    expect([tries(), vi.getTimerCount()]).toEqual([1, 0]);
  });
});

describe('a commit that fails for good', () => {
  it.each([
    ['a StorageError that is not retryable', full()],
    ['what cannot be read', new SerializationError('garbage in "orders"', { source: 'orders' })],
  ])('is not tried again by itself: %s', async (_, error) => {
    const { tracker, fail, tries } = await world('auto');
    fail(error);
    expect(await outcomeOf(tracker.record('orders', sequence(1)))).toBe(error.message);
    expect(vi.getTimerCount()).toBe(0);
    await vi.advanceTimersByTimeAsync(120_000);
    expect([tries(), vi.getTimerCount()]).toEqual([1, 0]);
    fail(undefined);
    expect(await tracker.record('orders', sequence(2))).toBe('committed');
  });

  it('is tried again with the next interval, where there is one and as long as something is pending', async () => {
    const { tracker, fail, tries } = await world({ intervalMs: 5000 });
    fail(full());
    await tracker.record('orders', sequence(1));
    await vi.advanceTimersByTimeAsync(5000);
    expect(tries()).toBe(1);
    await vi.advanceTimersByTimeAsync(5000);
    expect(tries()).toBe(2);
    fail(undefined);
    await vi.advanceTimersByTimeAsync(5000);
    expect([tries(), tracker.getAllPending().size, vi.getTimerCount()]).toEqual([3, 0, 0]);
  });

  it('for one source does not keep the others from being committed', async () => {
    const { tracker, store } = await world('manual');
    store.failing = (call, sources) =>
      call === 'commit' && sources.includes('orders') ? new StorageError('too large', { source: 'orders' }) : undefined;
    await tracker.record('orders', sequence(1));
    await tracker.record('clicks', sequence(1));
    await expect(tracker.commitAll()).rejects.toThrow('too large');
    expect((await store.get('clicks'))?.offset).toEqual(sequence(1));
    expect(tracker.getAllPending()).toEqual(new Map([['orders', sequence(1)]]));
  });
});

describe('the health of a tracker', () => {
  const told = (tracker: OffsetTracker<TestStore>): string[] => {
    const types: string[] = [];
    tracker.subscribe(({ type }: TrackerEvent) => void (/degraded|recovered|error/.test(type) && types.push(type)));
    return types;
  };

  it('is degraded from the first commit that fails to the first that goes through', async () => {
    const { tracker, fail } = await world('auto');
    const types = told(tracker);
    const error = gone();
    fail(error);
    await outcomeOf(tracker.record('orders', sequence(1)));
    expect([tracker.degraded, tracker.status('orders').lastError]).toEqual([error, error]);
    await vi.advanceTimersByTimeAsync(1000);
    fail(undefined);
    await vi.advanceTimersByTimeAsync(2000);
    expect([tracker.degraded, tracker.status('orders').lastError]).toEqual([undefined, undefined]);
    expect(types).toEqual(['degraded', 'error', 'error', 'recovered']);
  });

  it.each([
    ['of one source alone that is for good', new StorageError('too large', { source: 'orders' }), false],
    ['of the one source of a write that may pass', gone('orders'), true],
    ['of the whole store', full(), true],
  ])('after a failure %s', async (_, error, degraded) => {
    const { tracker, fail } = await world('auto');
    fail(error);
    await outcomeOf(tracker.record('orders', sequence(1)));
    expect(tracker.degraded).toBe(degraded ? error : undefined);
  });

  it('heeds a source that keeps failing alone once, and holds nobody else up for it', async () => {
    const { tracker, store, tries } = await world('auto');
    const types = told(tracker);
    store.failing = (call, sources) => (call === 'commit' && sources.includes('orders') ? gone('orders') : undefined);
    await outcomeOf(tracker.record('orders', sequence(1)));
    const clicked = tracker.record('clicks', sequence(1));
    await vi.advanceTimersByTimeAsync(1000);
    expect(await clicked).toBe('committed');
    expect(types.splice(0)).toEqual(['degraded', 'error', 'error', 'recovered']);
    const before = tries();
    // Nobody has to let time pass for these, and they do not try the other one before its time.
    for (let n = 2; n <= 10; n++) expect(await tracker.record('clicks', sequence(n))).toBe('committed');
    expect(store.written.slice(before)).toEqual(Array.from({ length: 9 }, () => ['clicks']));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(new Set(types.splice(0))).toEqual(new Set(['error']));
    expect(tries() - before - 9).toBeLessThan(8);
    store.failing = () => undefined;
    await vi.advanceTimersByTimeAsync(30_000);
    expect((await store.inner.get('orders'))?.offset).toEqual(sequence(1));
    store.failing = (call) => (call === 'commit' ? gone('orders') : undefined);
    await outcomeOf(tracker.record('orders', sequence(2)));
    expect(types).toEqual(['degraded', 'error']);
  });

  it('lets a source that fails alone wait longer and longer, however often the others are committed', async () => {
    const { tracker, store } = await world('auto');
    const failing: TestStore['failing'] = (call, sources) =>
      call === 'commit' && sources.includes('orders') ? gone('orders') : undefined;
    let seconds = 0;
    /** Records both once a second. @returns how often the failing one was tried */
    const pass = async (until: number): Promise<number> => {
      const before = store.batches.length;
      for (; seconds < until; seconds++) {
        for (const source of ['orders', 'clicks']) void outcomeOf(tracker.record(source, sequence(seconds + 1)));
        await vi.advanceTimersByTimeAsync(1000);
      }
      return store.written.slice(before).filter((sources) => sources.includes('orders')).length;
    };
    store.failing = failing;
    // At once, and after 1, 2, 4, 8 and 16 seconds.
    expect(await pass(40)).toBe(6);
    expect(tracker.status('clicks').committed).toEqual(sequence(40));
    store.failing = () => undefined;
    await pass(80);
    expect(tracker.status('orders').committed).toEqual(sequence(80));
    store.failing = failing;
    // From one second on, and not where it stood.
    expect(await pass(88)).toBe(4);
  });

  it('does not heed what an effect meets that fails alone, or for good', async () => {
    const { tracker, store } = await world('auto');
    store.failing = (call, sources) => (call === 'commit' && sources.includes('orders') ? gone('orders') : undefined);
    await outcomeOf(tracker.record('orders', sequence(1)));
    void tracker.record('clicks', sequence(1));
    await vi.advanceTimersByTimeAsync(1000);
    expect(tracker.degraded).toBeUndefined();
    const reading = await tracker.read('orders');
    await expect(reading.transact(sequence(2), () => {})).rejects.toThrow('the server is gone');
    expect(tracker.degraded).toBeUndefined();
    const clicks = await tracker.read('clicks');
    store.failing = (call) => (call === 'transact' ? full() : undefined);
    await expect(clicks.transact(sequence(2), () => {})).rejects.toThrow('the disk is full');
    expect([tracker.degraded, tracker.status('clicks').lastError]).toMatchObject([undefined, full()]);
  });

  it('heeds what effects meet in the store, and not what they fail with', async () => {
    const { tracker, store } = await world('manual');
    const reading = await tracker.read('orders');
    const broken = new TypeError('the effect is broken');
    const failing = reading.transact(sequence(1), () => {
      throw broken;
    });
    await expect(failing).rejects.toBe(broken);
    await expect(
      reading.transact(sequence(1), () => {
        throw new OffsetError('in-flight', 'the effect uses another tracker');
      }),
    ).rejects.toThrow('another tracker');
    expect([tracker.degraded, tracker.status('orders').lastError]).toEqual([undefined, undefined]);
    const error = gone();
    store.failing = (call) => (call === 'transact' ? error : undefined);
    await expect(reading.transact(sequence(1), () => {})).rejects.toBe(error);
    expect([tracker.degraded, tracker.status('orders').lastError]).toEqual([error, error]);
    store.failing = () => undefined;
    expect(await reading.transact(sequence(1), () => {})).toBe('applied');
    expect([tracker.degraded, tracker.status('orders').lastError]).toEqual([undefined, undefined]);
  });
});

describe('a record of a source that the store cannot be asked for', () => {
  it('fails with that, and is told of once to onError, however many there are', async () => {
    const store = new TestStore();
    const errors: unknown[] = [];
    const onError = (error: unknown, source?: string): void => void errors.push([error, source]);
    const tracker = new OffsetTracker(store, { strategy: 'manual', onError });
    const error = full();
    store.failing = (call) => (call === 'get' ? error : undefined);
    const [first, second] = [tracker.record('orders', sequence(1)), tracker.record('orders', sequence(2))];
    await expect(first).rejects.toBe(error);
    await expect(second).rejects.toBe(error);
    expect(errors).toEqual([[error, 'orders']]);
    store.failing = () => undefined;
    expect(await tracker.record('orders', sequence(3))).toBe('pending');
  });

  it('is fenced where the source is cleared elsewhere before the store has answered', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { strategy: 'manual' });
    const open = store.hold();
    const recorded = tracker.record('orders', sequence(1));
    store.push({ type: 'clearAll' });
    open();
    expect(await recorded).toBe('fenced');
  });
});
