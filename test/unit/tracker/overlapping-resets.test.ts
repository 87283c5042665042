import { describe, expect, it } from 'vitest';
import { type Checkpoint, InMemoryOffsetStore, Offset, OffsetTracker, StorageError } from '../../../src/index.ts';
import { TestStore } from './test-store.ts';

const { sequence } = Offset;

/** Begins epochs at once, and answers when it is told to. */
class HeldStore extends InMemoryOffsetStore {
  /** From which call on beginning an epoch fails. */
  failsFrom = Infinity;
  readonly #answers: (() => void)[] = [];
  #calls = 0;

  override async begin(source: string, at?: { readonly offset?: Offset | undefined }): Promise<Checkpoint> {
    const fails = ++this.#calls >= this.failsFrom;
    const begun = fails ? undefined : await super.begin(source, at);
    await new Promise<void>((resolve) => this.#answers.push(resolve));
    if (!begun) throw new StorageError('the disk failed');
    return begun;
  }

  /** Another tracker resets a source. */
  elsewhere(source: string, offset: Offset): Promise<Checkpoint> {
    return super.begin(source, { offset });
  }

  answer(): void {
    this.#answers.shift()?.();
  }

  /** Answers, and lets everything happen that follows. */
  async answered(): Promise<void> {
    await settled();
    this.answer();
    await settled();
  }
}

/** Until nothing moves any more: a memory store needs no timers. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 60; turn++) await undefined;
}

describe('a reset', () => {
  it('that somebody else undoes before it ends fences who did it: nothing goes on in their epoch from here', async () => {
    const store = new HeldStore();
    const tracker = new OffsetTracker(store);
    const reset = tracker.reset('orders', sequence(1));
    await store.elsewhere('orders', sequence(50));
    // Asks the store, which shows theirs, before the answer to this tracker's own reset.
    const recorded = tracker.record('orders', sequence(2));
    await settled();
    store.answer();
    await reset;
    expect(await recorded).toBe('fenced');
    expect(await tracker.record('orders', sequence(99))).toBe('fenced');
    expect((await tracker.read('orders')).from).toEqual(sequence(50));
  });

  it('makes void what is recorded before it is known, also where a later one fails', async () => {
    const store = new HeldStore();
    const tracker = new OffsetTracker(store);
    await tracker.read('orders');
    store.failsFrom = 3;
    const resets = [10, 20, 30].map((n) => tracker.reset('orders', sequence(n)));
    for (const [index, reset] of resets.entries()) {
      reset.catch(() => {});
      if (index < 2) await store.answered();
    }
    const recorded = tracker.record('orders', sequence(25));
    await store.answered();
    expect((await Promise.allSettled(resets)).map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
    ]);
    expect(await recorded).toBe('fenced');
    expect((await store.get('orders'))?.offset).toEqual(sequence(20));
    expect(await tracker.record('orders', sequence(21))).toBe('committed');
  });

  it('that fails keeps the order of what waited for it', async () => {
    const store = new HeldStore();
    const tracker = new OffsetTracker(store, { strategy: 'manual' });
    const reading = await tracker.read('orders');
    store.failsFrom = 1;
    const order: string[] = [];
    const resets = [tracker.reset('orders', sequence(10))];
    const waiting = [reading.record(sequence(1)).then(() => order.push('record'))];
    resets.push(tracker.reset('orders', sequence(20)));
    waiting.push(reading.begin(sequence(2)).then(() => order.push('begin')));
    const ended = Promise.allSettled(resets);
    for (const _ of resets) await store.answered();
    await ended;
    await Promise.all(waiting);
    expect(order).toEqual(['record', 'begin']);
    expect(tracker.status('orders')).toMatchObject({ recorded: sequence(1), inFlight: 1 });
  });

  it('by somebody else fences a record that is being written, also while one of this tracker’s own waits for that', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    const reading = await tracker.read('orders');
    const told: string[] = [];
    tracker.subscribe(({ type }) => told.push(type));
    const open = store.hold();
    const recorded = reading.record(sequence(1));
    await settled();
    await store.elsewhere('orders', { epoch: 2 ** 21, rank: 0, offset: sequence(50), committedAt: 0 }, false);
    const reset = tracker.reset('orders', sequence(9));
    open();
    expect(await recorded).toBe('fenced');
    expect(told).not.toContain('committed');
    await reset;
    expect(await tracker.getOffset('orders')).toEqual(sequence(9));
  });
});

it('a reset gives up where others begin epochs without end, and says that it can be tried again', async () => {
  const store = new TestStore();
  const tracker = new OffsetTracker(store);
  const { commit } = TestStore.prototype;
  store.commit = async (batch) => {
    await commit.call(store, batch);
    // Each time somebody else has begun a later one.
    const later = [...batch].map(([source, { epoch }]): [string, Checkpoint] => [
      source,
      { epoch: epoch + 1, rank: 0, offset: sequence(9), committedAt: 0 },
    ]);
    return store.inner.commit(new Map(later));
  };
  await expect(tracker.reset('orders', sequence(1))).rejects.toMatchObject({
    name: 'StorageError',
    message: '"orders" is being reset by others without end: try again',
    source: 'orders',
    retryable: true,
  });
  expect(store.calls.filter((call) => call === 'commit').length).toBeGreaterThan(1);

  store.commit = commit;
  await tracker.reset('orders', sequence(1));
  expect(await tracker.getOffset('orders')).toEqual(sequence(1));
});
