import { type DBSchema, type IDBPDatabase, type IDBPTransaction, openDB } from 'idb';
import { beforeEach, expect, expectTypeOf, test } from 'vitest';
import { Offset, OffsetTracker, UnsupportedError, resume } from '../../../src/index.ts';
import { IndexedDBOffsetStore, createOffsetStore } from '../../../src/stores/indexeddb/store.ts';
import { closeAfter, freshName } from '../stores/databases.ts';
import { at, numbers, pushed, swift, turn } from './feeds.ts';

interface Schema extends DBSchema {
  notes: { key: number; value: { id: number } };
  totals: { key: string; value: number };
}

const last = 40;
const wanted = (last * (last + 1)) / 2;

let name: string;
let db: IDBPDatabase<Schema>;

beforeEach(async () => {
  name = freshName();
  db = closeAfter(
    await openDB<Schema>(name, 1, {
      upgrade(upgraded) {
        upgraded.createObjectStore('notes', { keyPath: 'id' });
        upgraded.createObjectStore('totals');
        createOffsetStore(upgraded);
      },
    }),
  );
});

test('a reading applies effects in the database of the application, typed by its schema', async () => {
  const reading = await open().read('n');
  const outcome = await reading.transact(Offset.sequence(1), ['notes'], (tx) => {
    expectTypeOf(tx).toEqualTypeOf<IDBPTransaction<Schema, 'notes'[], 'readwrite'>>();
    return tx.objectStore('notes').put({ id: 1 });
  });
  expect(outcome).toEqual('applied');
  const again = await reading.transact(Offset.sequence(1), ['notes'], (tx) => tx.objectStore('notes').put({ id: 2 }));
  expect([again, await db.getAll('notes')]).toEqual(['duplicate', [{ id: 1 }]]);
  // @ts-expect-error: no such object store
  await expect(reading.transact(Offset.sequence(2), ['nots'], () => {})).rejects.toThrow(/nots/);
});

test('events are applied once, in two tabs that race in batches of their own', async () => {
  const run = (size: number): Promise<void> =>
    resume(open(), 'n', numbers({ last, perOpening: 7 }).feed, {
      ...swift,
      transact: ['notes', 'totals'],
      batch: { size, intervalMs: 1 },
      handler: async (events, { tx }) => {
        expectTypeOf(tx).toEqualTypeOf<IDBPTransaction<Schema, ('notes' | 'totals')[], 'readwrite'>>();
        for (const { data } of events) {
          await tx.objectStore('notes').add({ id: data });
          await add(tx.objectStore('totals'), data);
        }
      },
    });
  await Promise.all([run(1), run(6), run(11)]);
  expect(await db.get('totals', 'n')).toEqual(wanted);
  expect(await db.count('notes')).toEqual(last);
});

test('what is prepared may be awaited, and is applied in order', async () => {
  const order: number[] = [];
  await resume(open(), 'n', numbers({ last }).feed, {
    transact: ['totals'],
    concurrency: 4,
    prepare: async ({ data }) => {
      for (let i = 0; i < data % 3; i++) await turn();
      return data;
    },
    handler: async (_event, { tx, prepared }) => {
      order.push(prepared);
      await add(tx.objectStore('totals'), prepared);
    },
  });
  expect(order).toEqual(Array.from({ length: last }, (_, i) => i + 1));
  expect(await db.get('totals', 'n')).toEqual(wanted);
});

test('a handler that awaits something else is told so, and nothing is stored', async () => {
  const tracker = open();
  const done = resume(tracker, 'n', numbers({ last }).feed, {
    transact: ['totals'],
    handler: async ({ data }, { tx }) => {
      await add(tx.objectStore('totals'), data);
      await new Promise((resolve) => setTimeout(resolve, 20));
    },
  });
  await expect(done).rejects.toThrow(UnsupportedError);
  expect([await db.get('totals', 'n'), await tracker.getOffset('n')]).toEqual([undefined, Offset.earliest]);
});

test('a handler that fails stores nothing of its batch', async () => {
  const tracker = open();
  const done = resume(tracker, 'n', numbers({ last }).feed, {
    transact: ['totals'],
    batch: { size: 10 },
    handler: async (events, { tx }) => {
      for (const { data } of events) await add(tx.objectStore('totals'), data);
      if (events.some(({ data }) => data === 15)) throw new Error('poison');
    },
  });
  await expect(done).rejects.toThrow('poison');
  expect([await db.get('totals', 'n'), await tracker.getOffset('n')]).toEqual([55, Offset.sequence(10)]);
});

test('a tab that takes over goes on where the other was, and the other applies nothing more', async () => {
  const one = pushed<number>();
  const two = pushed<number>();
  const stop = new AbortController();
  const run = (feed: typeof one.feed, signal: AbortSignal): Promise<void> =>
    resume(open(), 'n', feed, {
      ...swift,
      signal,
      exclusive: true,
      transact: ['totals'],
      handler: ({ data }, { tx }) => add(tx.objectStore('totals'), data),
    });
  const ended = run(one.feed, stop.signal);
  one.push(at(1), at(2));
  await expect.poll(() => db.get('totals', 'n')).toEqual(3);
  const over = new AbortController();
  const next = run(two.feed, over.signal);
  stop.abort();
  await ended;
  await expect.poll(() => two.openings).toEqual([Offset.sequence(2)]);
  two.push(at(3));
  await expect.poll(() => db.get('totals', 'n')).toEqual(6);
  over.abort();
  await next;
});

test('without a database of its own the store says what it needs', async () => {
  const tracker = new OffsetTracker(closeAfter(new IndexedDBOffsetStore({ name: freshName() })));
  const reading = await tracker.read('n');
  await expect(reading.transact(Offset.sequence(1), [], () => {})).rejects.toThrow(/createOffsetStore/);
});

function open(): OffsetTracker<IndexedDBOffsetStore<Schema>> {
  return new OffsetTracker(closeAfter(new IndexedDBOffsetStore({ name, db })));
}

async function add(
  totals: {
    get(key: string): Promise<number | undefined>;
    put(value: number, key: string): Promise<unknown>;
  },
  n: number,
): Promise<void> {
  await totals.put(((await totals.get('n')) ?? 0) + n, 'n');
}
