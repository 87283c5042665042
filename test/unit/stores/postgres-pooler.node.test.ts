import pg from 'pg';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { PostgresOffsetStore } from '../../../src/stores/postgres/store.ts';
import { testOffsetStore, testTransact } from '../../../src/testing/index.ts';
import { type PostgresServer, findPooler, findPostgres, startPooler, startPostgres } from '../../postgres/server.ts';

const [bin, program] = [findPostgres(), findPooler()];

// Where they are not installed (apt-get install postgresql pgbouncer) the summary says that these were skipped.
describe.skipIf(bin === undefined || program === undefined)('behind a pooler in transaction mode', () => {
  let server: PostgresServer;
  let pooler: Awaited<ReturnType<typeof startPooler>>;
  beforeAll(async () => {
    server = await startPostgres(bin ?? '');
    pooler = await startPooler(program ?? '', server);
  });
  afterAll(async () => {
    await pooler?.stop();
    await server?.stop();
  });

  let ends: (() => Promise<void>)[] = [];
  afterEach(async () => {
    await Promise.all(ends.map((end) => end()));
    ends = [];
  });
  const openPool = (): pg.Pool => {
    const pool = new pg.Pool({ connectionString: pooler.url, max: 5 });
    ends.push(() => pool.end());
    return pool;
  };

  const tables = new Map<string, number>();
  const tableOf = (id: string): string => {
    const n = tables.get(id) ?? tables.size;
    tables.set(id, n);
    return `offsets_${n}`;
  };

  testOffsetStore(
    'PostgresOffsetStore, by pg,',
    ({ id, compare }) => new PostgresOffsetStore(openPool(), { table: tableOf(id), ...(compare && { compare }) }),
    { describe, it, expect },
  );

  testOffsetStore(
    'PostgresOffsetStore, by postgres,',
    ({ id, compare }) => {
      const sql = postgres(pooler.url, { max: 5, prepare: false, onnotice: () => {} });
      ends.push(() => sql.end());
      return new PostgresOffsetStore(sql, { table: tableOf(id), ...(compare && { compare }) });
    },
    { describe, it, expect },
  );

  testTransact(
    'PostgresOffsetStore, by pg,',
    async ({ id, compare }) => {
      const [pool, counter] = [openPool(), `counter_${tableOf(id)}`];
      await pool.query(`CREATE TABLE IF NOT EXISTS ${counter} (id integer PRIMARY KEY, value integer)`);
      await pool.query(`INSERT INTO ${counter} VALUES (1, 0) ON CONFLICT DO NOTHING`);
      const store = new PostgresOffsetStore(pool, { table: tableOf(id), ...(compare && { compare }) });
      const add = (client: pg.PoolClient, amount: number) =>
        client.query(`UPDATE ${counter} SET value = value + $1`, [amount]);
      return {
        store,
        apply: (source, change, amount) => store.transact(source, change, (client) => add(client, amount)),
        fail: (source, change, amount, error) =>
          store.transact(source, change, async (client) => {
            await add(client, amount);
            throw error;
          }),
        read: async () =>
          (await pool.query<{ value: number }>(`SELECT value FROM ${counter}`)).rows[0]?.value ?? Number.NaN,
      };
    },
    { describe, it, expect },
  );
});
