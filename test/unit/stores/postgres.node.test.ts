import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Checkpoint, Offset, type OffsetStore, join } from '../../../src/index.ts';
import { PostgresOffsetStore, postgresMigration } from '../../../src/stores/postgres/store.ts';
import { testOffsetStore, testTransact } from '../../../src/testing/index.ts';
import { checkpoints } from '../arbitraries.ts';
import { type Driver, type Open, drivers, isInstalled, startServer, stopServer, storeOf } from './postgres-drivers.ts';

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

it.skipIf(isInstalled)(
  'PostgreSQL is not installed, so PGlite alone is tested here: apt-get install postgresql',
  () => {
    expect(drivers.map(({ name }) => name)).toEqual(['PGlite']);
  },
);

describe.each(drivers)('with $name', (driver: Driver) => {
  const open = async (schema = newSchema()): Promise<Open> => {
    const database = await driver.open(schema);
    opened.push(database);
    return database;
  };
  const schemas = new Map<string, string>();
  const schemaOf = (id: string): string => {
    const schema = schemas.get(id) ?? newSchema();
    schemas.set(id, schema);
    return schema;
  };

  testOffsetStore(
    'PostgresOffsetStore',
    async ({ id, compare }) => storeOf(await open(schemaOf(id)), compare && { compare }),
    { describe, it, expect },
  );

  testTransact(
    'PostgresOffsetStore',
    async ({ id, compare }) => {
      const database = await open(schemaOf(id));
      const { ask, askIn } = database;
      await ask('CREATE TABLE IF NOT EXISTS counter (id integer PRIMARY KEY, value integer)');
      await ask('INSERT INTO counter VALUES (1, 0) ON CONFLICT DO NOTHING');
      const store = storeOf(database, compare && { compare });
      const add = (tx: unknown, amount: number) => askIn(tx)(`UPDATE counter SET value = value + ${amount}`);
      return {
        store,
        apply: (source, change, amount) => store.transact(source, change, (tx) => add(tx, amount)),
        fail: (source, change, amount, error) =>
          store.transact(source, change, async (tx) => {
            await add(tx, amount);
            throw error;
          }),
        misuse: (source, change, amount) =>
          store.transact(source, change, async (tx) => {
            await add(tx, amount);
            await askIn(tx)('COMMIT');
          }),
        read: async () => Number((await ask('SELECT value FROM counter'))[0]?.value),
      };
    },
    { describe, it, expect },
  );

  it('any sequence of commits is the join of all of them, whatever they are', async () => {
    const store = storeOf(await open());
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(checkpoints, { minLength: 1, maxLength: 6 }), async (all) => {
        const source = `round ${round++}`;
        let stands: Checkpoint | undefined;
        for (const checkpoint of all) {
          stands = join(stands, checkpoint, source);
          expect((await store.commit(new Map([[source, checkpoint]]))).get(source)).toEqual(stands);
        }
        expect(await store.get(source)).toEqual(stands);
      }),
      { numRuns: 50 },
    );
  });

  it('any name is a source, and none is taken for another', async () => {
    const store = storeOf(await open());
    const random = Array.from({ length: 3 }, (_, i) =>
      Array.from({ length: 20_000 }, (__, j) => String.fromCharCode((i * 7919 + j * 104_729) % 65_536)).join(''),
    );
    const likeKeys = ['\\~sha256:00', '~sha256:00', '\\ud800', '\ud800', '\\u0000', '\0'];
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.string({ unit: 'binary' }), { maxLength: 20 }), async (names) => {
        await store.clearAll();
        const batch = new Map([...names, ...likeKeys, ...random].map((name, i) => [name, at(i)]));
        expect(await store.commit(batch)).toEqual(batch);
        expect(await store.getAll()).toEqual(batch);
        const [, change] = [...batch].at(-1) ?? [];
        if (change) expect(await store.get(random[2] ?? '')).toEqual(change);
      }),
      { numRuns: 10 },
    );
  });

  it('two stores that open at once make one table', async () => {
    const schema = newSchema();
    await open(schema);
    const stores = await Promise.all(Array.from({ length: 5 }, async () => storeOf(await open(schema))));
    await Promise.all(stores.map((store, i) => commit(store, i)));
    expect(await stores[0]?.get('orders')).toEqual(at(4));
  });

  it('batches that overlap in another order do not wait for each other in a circle', async () => {
    const schema = newSchema();
    const [one, two] = [storeOf(await open(schema)), storeOf(await open(schema))];
    const names = Array.from({ length: 200 }, (_, i) => `source ${i}`);
    for (let n = 1; n <= 10; n++) {
      const batch = names.map((name): [string, Checkpoint] => [name, at(n)]);
      await Promise.all([one.commit(new Map(batch)), two.commit(new Map([...batch].reverse()))]);
    }
    expect(new Set((await two.getAll()).values())).toHaveLength(200);
    expect(await one.get('source 199')).toEqual(at(10));
  });

  it('a batch of many that moves some of them answers what stands for each', async () => {
    const store = storeOf(await open());
    const names = Array.from({ length: 2000 }, (_, i) => `source ${i}`);
    await store.commit(new Map(names.map((name, i) => [name, at(i % 2 ? 9 : 1)])));
    const stands = await store.commit(new Map(names.map((name) => [name, at(5)])));
    expect(names.filter((name, i) => stands.get(name)?.rank !== (i % 2 ? 9 : 5))).toEqual([]);
  });

  it.each([
    ['garbage', 'garbage'],
    ['nothing', ''],
    ['another object', '{}'],
  ])('a row that holds %s is told of, and is never written over', async (_, text) => {
    const database = await open();
    const store = storeOf(database);
    await store.commit(new Map(['orders', 'other'].map((name) => [name, at(1)])));
    await database.ask(`UPDATE tidemark_offsets SET checkpoint = $1 WHERE source = 'orders'`, [text]);
    let isApplied = false;
    const calls = [
      () => store.get('orders'),
      () => store.getAll(),
      () => commit(store, 2),
      () => store.begin('orders'),
      () => store.begin('orders', { offset: Offset.earliest }),
      () => store.transact('orders', { expected: at(1), next: at(2) }, () => (isApplied = true)),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'serialization', source: 'orders' });
    expect(isApplied).toBe(false);
    const rows = await database.ask(`SELECT checkpoint FROM tidemark_offsets WHERE source = 'orders'`);
    expect(rows[0]?.checkpoint).toBe(text);
    expect(await store.get('other')).toEqual(at(1));
  });

  it('an offset that was set by hand counts, whatever the key beside it says', async () => {
    const database = await open();
    const store = storeOf(database);
    await commit(store, 9);
    const [row] = await database.ask('SELECT checkpoint FROM tidemark_offsets');
    const lower = String(row?.checkpoint).replace('"value":"9"', '"value":"3"').replace('"rank":9', '"rank":3');
    await database.ask('UPDATE tidemark_offsets SET checkpoint = $1', [lower]);
    expect((await commit(store, 5)).get('orders')).toEqual(at(5));
    expect(await store.get('orders')).toEqual(at(5));
  });

  it('what is no checkpoint is refused, and nothing of its batch is stored', async () => {
    const store = storeOf(await open());
    const wrong = { ...at(1), offset: { kind: 'sequence', value: 5 } } as unknown as Checkpoint;
    const batch: [string, Checkpoint][] = [
      ['other', at(1)],
      ['orders', wrong],
    ];
    const calls = [
      () => store.commit(new Map(batch)),
      () => store.begin('orders', { offset: 5 as never }),
      () => store.transact('orders', { expected: undefined, next: wrong }, () => {}),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'invalid-offset', source: 'orders' });
    expect(await store.getAll()).toEqual(new Map());
  });

  it('the migration is enough for a store that makes no table', async () => {
    const schema = newSchema();
    const database = await open(schema);
    const options = { migrate: false, table: `${schema}.my "offsets"` };
    const store = storeOf(database, options);
    await expect(store.get('orders')).rejects.toMatchObject({ code: 'storage', retryable: false });
    await database.ask(postgresMigration(options.table));
    await database.ask(postgresMigration(options.table));
    await commit(store, 1);
    expect(await storeOf(database, { table: options.table }).get('orders')).toEqual(at(1));
  });
});

it('what is no connection, or no name of a table, is refused at once', () => {
  for (const wrong of [undefined, 'postgres://localhost', {}, { query: 1 }]) {
    expect(() => new PostgresOffsetStore(wrong as never)).toThrow(/no PostgreSQL connection: give one of/);
  }
  const db = { query: async () => ({ rows: [] }) };
  for (const table of ['', 'a.b.c', '.a', 'a\0b', '\ud800']) {
    expect(() => new PostgresOffsetStore(db, { table })).toThrow(/names no table/);
  }
});
