import { describe, expect, it } from 'vitest';
import {
  type Checkpoint,
  InvalidOffsetError,
  Offset,
  OffsetTracker,
  StorageError,
  type TrackerEvent,
} from '../../../src/index.ts';
import { TestStore } from './test-store.ts';

const { sequence, custom } = Offset;
const manual = { strategy: 'manual' } as const;

/** What a tracker tells, in short. */
function watch(tracker: OffsetTracker<TestStore>): string[] {
  const told: string[] = [];
  tracker.subscribe(({ type, origin, source }: TrackerEvent) => void told.push(`${type} ${origin} ${source}`));
  return told;
}

describe('two readings of one source', () => {
  it('move it by whichever is further, in numbers', async () => {
    const tracker = new OffsetTracker(new TestStore(), manual);
    const [ahead, behind] = [await tracker.read('orders'), await tracker.read('orders')];
    for (const n of [1, 2, 3]) await ahead.record(sequence(n));
    const told = watch(tracker);
    await behind.record(sequence(2));
    expect([tracker.status('orders').recorded, told]).toEqual([sequence(3), []]);
    await behind.record(sequence(3));
    expect(told).toEqual([]);
    await behind.record(sequence(4));
    expect([tracker.status('orders').recorded, told]).toEqual([sequence(4), ['recorded local orders']]);
    await ahead.record(sequence(5));
    expect(tracker.status('orders').recorded).toEqual(sequence(5));
  });

  it('move it by whichever has recorded more, where offsets have no order', async () => {
    const tracker = new OffsetTracker(new TestStore(), manual);
    const [ahead, behind] = [await tracker.read('orders'), await tracker.read('orders')];
    for (const cursor of ['m', 'c', 'x']) await ahead.record(custom(cursor));
    for (const cursor of ['m', 'b', 'd']) {
      await behind.record(custom(cursor));
      expect(tracker.status('orders').recorded).toEqual(custom('x'));
    }
    await behind.record(custom('a'));
    expect(tracker.status('orders').recorded).toEqual(custom('a'));
  });
});

describe('what others commit of sources that nobody reads here', () => {
  it.each([
    ['committed', { epoch: 0, rank: 0, offset: sequence(1) }],
    ['committed', { epoch: 1, rank: 1, offset: sequence(1) }],
    ['reset', { epoch: 1, rank: 0, offset: sequence(1) }],
    ['cleared', { epoch: 1, rank: 0, offset: undefined }],
  ])('is told as %s: %o', (type, checkpoint) => {
    const store = new TestStore();
    const told = watch(new OffsetTracker(store));
    const batch = new Map([['orders', { ...checkpoint, committedAt: 0 }]]);
    store.push({ type: 'commit', batch });
    store.push({ type: 'commit', batch });
    expect(told).toEqual([`${type} remote orders`]);
  });
});

describe('those who listen', () => {
  it('hear no more once another listener has removed them, and nothing before they are added', async () => {
    const tracker = new OffsetTracker(new TestStore());
    const heard: string[] = [];
    let remove = (): void => {};
    tracker.subscribe(({ type }) => {
      heard.push(`first ${type}`);
      remove();
      if (heard.length === 1) tracker.subscribe((event) => heard.push(`third ${event.type}`));
    });
    remove = tracker.subscribe(({ type }) => heard.push(`second ${type}`));
    await tracker.record('orders', sequence(1));
    expect(heard).toEqual(['first recorded', 'first committed', 'third committed']);
  });
});

describe('a source that nobody reads any more', () => {
  const touch = async (tracker: OffsetTracker<TestStore>, source: string) => {
    const reading = await tracker.read(source);
    await reading.record(sequence(1));
    await reading.close();
  };
  const isKnown = (tracker: OffsetTracker<TestStore>, source: string) => tracker.status(source).committed !== undefined;

  it('is remembered until 256 others are', async () => {
    const tracker = new OffsetTracker(new TestStore());
    await touch(tracker, 'first');
    await touch(tracker, 'second');
    for (let i = 0; i < 254; i++) await touch(tracker, `other ${i}`);
    expect([isKnown(tracker, 'first'), isKnown(tracker, 'second')]).toEqual([true, true]);
    // Counts from its last use.
    await touch(tracker, 'first');
    await touch(tracker, 'one more');
    expect([isKnown(tracker, 'first'), isKnown(tracker, 'second')]).toEqual([true, false]);
    expect((await tracker.read('second')).from).toEqual(sequence(1));
  });

  it('is kept while a reading is open, and goes when it is closed', async () => {
    const tracker = new OffsetTracker(new TestStore());
    const reading = await tracker.read('open');
    await reading.record(sequence(1));
    for (let i = 0; i < 300; i++) await touch(tracker, `other ${i}`);
    expect(isKnown(tracker, 'open')).toBe(true);
    await reading.close();
    for (let i = 0; i < 300; i++) await touch(tracker, `another ${i}`);
    expect(isKnown(tracker, 'open')).toBe(false);
  });

  it('is kept while it has something pending, and goes when that is committed', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, manual);
    store.failing = (call) => (call === 'commit' ? new StorageError('the disk is full') : undefined);
    await expect(touch(tracker, 'pending')).rejects.toThrow('the disk is full');
    store.failing = () => undefined;
    for (let i = 0; i < 300; i++) await touch(tracker, `other ${i}`);
    expect(tracker.getAllPending()).toEqual(new Map([['pending', sequence(1)]]));
    await tracker.commit('pending');
    for (let i = 0; i < 300; i++) await touch(tracker, `another ${i}`);
    expect(isKnown(tracker, 'pending')).toBe(false);
  });

  it('is kept while it is being reset', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    await touch(tracker, 'resetting');
    for (let i = 0; i < 254; i++) await touch(tracker, `other ${i}`);
    const open = store.hold();
    const reset = tracker.reset('resetting', sequence(9));
    const reading = tracker.read('resetting');
    const others = Promise.all(Array.from({ length: 300 }, (_, i) => touch(tracker, `another ${i}`)));
    open();
    await reset;
    expect((await reading).from).toEqual(sequence(9));
    await others;
  });
});

describe('a source that only others read', () => {
  const at = (epoch: number, rank: number, offset: Offset | undefined) =>
    new Map([['orders', { epoch, rank, offset, committedAt: 0 }]]);

  it('is told of as far as it moves, and as what moves it', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    await tracker.read('clicks');
    const told = watch(tracker);
    for (const batch of [at(0, 2, sequence(2)), at(0, 1, sequence(1)), at(1, 0, sequence(9)), at(2, 0, undefined)])
      store.push({ type: 'commit', batch });
    expect(told).toEqual(['committed remote orders', 'reset remote orders', 'cleared remote orders']);
    expect(tracker.status('orders').fenced).toBe(false);
  });

  it('is forgotten after 256 others, and told of again then', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    await tracker.read('clicks');
    const told = watch(tracker);
    const push = () => store.push({ type: 'commit', batch: at(0, 1, sequence(1)) });
    const others = (count: number) => {
      const checkpoint = { epoch: 0, rank: 1, offset: sequence(1), committedAt: 0 };
      for (let i = 0; i < count; i++)
        store.push({ type: 'commit', batch: new Map([[`other ${told.length}`, checkpoint]]) });
    };
    push();
    others(255);
    push();
    expect(told.filter((event) => event.endsWith('orders')).length).toBe(1);
    others(1);
    push();
    expect(told.filter((event) => event.endsWith('orders')).length).toBe(2);
  });

  it('is told of as an error where it cannot be compared', async () => {
    const compare = () => {
      throw new RangeError('these cursors are of two logs');
    };
    const store = new TestStore([], { compare });
    const tracker = new OffsetTracker(store);
    await tracker.read('clicks');
    store.push({ type: 'commit', batch: at(0, 1, custom('one')) });
    const told = watch(tracker);
    store.push({ type: 'commit', batch: at(0, 1, custom('two')) });
    expect(told).toEqual(['error remote orders']);
  });
});

describe('what is heard', () => {
  const at = (epoch: number, rank: number) => ({ epoch, rank, offset: sequence(3), committedAt: 0 });
  /** Recorded before the store has answered where the source stands. */
  const early = async (stored?: Checkpoint) => {
    const store = new TestStore();
    if (stored) await store.inner.commit(new Map([['orders', stored]]));
    const tracker = new OffsetTracker(store);
    const open = store.hold();
    return { store, tracker, open, recorded: tracker.record('orders', sequence(5)) };
  };

  it('of a reset makes void what was recorded before the store has answered', async () => {
    const { store, tracker, open, recorded } = await early();
    await store.elsewhere('orders', at(1, 0));
    open();
    expect(await recorded).toBe('fenced');
    expect(tracker.status('orders').committed).toEqual(sequence(3));
  });

  it.each([
    [0, undefined],
    [1, { ...at(1, 2), offset: sequence(2) }],
  ])('of a commit does not, in epoch %d', async (epoch, stored) => {
    const { store, open, recorded } = await early(stored);
    await store.elsewhere('orders', at(epoch, 3));
    open();
    expect(await recorded).toBe('committed');
    expect(await store.inner.get('orders')).toMatchObject({ epoch, offset: sequence(5) });
  });

  it('of a reset fences who reads, and nobody where nobody does', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    await (await tracker.read('orders')).close();
    await store.elsewhere('orders', at(1, 0));
    expect(tracker.status('orders').fenced).toBe(false);
    await tracker.read('orders');
    await store.elsewhere('orders', at(2, 0));
    expect(tracker.status('orders').fenced).toBe(true);
  });
});

it('a reader that is fenced by another is told so', async () => {
  const store = new TestStore();
  const tracker = new OffsetTracker(store);
  await tracker.read('orders');
  const told = watch(tracker);
  await new OffsetTracker(store.inner).read('orders', { fence: true });
  const batch = await store.inner.getAll();
  store.push({ type: 'commit', batch });
  expect(told).toEqual(['fenced remote orders']);
  expect(tracker.status('orders').fenced).toBe(true);
});

describe('heartbeats', () => {
  const rankOf = async (tracker: OffsetTracker<TestStore>) => {
    await tracker.commit('orders');
    return (await tracker.store.inner.get('orders'))?.rank;
  };

  it('count as a millionth of an event each', async () => {
    const tracker = new OffsetTracker(new TestStore(), manual);
    const reading = await tracker.read('orders');
    await reading.record(custom('a'));
    for (const cursor of ['b', 'c']) await reading.record(custom(cursor), { heartbeat: true });
    expect(await rankOf(tracker)).toBe(1 + 2 * 2 ** -20);
    await reading.record(custom('d'));
    expect(await rankOf(tracker)).toBe(2);
  });

  it('of any number count as less than an event', async () => {
    const tracker = new OffsetTracker(new TestStore(), manual);
    const reading = await tracker.read('orders');
    for (let i = 0; i < 2 ** 20 + 9; i++) void reading.record(custom(`cursor ${i}`), { heartbeat: true });
    expect(await rankOf(tracker)).toBe(1 - 2 ** -20);
  });
});

it('all that a tracker does itself is told as local', async () => {
  const tracker = new OffsetTracker(new TestStore(), manual);
  const reading = await tracker.read('orders');
  const told = watch(tracker);
  await reading.transact(sequence(1), () => {});
  const ticket = await reading.begin(sequence(2));
  await ticket.done();
  await tracker.commit('orders');
  await tracker.reset('orders', sequence(1));
  await tracker.clear('orders');
  expect(new Set(told)).toEqual(
    new Set(['committed', 'in-flight', 'recorded', 'reset', 'cleared'].map((type) => `${type} local orders`)),
  );
});

it('an offset of another kind names its source', async () => {
  const tracker = new OffsetTracker(new TestStore(), manual);
  await tracker.record('orders', sequence(1));
  const error = await tracker.record('orders', custom('one')).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(InvalidOffsetError);
  expect(error).toMatchObject({ source: 'orders' });
});
