import type Database from 'better-sqlite3';
import { expect, expectTypeOf, test } from 'vitest';
import {
  InMemoryOffsetStore,
  Offset,
  OffsetError,
  OffsetTracker,
  type OffsetStore,
  StorageError,
  type TrackerEvent,
  UnsupportedError,
} from '../../../src/index.ts';
import { SqliteOffsetStore } from '../../../src/stores/sqlite.ts';
import { openMemory, query } from '../stores/sqlite-engines.ts';

const { sequence, custom } = Offset;

for (const engine of ['memory', 'sqlite'] as const) {
  test(`${engine}: an effect and its offset are applied together, once`, async () => {
    const { tracker, add, sum } = open(engine);
    const events: TrackerEvent[] = [];
    tracker.subscribe((event) => events.push(event));
    const reading = await tracker.read('orders');
    await expect(reading.transact(undefined as never, add(1))).rejects.toThrow(/undefined for "orders" is no offset/);
    expect(await reading.transact(sequence(1), add(1))).toEqual('applied');
    expect(await reading.transact(sequence(1), add(1))).toEqual('duplicate');
    expect(await reading.transact(sequence(3), add(2))).toEqual('applied');
    expect(await reading.transact(sequence(2), add(2))).toEqual('duplicate');
    expect(sum()).toEqual(3);
    expect(await tracker.getOffset('orders')).toEqual(sequence(3));
    const { committed, recorded, pending } = tracker.status('orders');
    expect([committed, recorded, pending]).toEqual([sequence(3), sequence(3), undefined]);
    const told = events.filter(({ type }) => type === 'committed').map(({ offset, origin }) => [offset, origin]);
    expect(told).toEqual([
      [sequence(1), 'local'],
      [sequence(3), 'local'],
    ]);
  });

  test(`${engine}: calls that nobody awaits run in their order`, async () => {
    const { tracker, add, sum } = open(engine);
    const reading = await tracker.read('orders');
    const numbers = Array.from({ length: 50 }, (_, i) => i + 1);
    const outcomes = await Promise.all(numbers.map((n) => reading.transact(sequence(n), add(n))));
    expect(new Set(outcomes)).toEqual(new Set(['applied']));
    expect(sum()).toEqual((50 * 51) / 2);
  });

  test(`${engine}: an effect that fails stores nothing, and those after it still run`, async () => {
    const { tracker, add, sum } = open(engine);
    const reading = await tracker.read('orders');
    const error = new Error('no such order');
    const calls = [
      reading.transact(sequence(1), add(1)),
      reading.transact(sequence(2), () => {
        throw error;
      }),
      reading.transact(sequence(2), add(2)),
    ];
    const [one, two, three] = await Promise.allSettled(calls);
    expect(one).toEqual({ status: 'fulfilled', value: 'applied' });
    expect(two).toEqual({ status: 'rejected', reason: error });
    expect(three).toEqual({ status: 'fulfilled', value: 'applied' });
    expect(sum()).toEqual(3);
  });

  test(`${engine}: two readings that race apply every event once`, async () => {
    const { tracker, other, add, sum } = open(engine);
    const last = 40;
    const outcomes: string[] = [];
    const follow = async (from: ReturnType<typeof open>['tracker']): Promise<void> => {
      const reading = await from.read('orders');
      for (let n = 1; n <= last; n++) {
        outcomes.push(await reading.transact(sequence(n), add(n)));
        if (n % 7 === 0) await new Promise((resolve) => setTimeout(resolve));
      }
    };
    await Promise.all([follow(tracker), follow(other)]);
    expect(outcomes.filter((outcome) => outcome === 'applied')).toHaveLength(last);
    expect(outcomes.filter((outcome) => outcome === 'duplicate')).toHaveLength(last);
    expect(sum()).toEqual((last * (last + 1)) / 2);
  });

  test(`${engine}: a batch that somebody else has applied in part is not applied, and its reading is void`, async () => {
    const { tracker, other, add, sum } = open(engine);
    const late = await tracker.read('orders');
    const early = await other.read('orders');
    expect(await early.transact(sequence(5), add(15))).toEqual('applied');
    expect(await late.transact(sequence(8), add(36))).toEqual('fenced');
    expect(late.signal.aborted).toEqual(true);
    expect(late.signal.reason).toMatchObject({ code: 'fenced', by: 'reader' });
    const again = await tracker.read('orders');
    expect(again.from).toEqual(sequence(5));
    expect(await again.transact(sequence(8), add(21))).toEqual('applied');
    expect(sum()).toEqual(36);
  });

  test(`${engine}: what another has heard of in the meantime does not make a batch applicable`, async () => {
    const { tracker, other, add, sum } = open(engine);
    const late = await tracker.read('orders');
    const early = await other.read('orders');
    await early.transact(sequence(5), add(15));
    // This tracker knows of it now; the reading has not read it.
    await tracker.read('orders');
    expect(tracker.status('orders').committed).toEqual(sequence(5));
    expect(await late.transact(sequence(8), add(36))).toEqual('fenced');
    expect(sum()).toEqual(15);
  });

  test(`${engine}: a fenced reading applies nothing`, async () => {
    const { tracker, other, add, sum } = open(engine);
    const old = await tracker.read('orders');
    await old.transact(sequence(1), add(1));
    const fencing = await other.read('orders', { fence: true });
    expect(fencing.from).toEqual(sequence(1));
    expect(await old.transact(sequence(2), add(2))).toEqual('fenced');
    expect(old.signal.reason).toMatchObject({ by: 'reader' });
    expect(await old.transact(sequence(3), add(3))).toEqual('fenced');
    expect(await fencing.transact(sequence(2), add(2))).toEqual('applied');
    expect(sum()).toEqual(3);
  });

  test(`${engine}: after a reset nothing of before is applied`, async () => {
    const { tracker, other, add, sum } = open(engine);
    const old = await tracker.read('orders');
    await old.transact(sequence(5), add(1));
    await other.reset('orders', sequence(2));
    expect(await old.transact(sequence(6), add(1))).toEqual('fenced');
    expect(old.signal.reason).toMatchObject({ by: 'reset' });
    const again = await tracker.read('orders');
    expect(again.from).toEqual(sequence(2));
    expect(await again.transact(sequence(3), add(1))).toEqual('applied');
    await tracker.clear('orders');
    expect(await again.transact(sequence(4), add(1))).toEqual('fenced');
    expect(sum()).toEqual(2);
  });

  test(`${engine}: opaque offsets need a reading that fences`, async () => {
    const { tracker, add, sum } = open(engine);
    const shared = await tracker.read('orders');
    await expect(shared.transact(custom('a'), add(1))).rejects.toThrow(UnsupportedError);
    await expect(shared.transact(custom('a'), add(1))).rejects.toThrow(/fence: true/);
    const reading = await tracker.read('orders', { fence: true });
    expect(await reading.transact(custom('b'), add(1))).toEqual('applied');
    expect(await reading.transact(custom('b'), add(1))).toEqual('duplicate');
    expect(await reading.transact(custom('a'), add(1))).toEqual('applied');
    expect(sum()).toEqual(2);
  });

  test(`${engine}: what is pending is committed first`, async () => {
    const { tracker, add, sum } = open(engine, 'manual');
    const reading = await tracker.read('orders');
    expect(await reading.record(sequence(4))).toEqual('pending');
    expect(await reading.transact(sequence(5), add(5))).toEqual('applied');
    expect(tracker.status('orders')).toMatchObject({ committed: sequence(5), pending: undefined });
    expect(await reading.record(sequence(6))).toEqual('pending');
    expect(tracker.status('orders').pending).toEqual(sequence(6));
    expect(await reading.transact(sequence(6), add(6))).toEqual('duplicate');
    expect(sum()).toEqual(5);
    await tracker.close();
  });

  test(`${engine}: a record after an effect waits for it`, async () => {
    const { tracker, add, sum } = open(engine);
    const reading = await tracker.read('orders');
    const outcomes = await Promise.all([
      reading.transact(sequence(1), add(1)),
      reading.record(sequence(2)),
      reading.transact(sequence(3), add(3)),
    ]);
    expect(outcomes).toEqual(['applied', 'committed', 'applied']);
    expect(sum()).toEqual(4);
  });

  test(`${engine}: a reading with unfinished tickets does not transact`, async () => {
    const { tracker, add, sum } = open(engine);
    const reading = await tracker.read('orders');
    const ticket = await reading.begin(sequence(1));
    await expect(reading.transact(sequence(2), add(2))).rejects.toMatchObject({ code: 'in-flight' });
    await ticket.done();
    expect(await reading.transact(sequence(2), add(2))).toEqual('applied');
    expect(sum()).toEqual(2);
  });

  test(`${engine}: close waits for effects that are under way, and none may follow`, async () => {
    const { tracker, add, sum } = open(engine);
    const reading = await tracker.read('orders');
    const applied = Promise.all([1, 2, 3].map((n) => reading.transact(sequence(n), add(n))));
    await tracker.close();
    expect(sum()).toEqual(6);
    expect(await applied).toEqual(['applied', 'applied', 'applied']);
    await expect(reading.transact(sequence(4), add(4))).rejects.toMatchObject({ code: 'closed' });
  });

  test(`${engine}: a place that another reading reached by another count is the same place`, async () => {
    const { tracker, other, add, sum } = open(engine);
    const one = await tracker.read('orders');
    const two = await other.read('orders');
    await one.transact(sequence(5), add(15));
    expect(await two.record(sequence(4))).toEqual('committed');
    expect(await two.record(sequence(5))).toEqual('committed');
    expect(await one.transact(sequence(6), add(6))).toEqual('applied');
    expect(await two.transact(sequence(6), add(6))).toEqual('duplicate');
    expect(sum()).toEqual(21);
  });
}

test('a store without transactions says which stores have them', async () => {
  const memory = new InMemoryOffsetStore();
  const store: OffsetStore = {
    capabilities: { ...memory.capabilities, transactional: false },
    get: (source) => memory.get(source),
    getAll: () => memory.getAll(),
    commit: (batch) => memory.commit(batch),
    clearAll: () => memory.clearAll(),
    close: () => memory.close(),
  };
  const reading = await new OffsetTracker(store).read('orders');
  const outcome = reading.transact(sequence(1));
  await expect(outcome).rejects.toThrow(UnsupportedError);
  await expect(outcome).rejects.toMatchObject({ source: 'orders' });
  const stores = 'IndexedDBOffsetStore .*SqliteOffsetStore.*PostgresOffsetStore.*or InMemoryOffsetStore';
  await expect(outcome).rejects.toThrow(new RegExp(`"orders": Object cannot store effects.*${stores}`));
  Object.setPrototypeOf(store, null);
  await expect(reading.transact(sequence(1))).rejects.toThrow('"orders": the store cannot store effects');
});

test('an effect that is asynchronous is refused in memory, and stores nothing', async () => {
  const reading = await new OffsetTracker(new InMemoryOffsetStore()).read('orders');
  await expect(reading.transact(sequence(1), async () => {})).rejects.toThrow(UnsupportedError);
  expect(await reading.transact(sequence(1), () => {})).toEqual('applied');
});

test('a store that fails is told of, and the same call again is safe', async () => {
  const store = new InMemoryOffsetStore();
  const tracker = new OffsetTracker(store);
  const types: string[] = [];
  tracker.subscribe(({ type }) => types.push(type));
  const reading = await tracker.read('orders');
  const { transact } = store;
  let failures = 1;
  store.transact = async (...args) => {
    const result = await transact.apply(store, args);
    if (failures-- > 0) throw new StorageError('the connection was lost', { retryable: true });
    return result;
  };
  let applied = 0;
  await expect(reading.transact(sequence(1), () => applied++)).rejects.toThrow(StorageError);
  expect(tracker.degraded).toBeInstanceOf(StorageError);
  expect(await reading.transact(sequence(1), () => applied++)).toEqual('duplicate');
  expect([applied, tracker.degraded]).toEqual([1, undefined]);
  expect(types).toEqual(expect.arrayContaining(['degraded', 'error', 'recovered']));
});

test('offsets of another kind are refused, and so is what is no offset', async () => {
  const { tracker, add, sum } = open('memory');
  const reading = await tracker.read('orders');
  await reading.transact(sequence(1), add(1));
  await expect(reading.transact(Offset.timestamp(5), add(1))).rejects.toMatchObject({ code: 'invalid-offset' });
  await expect(reading.transact({ kind: 'sequence', value: 2 } as never, add(1))).rejects.toBeInstanceOf(OffsetError);
  await expect(reading.transact(Offset.latest, add(1))).rejects.toMatchObject({ code: 'invalid-offset' });
  expect(sum()).toEqual(1);
});

test('what comes after the offset is typed by the store', async () => {
  const tracker = new OffsetTracker(new SqliteOffsetStore(openMemory()));
  const reading = await tracker.read('orders');
  expectTypeOf(reading.transact).parameter(1).parameter(0).toEqualTypeOf<Database.Database>();
  expect(await reading.transact(sequence(1), (db) => db.exec('CREATE TABLE t (n)'))).toEqual('applied');
});

/** Two trackers on the same data, and an effect that adds to a sum beside it. */
test('what is called behind an effect that the store failed to apply is not applied either', async () => {
  const store = new InMemoryOffsetStore();
  const { transact } = store;
  let failures = 1;
  store.transact = async (...step) => {
    if (failures-- > 0) throw new StorageError('the connection was lost', { retryable: true });
    return transact.apply(store, step);
  };
  const reading = await new OffsetTracker(store).read('orders');
  const applied: number[] = [];
  const all = () => Promise.allSettled([1, 2, 3].map((n) => reading.transact(sequence(n), () => void applied.push(n))));
  const failed = await all();
  expect(failed.map((one) => one.status === 'rejected' && one.reason instanceof StorageError)).toEqual([
    true,
    true,
    true,
  ]);
  expect(applied).toEqual([]);
  const again = await all();
  expect(again.map((one) => one.status === 'fulfilled' && one.value)).toEqual(['applied', 'applied', 'applied']);
  expect(applied).toEqual([1, 2, 3]);
});

function open(engine: 'memory' | 'sqlite', strategy: 'auto' | 'manual' = 'auto') {
  if (engine === 'memory') {
    let total = 0;
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store, { strategy });
    const add = (n: number) => () => void (total += n);
    return { tracker, other: new OffsetTracker(store), add, sum: () => total };
  }
  const db = openMemory();
  db.exec('CREATE TABLE total (value INTEGER); INSERT INTO total VALUES (0)');
  const add = (n: number) => () => void db.prepare('UPDATE total SET value = value + ?').run(n);
  const sum = (): unknown => query(db, 'SELECT value FROM total')[0]?.value;
  const tracker = new OffsetTracker(new SqliteOffsetStore(db), { strategy });
  return { tracker, other: new OffsetTracker(new SqliteOffsetStore(db)), add, sum };
}
