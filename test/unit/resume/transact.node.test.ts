import type Database from 'better-sqlite3';
import { expect, expectTypeOf, test } from 'vitest';
import {
  type Feed,
  InMemoryOffsetStore,
  Offset,
  OffsetTracker,
  StorageError,
  type TrackerEvent,
  UnsupportedError,
  resume,
} from '../../../src/index.ts';
import { SqliteOffsetStore } from '../../../src/stores/sqlite.ts';
import { openMemory, query } from '../stores/sqlite-engines.ts';
import { at, numbers, pushed, swift, turn } from './feeds.ts';

const last = 30;
const wanted = (last * (last + 1)) / 2;

test('each event and its offset are stored together', async () => {
  const { db, tracker, sum } = open();
  await resume(tracker, 'n', numbers({ last, perOpening: 7 }).feed, {
    ...swift,
    transact: true,
    handler: ({ data }, { tx, signal }) => {
      expectTypeOf(tx).toEqualTypeOf<Database.Database>();
      expectTypeOf(data).toEqualTypeOf<number>();
      expect([tx, signal.aborted]).toEqual([db, false]);
      add(tx, data);
    },
  });
  expect([sum(), await tracker.getOffset('n')]).toEqual([wanted, Offset.sequence(last)]);
});

test('a batch is stored with its last offset', async () => {
  const { tracker, sum } = open();
  const sizes: number[] = [];
  await resume(tracker, 'n', numbers({ last, perOpening: 7 }).feed, {
    ...swift,
    transact: true,
    batch: { size: 8, intervalMs: 10_000 },
    handler: (events, { tx }) => {
      sizes.push(events.length);
      for (const { data } of events) add(tx, data);
    },
  });
  expect(sizes).toEqual([8, 8, 8, 6]);
  expect([sum(), await tracker.getOffset('n')]).toEqual([wanted, Offset.sequence(last)]);
});

test('a batch that is not full is handed over when its time has come', async () => {
  const { tracker, sum } = open();
  const { feed, push } = pushed<number>();
  const stop = new AbortController();
  const done = resume(tracker, 'n', feed, {
    signal: stop.signal,
    transact: true,
    batch: { size: 1000, intervalMs: 20 },
    handler: (events, { tx }) => {
      for (const { data } of events) add(tx, data);
    },
  });
  push(at(1), at(2));
  await expect.poll(sum).toEqual(3);
  push(at(3));
  await expect.poll(sum).toEqual(6);
  stop.abort();
  await done;
});

test('without a transaction a batch is recorded once its handler is done', async () => {
  const tracker = new OffsetTracker(new InMemoryOffsetStore());
  const batches: (readonly number[])[] = [];
  await resume(tracker, 'n', numbers({ last: 10 }).feed, {
    batch: { size: 4 },
    handler: async (events) => {
      await turn();
      expect(tracker.status('n').recorded).toEqual(batches.length ? Offset.sequence(4 * batches.length) : undefined);
      batches.push(events.map(({ data }) => data));
    },
  });
  expect(batches).toEqual([
    [1, 2, 3, 4],
    [5, 6, 7, 8],
    [9, 10],
  ]);
  expect(await tracker.getOffset('n')).toEqual(Offset.sequence(10));
});

for (const size of [1, 7]) {
  test(`two readers that race in batches of ${size} and another apply every event once`, async () => {
    const { db, tracker, other, sum } = open();
    const run = (by: typeof tracker, perBatch: number): Promise<void> =>
      resume(by, 'n', slowly(last), {
        ...swift,
        transact: true,
        batch: { size: perBatch, intervalMs: 1 },
        handler: (events, { tx }) => {
          for (const { data } of events) add(tx, data);
        },
      });
    await Promise.all([run(tracker, size), run(other, 5)]);
    const applied = query(db, 'SELECT n FROM done ORDER BY n').map(({ n }) => n);
    expect(applied).toEqual(Array.from({ length: last }, (_, i) => i + 1));
    expect(sum()).toEqual(wanted);
  });
}

test('what is prepared at once is applied in the order of the feed', async () => {
  const { tracker, sum } = open();
  const order: number[] = [];
  let running = 0;
  let most = 0;
  await resume(tracker, 'n', numbers({ last }).feed, {
    transact: true,
    concurrency: 5,
    prepare: async ({ data }) => {
      most = Math.max(most, ++running);
      for (let i = 0; i < (data * 7) % 5; i++) await turn();
      running--;
      return data * 2;
    },
    handler: ({ data }, { tx, prepared }) => {
      expectTypeOf(prepared).toEqualTypeOf<number>();
      expect(prepared).toEqual(data * 2);
      order.push(data);
      add(tx, data);
    },
  });
  expect(most).toEqual(5);
  expect(order).toEqual(Array.from({ length: last }, (_, i) => i + 1));
  expect(sum()).toEqual(wanted);
});

test('an effect that fails ends the reading with its error, and is applied by the next', async () => {
  const { tracker, sum } = open();
  const error = new Error('no such order');
  let broken = true;
  const run = (): Promise<void> =>
    resume(tracker, 'n', numbers({ last }).feed, {
      transact: true,
      handler: ({ data }, { tx }) => {
        add(tx, data);
        if (data === 5 && broken) throw error;
      },
    });
  await expect(run()).rejects.toBe(error);
  expect(error).toMatchObject({ offset: Offset.sequence(5), event: { data: 5 } });
  expect(sum()).toEqual(10);
  broken = false;
  await run();
  expect(sum()).toEqual(wanted);
});

test('an effect that fails is retried or skipped, as onFailed says', async () => {
  const { tracker, sum } = open();
  const told: TrackerEvent[] = [];
  tracker.subscribe((event) => event.type === 'skipped' && told.push(event));
  const asked: [number, number][] = [];
  await resume(tracker, 'n', numbers({ last }).feed, {
    ...swift,
    transact: true,
    handler: ({ data }, { tx }) => {
      add(tx, data);
      if (data === 4 && asked.length < 2) throw new Error('try again');
      if (data === last) throw new Error('never works');
    },
    onFailed: (_error, { data }, attempt) => {
      asked.push([data, attempt]);
      return data === last ? 'skip' : 'retry';
    },
  });
  expect(asked).toEqual([
    [4, 1],
    [4, 2],
    [last, 1],
  ]);
  expect(sum()).toEqual(wanted - last);
  expect(told.map(({ offset }) => offset)).toEqual([Offset.sequence(last)]);
  expect(await tracker.getOffset('n')).toEqual(Offset.sequence(last));
});

test('of a batch that fails only the event at fault is skipped', async () => {
  const { tracker, sum } = open();
  const asked: number[] = [];
  await resume(tracker, 'n', numbers({ last }).feed, {
    transact: true,
    batch: { size: 10 },
    handler: (events, { tx }) => {
      for (const { data } of events) {
        add(tx, data);
        if (data === 13) throw new Error('poison');
      }
    },
    onFailed: (_error, { data }) => {
      asked.push(data);
      return 'skip';
    },
  });
  expect([asked, sum()]).toEqual([[13], wanted - 13]);
});

test('a reset in the middle voids what is in hand, and reading goes on where it says', async () => {
  const { tracker, other, sum, db } = open();
  const { feed, openings, push } = pushed<number>();
  const stop = new AbortController();
  const done = resume(tracker, 'n', feed, {
    ...swift,
    signal: stop.signal,
    transact: true,
    batch: { size: 3, intervalMs: 60_000 },
    handler: (events, { tx }) => {
      for (const { data } of events) add(tx, data);
    },
  });
  push(at(1), at(2), at(3), at(4));
  await expect.poll(sum).toEqual(6);
  await other.reset('n', Offset.sequence(1));
  // The first that is refused tells this reading of the reset.
  push(at(5), at(6));
  await expect.poll(() => openings.length).toEqual(2);
  expect(openings[1]).toEqual(Offset.sequence(1));
  push(at(2), at(3), at(4));
  await expect.poll(sum).toEqual(6 + 9);
  stop.abort();
  await done;
  expect(query(db, 'SELECT n FROM done').map(({ n }) => n)).toEqual([1, 2, 3, 2, 3, 4]);
});

test('another reader that fences ends the reading, which applies nothing more', async () => {
  const { tracker, other, sum } = open();
  const { feed, push } = pushed<number>();
  const done = resume(tracker, 'n', feed, {
    transact: true,
    fence: true,
    handler: ({ data }, { tx }) => add(tx, data),
  });
  push(at(1));
  await expect.poll(sum).toEqual(1);
  await other.read('n', { fence: true });
  push(at(2));
  await expect(done).rejects.toMatchObject({ code: 'fenced', by: 'reader' });
  expect(sum()).toEqual(1);
});

test('events without an offset are stored with the next that has one', async () => {
  const { tracker, sum } = open();
  let opening = 0;
  const feed: Feed<number> = async function* (from) {
    if (opening++ === 0) {
      yield { data: 1 };
      return;
    }
    expect(from).toEqual(Offset.earliest);
    yield { data: 1 };
    yield { data: 2 };
    yield at(3);
    return 'end';
  };
  await resume(tracker, 'n', feed, { ...swift, transact: true, handler: ({ data }, { tx }) => add(tx, data) });
  expect([sum(), await tracker.getOffset('n')]).toEqual([6, Offset.sequence(3)]);
});

test('events that no offset follows are not applied, and the reading says so', async () => {
  const { tracker, sum } = open();
  const feed: Feed<number> = async function* () {
    yield at(1);
    yield { data: 2 };
    return 'end';
  };
  const done = resume(tracker, 'n', feed, { transact: true, handler: ({ data }, { tx }) => add(tx, data) });
  await expect(done).rejects.toThrow(/have no offset/);
  expect(sum()).toEqual(1);
});

test('heartbeats move the place in their turn', async () => {
  const { tracker, sum } = open();
  const feed: Feed<number> = async function* () {
    yield at(1);
    yield { heartbeat: true, offset: Offset.sequence(5) };
    yield at(6);
    yield { heartbeat: true, offset: Offset.sequence(9) };
    return 'end';
  };
  await resume(tracker, 'n', feed, { transact: true, handler: ({ data }, { tx }) => add(tx, data) });
  expect([sum(), await tracker.getOffset('n')]).toEqual([7, Offset.sequence(9)]);
});

test('opaque offsets need a reading that fences', async () => {
  const { tracker, sum } = open();
  const feed: Feed<number> = async function* () {
    for (const n of [1, 2, 3]) yield { offset: Offset.custom(`x${n}`), data: n };
    return 'end';
  };
  const run = (fence: boolean): Promise<void> =>
    resume(tracker, 'n', feed, { fence, transact: true, handler: ({ data }, { tx }) => add(tx, data) });
  await expect(run(false)).rejects.toThrow(UnsupportedError);
  await run(true);
  expect([sum(), await tracker.getOffset('n')]).toEqual([6, Offset.custom('x3')]);
});

test('a store that fails for a moment is tried again, and nothing is applied twice', async () => {
  const { tracker, store, sum } = open();
  const { transact } = store;
  let calls = 0;
  store.transact = async (...args) => {
    const result = await transact.apply(store, args);
    // It has been stored, and the answer is lost.
    if (++calls % 3 === 0) throw new StorageError('the connection was lost', { retryable: true });
    return result;
  };
  await resume(tracker, 'n', numbers({ last }).feed, {
    ...swift,
    transact: true,
    handler: ({ data }, { tx }) => add(tx, data),
  });
  expect(sum()).toEqual(wanted);
});

test('a store that keeps failing ends the reading', async () => {
  const { tracker, store } = open();
  store.transact = async () => {
    throw new StorageError('the disk is gone', { retryable: true });
  };
  const done = resume(tracker, 'n', numbers({ last }).feed, {
    ...swift,
    storeTimeoutMs: 50,
    transact: true,
    handler: ({ data }, { tx }) => add(tx, data),
  });
  await expect(done).rejects.toThrow('the disk is gone');
});

test('an asynchronous handler over SQLite is refused before it begins', async () => {
  const { tracker, sum } = open();
  const done = resume(tracker, 'n', numbers({ last }).feed, {
    transact: true,
    handler: async ({ data }, { tx }) => {
      add(tx, data);
      await turn();
    },
  });
  await expect(done).rejects.toThrow(UnsupportedError);
  expect(sum()).toEqual(0);
});

test('an abort in the middle repeats nothing', async () => {
  const { tracker, sum } = open();
  for (let round = 0; round < 10; round++) {
    const stop = new AbortController();
    let count = 0;
    await resume(tracker, 'n', numbers({ last }).feed, {
      signal: stop.signal,
      transact: true,
      batch: { size: 2 },
      handler: (events, { tx }) => {
        for (const { data } of events) add(tx, data);
        if (++count === 2) stop.abort();
      },
    });
  }
  expect(sum()).toEqual(wanted);
});

test('a store without transactions is refused at once', async () => {
  const memory = new InMemoryOffsetStore();
  const tracker = new OffsetTracker(Object.assign(memory, { transact: undefined }));
  const done = resume(tracker as never, 'n', numbers().feed, { transact: true as never, handler: () => {} });
  await expect(done).rejects.toThrow(/cannot store effects.*SqliteOffsetStore/);
});

/** A feed that lets others run between its events. */
function slowly(count: number): Feed<number> {
  const { feed } = numbers({ last: count });
  return async function* (from, context) {
    for await (const item of feed(from, context)) {
      yield item;
      await turn();
    }
    return 'end';
  };
}

function open() {
  const db = openMemory();
  db.exec('CREATE TABLE total (value INTEGER); INSERT INTO total VALUES (0); CREATE TABLE done (n INTEGER)');
  const store = new SqliteOffsetStore(db);
  const tracker = new OffsetTracker(store);
  const other = new OffsetTracker(new SqliteOffsetStore(db));
  const sum = (): unknown => query(db, 'SELECT value FROM total')[0]?.value;
  return { db, store, tracker, other, sum };
}

function add(db: Database.Database, n: number): void {
  db.prepare('UPDATE total SET value = value + ?').run(n);
  db.prepare('INSERT INTO done VALUES (?)').run(n);
}
