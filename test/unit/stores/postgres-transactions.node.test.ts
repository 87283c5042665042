import type { PGlite, Transaction } from '@electric-sql/pglite';
import pg from 'pg';
import type postgres from 'postgres';
import { afterAll, afterEach, beforeAll, describe, expect, expectTypeOf, it } from 'vitest';
import { type Checkpoint, Offset, type OffsetStore } from '../../../src/index.ts';
import { PostgresOffsetStore } from '../../../src/stores/postgres/store.ts';
import {
  type Driver,
  type Open,
  drivers,
  isInstalled,
  openClient,
  openPool,
  startServer,
  stopServer,
  storeOf,
  urlOf,
} from './postgres-drivers.ts';

beforeAll(startServer);
afterAll(stopServer);

let opened: Open[] = [];
afterEach(async () => {
  await Promise.all(opened.map((each) => each.close()));
  opened = [];
});

let next = 0;
const newSchema = (): string => `test_${next++}`;
const at = (n: number, epoch = 0): Checkpoint => ({ epoch, rank: n, offset: Offset.sequence(n), committedAt: n });
const commit = (store: OffsetStore, n: number, source = 'orders') => store.commit(new Map([[source, at(n)]]));
const first = { expected: undefined, next: at(1) };

async function track(opening: Promise<Open>): Promise<Open> {
  const database = await opening;
  opened.push(database);
  return database;
}

describe.each(drivers)('with $name', (driver: Driver) => {
  const open = async (): Promise<Open> => {
    const database = await track(driver.open(newSchema()));
    await database.ask('CREATE TABLE notes (id integer PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)');
    return database;
  };
  const notesOf = async ({ ask }: Open): Promise<unknown[]> => (await ask('SELECT id FROM notes')).map(({ id }) => id);

  it.each(['COMMIT', 'ROLLBACK', 'COMMIT; BEGIN'])(
    'an effect that does %s by itself is refused, and stores no offset',
    async (sql) => {
      const database = await open();
      const store = storeOf(database);
      await commit(store, 1, 'known');
      for (const [source, expected] of [
        ['orders', undefined],
        ['known', at(1)],
      ] as const) {
        const call = store.transact(source, { expected, next: at(2) }, async (tx) => {
          for (const each of sql.split('; ')) await database.askIn(tx)(each);
        });
        // One driver refuses a BEGIN by itself.
        await expect(call).rejects.toThrow(/ended the transaction|UNSAFE_TRANSACTION/);
        expect(await store.get(source)).toEqual(expected);
        expect((await store.transact(source, { expected, next: at(2) }, () => {})).outcome).toBe('applied');
      }
    },
  );

  it('an effect that hides that one of its statements failed is refused, and leaves nothing', async () => {
    const database = await open();
    const store = storeOf(database);
    const call = store.transact('orders', first, async (tx) => {
      await database.askIn(tx)('INSERT INTO notes VALUES (1)');
      await database
        .askIn(tx)('SELECT 1 / 0')
        .catch(() => {});
    });
    await expect(call).rejects.toMatchObject({ code: 'unsupported', source: 'orders' });
    expect([await notesOf(database), await store.getAll()]).toEqual([[], new Map()]);
  });

  it('an error of the database in an effect comes back as it is', async () => {
    const database = await open();
    const store = storeOf(database);
    let thrown: unknown;
    const call = store.transact('orders', first, async (tx) => {
      await database.askIn(tx)('INSERT INTO notes VALUES (1)');
      thrown = await database
        .askIn(tx)('SELECT 1 / 0')
        .catch((error: unknown) => error);
      throw thrown;
    });
    const found: unknown = await call.catch((error: unknown) => error);
    expect(found).toBe(thrown);
    expect(found).toMatchObject({ code: '22012' });
    expect([await notesOf(database), await store.getAll()]).toEqual([[], new Map()]);
  });

  it('a constraint that fails as the transaction commits is a StorageError, and leaves nothing', async () => {
    const database = await open();
    await database.ask('INSERT INTO notes VALUES (1)');
    const store = storeOf(database);
    const call = store.transact('orders', first, (tx) => database.askIn(tx)('INSERT INTO notes VALUES (1)'));
    await expect(call).rejects.toMatchObject({ code: 'storage', retryable: false, source: 'orders' });
    expect([await notesOf(database), await store.getAll()]).toEqual([[1], new Map()]);
  });

  it.each(['commits', 'rolls back'])('in a transaction that the caller has open, all ends as that %s', async (end) => {
    const database = await open();
    const store = storeOf(database);
    await commit(store, 1);
    const stood = await store.getAll();
    const giveUp = new Error('given up');
    let inside = new Map<string, Checkpoint>();
    const work = database.inTransaction(async (tx) => {
      const within = store.within(tx);
      await commit(within, 2);
      await within.commit(new Map(['a', 'b'].map((name) => [name, at(1)])));
      const fence = await within.begin('orders');
      const add = (n: number) => (inner: unknown) => database.askIn(inner)(`INSERT INTO notes VALUES (${n})`);
      const change = { expected: fence, next: at(3, fence.epoch) };
      expect((await within.transact('orders', change, add(1))).outcome).toBe('applied');
      expect((await within.transact('orders', change, add(2))).outcome).toBe('duplicate');
      const failing = within.transact('a', { expected: at(1), next: at(2) }, async (inner) => {
        await add(3)(inner);
        await database.askIn(inner)('SELECT 1 / 0');
      });
      await expect(failing).rejects.toMatchObject({ code: '22012' });
      // Those that are made at once go one after another.
      const changes = ['c', 'd', 'e'].map((name, i) => within.transact(name, first, add(4 + i)));
      expect((await Promise.all(changes)).map(({ outcome }) => outcome)).toEqual(['applied', 'applied', 'applied']);
      inside = await within.getAll();
      expect(inside.get('a')).toEqual(at(1));
      if (end === 'rolls back') throw giveUp;
    });
    if (end === 'rolls back') await expect(work).rejects.toBe(giveUp);
    else await work;
    expect(await store.getAll()).toEqual(end === 'commits' ? inside : stood);
    expect(await notesOf(database)).toEqual(end === 'commits' ? [1, 4, 5, 6] : []);
  });

  it('the table can be made in a transaction that is rolled back', async () => {
    const database = await open();
    const store = storeOf(database);
    const work = database.inTransaction(async (tx) => {
      await commit(store.within(tx), 1);
      throw new Error('given up');
    });
    await expect(work).rejects.toThrow('given up');
    expect(await store.get('orders')).toBeUndefined();
    await commit(store, 2);
    expect(await store.get('orders')).toEqual(at(2));
  });
});

describe.skipIf(!isInstalled)('on a server', () => {
  it('calls on one client wait for each other, also those of another store', async () => {
    const database = await track(openClient(newSchema()));
    const stores = [storeOf(database), storeOf(database)];
    const sources = Array.from({ length: 10 }, (_, i) => `source ${i}`);
    const results = await Promise.all(
      sources.flatMap((source, i) => [
        stores[i % 2]?.transact(source, first, (tx) => database.askIn(tx)('SELECT pg_sleep(0.001)')),
        commit(storeOf(database), 1, `${source}!`),
      ]),
    );
    expect(results).toHaveLength(20);
    expect((await stores[0]?.getAll())?.size).toBe(20);
  });

  it('a transaction holds nobody up but those of the same source', async () => {
    const database = await track(openPool(newSchema()));
    const store = storeOf(database);
    const order: string[] = [];
    await commit(store, 1);
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    let begun = (): void => {};
    const isUnderWay = new Promise<void>((resolve) => (begun = resolve));
    const change = store.transact('orders', { expected: at(1), next: at(2) }, async () => {
      begun();
      await held;
      order.push('effect');
    });
    await isUnderWay;
    await commit(store, 1, 'other');
    const same = commit(store, 3).then(() => order.push('commit'));
    const blocked = async () =>
      (await database.ask(`SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'`)).length;
    await expect.poll(blocked).toBe(1);
    release();
    expect((await change).outcome).toBe('applied');
    await same;
    expect(order).toEqual(['effect', 'commit']);
    expect(await store.get('orders')).toEqual(at(3));
  });

  it('a database whose transactions are serializable by default is as exact', async () => {
    const schema = newSchema();
    const database = await track(openPool(schema));
    await database.ask(`ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'`);
    try {
      const store = storeOf(await track(openPool(schema)));
      await commit(store, 1);
      const changes = Array.from({ length: 5 }, (_, i) =>
        store.transact('orders', { expected: at(1), next: at(2 + i) }, () => {}),
      );
      const outcomes = (await Promise.all(changes)).map(({ outcome }) => outcome);
      expect(outcomes.filter((outcome) => outcome === 'applied')).toHaveLength(1);
    } finally {
      await database.ask('ALTER DATABASE postgres RESET default_transaction_isolation');
    }
  });

  it('a connection that the server ends is a retryable StorageError, also in the middle of an effect', async () => {
    const schema = newSchema();
    const [database, other] = [await track(openPool(schema)), await track(openPool(schema))];
    const store = storeOf(database);
    await commit(store, 1);
    const call = store.transact('orders', { expected: at(1), next: at(2) }, async (tx) => {
      const [row] = await database.askIn(tx)('SELECT pg_backend_pid() AS pid');
      await other.ask('SELECT pg_terminate_backend($1::text::int)', [String(row?.pid)]);
      // It is gone before the effect is done, which does nothing more and so does not hear of it.
      const isThere = async () =>
        (await other.ask('SELECT 1 FROM pg_stat_activity WHERE pid = $1::text::int', [String(row?.pid)])).length;
      await expect.poll(isThere).toBe(0);
    });
    await expect(call).rejects.toMatchObject({ code: 'storage', retryable: true, source: 'orders' });
    expect(await store.get('orders')).toEqual(at(1));
    expect((await commit(store, 2)).get('orders')).toEqual(at(2));
  });

  it('a server that refuses a user, a name or a statement is a StorageError that is not retryable', async () => {
    const wrong = new pg.Pool({ connectionString: `${urlOf()}_that_is_not_there` });
    const error: unknown = await new PostgresOffsetStore(wrong).get('orders').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'storage', retryable: false, source: 'orders' });
    expect(String(error)).toMatch(/could not read "orders" in the PostgreSQL table "tidemark_offsets": database/);
    await wrong.end();
    const ended = await new PostgresOffsetStore(wrong).get('orders').catch((reason: unknown) => reason);
    expect(ended).toMatchObject({ code: 'storage', retryable: false });
  });

  it('a server without a connection to spare, or none at all, is a retryable StorageError', async () => {
    const nobody = new pg.Pool({ connectionString: 'postgres://postgres@127.0.0.1:1/postgres' });
    const store = new PostgresOffsetStore(nobody);
    for (const call of [() => store.get('orders'), () => store.transact('orders', first, () => {})]) {
      await expect(call()).rejects.toMatchObject({ code: 'storage', retryable: true, source: 'orders' });
    }
    await nobody.end();
    const database = await track(openPool(newSchema()));
    await database.ask('CREATE ROLE one LOGIN CONNECTION LIMIT 0');
    const full = new pg.Pool({ connectionString: urlOf().replace('postgres@', 'one@') });
    await expect(new PostgresOffsetStore(full).get('orders')).rejects.toMatchObject({ retryable: true });
    await full.end();
  });

  it('a user who may not make tables can use one that is there', async () => {
    const schema = newSchema();
    const database = await track(openPool(schema));
    await commit(storeOf(database), 1);
    await database.ask('CREATE ROLE reader LOGIN');
    await database.ask(`GRANT USAGE ON SCHEMA ${schema} TO reader`);
    await database.ask('GRANT SELECT, INSERT, UPDATE ON tidemark_offsets TO reader');
    const poor = new pg.Pool({ connectionString: urlOf().replace('postgres@', 'reader@') });
    const store = new PostgresOffsetStore(poor, { table: `${schema}.tidemark_offsets` });
    await commit(store, 2);
    expect(await store.get('orders')).toEqual(at(2));
    await poor.end();
  });
});

it('a driver without transactions that wait commits, and says that it cannot transact', async () => {
  const database = await track(drivers.at(-1)?.open(newSchema()) ?? Promise.reject(new Error('no PGlite')));
  // As Neon's over HTTP: a function, whose `query` answers the rows.
  const overHttp = Object.assign(() => {}, { query: (sql: string, values?: string[]) => database.ask(sql, values) });
  const store = new PostgresOffsetStore(overHttp as never);
  await commit(store, 1);
  expect((await store.begin('orders')).offset).toEqual(Offset.sequence(1));
  await expect(store.transact('orders', first, () => {})).rejects.toMatchObject({ code: 'unsupported' });
});

it('an effect is given what its driver gives inside of a transaction', () => {
  const make = {
    pool: (db: pg.Pool) => new PostgresOffsetStore(db),
    client: (db: pg.Client) => new PostgresOffsetStore(db),
    js: (db: postgres.Sql) => new PostgresOffsetStore(db),
    lite: (db: PGlite) => new PostgresOffsetStore(db),
  };
  type Given<Name extends keyof typeof make> = Parameters<
    Parameters<ReturnType<(typeof make)[Name]>['transact']>[2]
  >[0];
  expectTypeOf<Given<'pool'>>().toEqualTypeOf<pg.PoolClient>();
  expectTypeOf<Given<'client'>>().toEqualTypeOf<pg.Client>();
  expectTypeOf<Given<'js'>>().toEqualTypeOf<postgres.TransactionSql>();
  expectTypeOf<Given<'lite'>>().toEqualTypeOf<Transaction>();
});
