import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Better from 'better-sqlite3';
import { afterAll, afterEach, describe, expect, expectTypeOf, it } from 'vitest';
import { type Checkpoint, Offset, type OffsetStore } from '../../../src/index.ts';
import { SqliteOffsetStore } from '../../../src/stores/sqlite.ts';
import { type Connection, type Engine, engines, query } from './sqlite-engines.ts';

const folder = await mkdtemp(join(tmpdir(), 'tidemark-sqlite-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

let opened: Connection[] = [];
afterEach(() => {
  for (const db of opened) db.close();
  opened = [];
});

let next = 0;
const newFile = (): string => join(folder, `${next++}.db`);
const at = (n: number, epoch = 0): Checkpoint => ({ epoch, rank: n, offset: Offset.sequence(n), committedAt: n });
const commit = (store: OffsetStore, n: number, source = 'orders') => store.commit(new Map([[source, at(n)]]));
const first = (n: number) => ({ expected: undefined, next: at(n) });

describe.each(engines)('with $name', (engine: Engine) => {
  const open = (path: string, busyTimeoutMs?: number): Connection => {
    const db = engine.open(path, busyTimeoutMs);
    opened.push(db);
    return db;
  };

  describe('an asynchronous effect', () => {
    it('is refused before it begins, where it is an async function', async () => {
      const db = open(':memory:');
      const store = new SqliteOffsetStore(db);
      let began = false;
      const call = store.transact('orders', first(1), async () => {
        began = true;
      });
      await expect(call).rejects.toMatchObject({ code: 'unsupported', source: 'orders' });
      await expect(call).rejects.toThrow(/"orders" is asynchronous.*await what it needs first/);
      expect([began, await store.get('orders')]).toEqual([false, undefined]);
    });

    it('is rolled back, where a function answers a promise, and what that rejects with troubles nobody', async () => {
      const db = open(':memory:');
      db.exec('CREATE TABLE notes (text TEXT)');
      const store = new SqliteOffsetStore(db);
      const call = store.transact('orders', first(1), () => {
        db.exec("INSERT INTO notes VALUES ('a')");
        return Promise.reject(new Error('later'));
      });
      await expect(call).rejects.toMatchObject({ code: 'unsupported' });
      expect([query(db, 'SELECT * FROM notes'), await store.getAll()]).toEqual([[], new Map()]);
    });
  });

  it.each(['COMMIT', 'ROLLBACK', 'COMMIT; BEGIN', 'ROLLBACK; BEGIN IMMEDIATE'])(
    'an effect that does %s by itself is refused, and stores no offset',
    async (sql) => {
      const db = open(':memory:');
      const store = new SqliteOffsetStore(db);
      await expect(store.transact('orders', first(1), () => db.exec(sql))).rejects.toThrow(/ended the transaction/);
      expect(await store.get('orders')).toBeUndefined();
      expect((await store.transact('orders', first(1), () => {})).outcome).toBe('applied');
    },
  );

  it('an effect upon which SQLite rolls everything back stores no offset, though the effect hides the error', async () => {
    const db = open(':memory:');
    db.exec('CREATE TABLE notes (id INTEGER PRIMARY KEY)');
    const store = new SqliteOffsetStore(db);
    const call = store.transact('orders', first(1), () => {
      db.exec('INSERT INTO notes VALUES (1)');
      try {
        db.exec('INSERT OR ROLLBACK INTO notes VALUES (1)');
      } catch {
        // As if nothing had been.
      }
    });
    await expect(call).rejects.toThrow(/ended the transaction/);
    expect([query(db, 'SELECT * FROM notes'), await store.getAll()]).toEqual([[], new Map()]);
  });

  describe('in a transaction that the caller has open', () => {
    it.each(['COMMIT', 'ROLLBACK'])('all that the store does ends with its %s', async (end) => {
      const path = newFile();
      const db = open(path);
      db.exec('CREATE TABLE notes (text TEXT)');
      const store = new SqliteOffsetStore(db);
      await commit(store, 1);
      db.exec('BEGIN');
      await commit(store, 2);
      await store.commit(
        new Map([
          ['a', at(1)],
          ['b', at(1)],
        ]),
      );
      const fence = await store.begin('orders');
      const change = { expected: fence, next: at(3, fence.epoch) };
      const result = await store.transact('orders', change, () => db.exec("INSERT INTO notes VALUES ('a')"));
      expect(result.outcome).toBe('applied');
      const failing = store.transact('a', { expected: at(1), next: at(2) }, () => {
        db.exec("INSERT INTO notes VALUES ('b')");
        throw new Error('on purpose');
      });
      await expect(failing).rejects.toThrow('on purpose');
      expect(query(db, 'SELECT text FROM notes')).toEqual([{ text: 'a' }]);
      const other = new SqliteOffsetStore(open(path));
      expect(await other.getAll()).toEqual(new Map([['orders', at(1)]]));
      db.exec(end);
      const stands =
        end === 'COMMIT'
          ? ([
              ['a', at(1)],
              ['b', at(1)],
              ['orders', change.next],
            ] as const)
          : ([['orders', at(1)]] as const);
      expect(await other.getAll()).toEqual(new Map(stands));
      expect(query(db, 'SELECT text FROM notes')).toEqual(end === 'COMMIT' ? [{ text: 'a' }] : []);
    });

    it('the table is made again where the transaction that made it is rolled back', async () => {
      const db = open(':memory:');
      const store = new SqliteOffsetStore(db);
      db.exec('BEGIN');
      await commit(store, 1);
      db.exec('ROLLBACK');
      expect(await store.get('orders')).toBeUndefined();
      await commit(store, 2);
      expect(await store.get('orders')).toEqual(at(2));
    });
  });

  describe('beside another connection', () => {
    it('a database that is busy for too long is a retryable StorageError, and nothing is lost', async () => {
      const path = newFile();
      const [db, other] = [open(path, 20), open(path)];
      const store = new SqliteOffsetStore(db);
      await commit(store, 1);
      other.exec('BEGIN IMMEDIATE');
      const batch = new Map([
        ['a', at(1)],
        ['b', at(1)],
      ]);
      const calls = [
        () => commit(store, 2),
        () => store.commit(batch),
        () => store.begin('orders'),
        () => store.transact('orders', { expected: at(1), next: at(2) }, () => {}),
        () => store.clearAll(),
      ];
      for (const call of calls) {
        const error: unknown = await call().catch((reason: unknown) => reason);
        expect(error).toMatchObject({ name: 'StorageError', retryable: true, cause: expect.anything() });
        expect(String(error)).toMatch(/SQLite table "tidemark_offsets": .*locked.*try again/);
      }
      expect(await store.getAll()).toEqual(new Map([['orders', at(1)]]));
      other.exec('COMMIT');
      await commit(store, 2);
      expect(await store.get('orders')).toEqual(at(2));
    });

    it('nobody else can write from the moment that it looks what is stored', async () => {
      const path = newFile();
      const [db, other] = [open(path), open(path, 0)];
      query(db, 'PRAGMA journal_mode = WAL');
      const store = new SqliteOffsetStore(db);
      await commit(store, 1);
      const { outcome } = await store.transact('orders', { expected: at(1), next: at(2) }, () => {
        expect(() => other.exec('BEGIN IMMEDIATE')).toThrow(/locked/);
      });
      expect(outcome).toBe('applied');
      other.exec('BEGIN IMMEDIATE; COMMIT');
    });

    it('waits as long as the connection is set to, else 5 seconds, else as it is told', async () => {
      const path = newFile();
      const waits = async (db: Connection, options = {}): Promise<unknown> => {
        await new SqliteOffsetStore(db, options).get('orders');
        return query(db, 'PRAGMA busy_timeout')[0]?.timeout;
      };
      expect(await waits(open(path, 0))).toBe(5000);
      expect(await waits(open(path, 70))).toBe(70);
      expect(await waits(open(path, 70), { busyTimeoutMs: 30 })).toBe(30);
      expect(await waits(open(path, 70), { busyTimeoutMs: 0 })).toBe(0);
    });
  });
});

it('an effect is given the connection as its driver types it', () => {
  const make = (db: Better.Database) => new SqliteOffsetStore(db);
  type Effect = Parameters<ReturnType<typeof make>['transact']>[2];
  expectTypeOf<Parameters<Effect>[0]>().toEqualTypeOf<Better.Database>();
});
