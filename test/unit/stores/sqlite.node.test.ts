import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Better from 'better-sqlite3';
import fc from 'fast-check';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { type Checkpoint, Offset, type OffsetStore, join as joinCheckpoints } from '../../../src/index.ts';
import { SqliteOffsetStore, sqliteMigration } from '../../../src/stores/sqlite.ts';
import { testOffsetStore, testTransact } from '../../../src/testing/index.ts';
import { checkpoints } from '../arbitraries.ts';
import { type Connection, type Engine, engines, query } from './sqlite-engines.ts';

const folder = await mkdtemp(join(tmpdir(), 'tidemark-sqlite-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

let opened: Connection[] = [];
afterEach(() => {
  for (const db of opened) db.close();
  opened = [];
});

const openAny = (): Connection => {
  const db = engines[0]?.open(':memory:');
  if (db === undefined) throw new Error('this runtime has no SQLite: npm install builds better-sqlite3');
  opened.push(db);
  return db;
};

let next = 0;
const newFile = (): string => join(folder, `${next++}.db`);
const at = (n: number, epoch = 0): Checkpoint => ({ epoch, rank: n, offset: Offset.sequence(n), committedAt: n });
const commit = (store: OffsetStore, n: number, source = 'orders') => store.commit(new Map([[source, at(n)]]));

describe.each(engines)('with $name', (engine: Engine) => {
  const open = (path: string, busyTimeoutMs?: number): Connection => {
    const db = engine.open(path, busyTimeoutMs);
    opened.push(db);
    return db;
  };
  const files = new Map<string, string>();
  const fileOf = (id: string): string => {
    const path = files.get(id) ?? newFile();
    files.set(id, path);
    return path;
  };

  testOffsetStore(
    'SqliteOffsetStore',
    ({ id, compare }) => new SqliteOffsetStore(open(fileOf(id)), compare && { compare }),
    { describe, it, expect },
  );

  testOffsetStore(
    'SqliteOffsetStore, where a write-ahead log is kept,',
    ({ id, compare }) => {
      const db = open(fileOf(id));
      query(db, 'PRAGMA journal_mode = WAL');
      return new SqliteOffsetStore(db, { table: 'main.my "offsets"', ...(compare && { compare }) });
    },
    { describe, it, expect },
  );

  testTransact(
    'SqliteOffsetStore',
    ({ id, compare }) => {
      const db = open(fileOf(id));
      db.exec('CREATE TABLE IF NOT EXISTS counter (value INTEGER); ');
      if (query(db, 'SELECT value FROM counter').length === 0) db.exec('INSERT INTO counter VALUES (0)');
      const store = new SqliteOffsetStore(db, compare && { compare });
      const add = (amount: number): void => db.exec(`UPDATE counter SET value = value + ${amount}`) as undefined;
      return {
        store,
        apply: (source, change, amount) => store.transact(source, change, () => add(amount)),
        fail: (source, change, amount, error) =>
          store.transact(source, change, () => {
            add(amount);
            throw error;
          }),
        misuse: (source, change, amount) =>
          store.transact(source, change, () => Promise.resolve().then(() => add(amount))),
        read: async () => Number(query(db, 'SELECT value FROM counter')[0]?.value),
      };
    },
    { describe, it, expect },
  );

  it('any sequence of commits is the join of all of them, whatever they are', async () => {
    const db = open(':memory:');
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(checkpoints, { minLength: 1, maxLength: 6 }), async (all) => {
        const store = new SqliteOffsetStore(db);
        const source = `round ${round++}`;
        let stands: Checkpoint | undefined;
        for (const checkpoint of all) {
          stands = joinCheckpoints(stands, checkpoint, source);
          expect((await store.commit(new Map([[source, checkpoint]]))).get(source)).toEqual(stands);
        }
        expect(await store.get(source)).toEqual(stands);
      }),
      { numRuns: 200 },
    );
  });

  it('any name is a source, and none is taken for another', async () => {
    const store = new SqliteOffsetStore(open(':memory:'));
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.string({ unit: 'binary' }), { maxLength: 20 }), async (names) => {
        await store.clearAll();
        const batch = new Map([...names, '\\ud800', '\ud800', '\\u0000', '\0'].map((name, i) => [name, at(i)]));
        await store.commit(batch);
        expect(await store.getAll()).toEqual(batch);
      }),
    );
  });

  it.each([
    ['garbage', 'garbage'],
    ['nothing', ''],
    ['another object', '{}'],
  ])('a row that holds %s is told of, and is never written over', async (_, text) => {
    const db = open(':memory:');
    const store = new SqliteOffsetStore(db);
    await store.commit(
      new Map([
        ['orders', at(1)],
        ['other', at(1)],
      ]),
    );
    query(db, `UPDATE tidemark_offsets SET checkpoint = ? WHERE source = 'orders' RETURNING 1`, text);
    let isApplied = false;
    const calls = [
      () => store.get('orders'),
      () => store.getAll(),
      () => commit(store, 2),
      () =>
        store.commit(
          new Map([
            ['other', at(9)],
            ['orders', at(9)],
          ]),
        ),
      () => store.begin('orders'),
      () => store.begin('orders', { offset: Offset.earliest }),
      () => store.transact('orders', { expected: at(1), next: at(2) }, () => (isApplied = true)),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'serialization', source: 'orders' });
    expect(isApplied).toBe(false);
    expect(query(db, `SELECT checkpoint FROM tidemark_offsets WHERE source = 'orders'`)).toEqual([
      { checkpoint: text },
    ]);
    expect(await store.get('other')).toEqual(at(1));
  });

  it('a row whose name no source has is told of', async () => {
    const db = open(':memory:');
    const store = new SqliteOffsetStore(db);
    await commit(store, 1);
    db.exec(`UPDATE tidemark_offsets SET source = '\\x'`);
    await expect(store.getAll()).rejects.toMatchObject({ code: 'serialization' });
  });

  it('an offset that was set by hand counts, whatever the key beside it says', async () => {
    const db = open(':memory:');
    const store = new SqliteOffsetStore(db);
    await commit(store, 9);
    const [row] = query(db, 'SELECT checkpoint FROM tidemark_offsets');
    const lower = String(row?.checkpoint).replace('"value":"9"', '"value":"3"').replace('"rank":9', '"rank":3');
    query(db, 'UPDATE tidemark_offsets SET checkpoint = ? RETURNING 1', lower);
    expect((await commit(store, 5)).get('orders')).toEqual(at(5));
    expect(await store.get('orders')).toEqual(at(5));
  });

  it('what is no checkpoint is refused, and nothing of its batch is stored', async () => {
    const store = new SqliteOffsetStore(open(':memory:'));
    const wrong = { ...at(1), offset: { kind: 'sequence', value: 5 } } as unknown as Checkpoint;
    const calls = [
      () => store.commit(new Map([['orders', wrong]])),
      () =>
        store.commit(
          new Map([
            ['other', at(1)],
            ['orders', wrong],
          ]),
        ),
      () => store.begin('orders', { offset: 5 as never }),
      () => store.transact('orders', { expected: undefined, next: wrong }, () => {}),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'invalid-offset', source: 'orders' });
    expect(await store.getAll()).toEqual(new Map());
  });

  it('the migration is enough for a store that makes no table, also for a connection that may only read', async () => {
    const path = newFile();
    const db = open(path);
    const store = new SqliteOffsetStore(db, { migrate: false, table: 'mine' });
    await expect(store.get('orders')).rejects.toMatchObject({ code: 'storage', retryable: false });
    db.exec(sqliteMigration('mine'));
    db.exec(sqliteMigration('mine'));
    await commit(store, 1);
    const reader = open(path);
    reader.exec('PRAGMA query_only = ON');
    const readOnly = new SqliteOffsetStore(reader, { table: 'mine' });
    expect(await readOnly.get('orders')).toEqual(at(1));
    await expect(commit(readOnly, 2)).rejects.toMatchObject({ code: 'storage', retryable: false });
  });

  it('the connection stays open when the store is closed', async () => {
    const db = open(':memory:');
    const store = new SqliteOffsetStore(db);
    await commit(store, 1);
    await store.close();
    expect(query(db, 'SELECT source FROM tidemark_offsets')).toEqual([{ source: 'orders' }]);
    expect(await store.get('orders')).toEqual(at(1));
  });
});

it('what is no connection, or no name of a table, is refused at once', () => {
  const db = openAny();
  for (const wrong of [undefined, 'offsets.db', {}, { exec: 1 }]) {
    expect(() => new SqliteOffsetStore(wrong as never)).toThrow(/no SQLite connection: give a database of/);
  }
  for (const table of ['', 'a.b.c', '.a', 'a\0b', '\ud800']) {
    expect(() => new SqliteOffsetStore(db, { table })).toThrow(/names no table/);
    expect(() => sqliteMigration(table)).toThrow(/names no table/);
  }
});

it('a driver that answers promises is refused', async () => {
  const asynchronous = { exec: async () => {}, prepare: () => ({ all: async () => [] }) };
  await expect(new SqliteOffsetStore(asynchronous).get('orders')).rejects.toMatchObject({ code: 'unsupported' });
  const more = { exec: async () => {}, prepare: async () => ({ all: async () => [] }) };
  await expect(new SqliteOffsetStore(more as never).get('orders')).rejects.toMatchObject({ code: 'unsupported' });
});

const better = engines.find(({ name }) => name === 'better-sqlite3');

it.skipIf(!better)('a transaction while better-sqlite3 iterates over rows is a retryable StorageError', async () => {
  const db = better?.open(':memory:') as Better.Database;
  const store = new SqliteOffsetStore(db);
  await store.commit(
    new Map([
      ['a', at(1)],
      ['b', at(1)],
    ]),
  );
  for (const _ of db.prepare('SELECT * FROM tidemark_offsets').iterate()) {
    await expect(store.begin('a')).rejects.toMatchObject({ code: 'storage', retryable: true });
    break;
  }
  expect((await store.begin('a')).offset).toEqual(Offset.sequence(1));
  db.close();
});
