import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import postgres from 'postgres';
import {
  type PostgresDatabase,
  PostgresOffsetStore,
  type PostgresOffsetStoreOptions,
} from '../../../src/stores/postgres/store.ts';
import { type PostgresServer, findPostgres, startPostgres } from '../../postgres/server.ts';

/** Asks by SQL, with the rows as the driver reads them. */
export type Ask = (sql: string, values?: string[]) => Promise<Record<string, unknown>[]>;

/** An open database, whatever the driver. */
export interface Open {
  readonly db: PostgresDatabase;
  readonly ask: Ask;
  /** Asks inside of the transaction that an effect is given. */
  askIn(tx: unknown): Ask;
  /** What an application does with its driver: work in a transaction. */
  inTransaction<T>(work: (tx: never) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface Driver {
  readonly name: string;
  open(schema: string): Promise<Open>;
}

export function storeOf({ db }: Open, options?: PostgresOffsetStoreOptions): PostgresOffsetStore<PostgresDatabase> {
  return new PostgresOffsetStore(db, options);
}

let server: PostgresServer | undefined;
const bin = findPostgres();

/** `pg` and `postgres` on a real server where PostgreSQL is installed, and PGlite everywhere. */
export const drivers: readonly Driver[] = [
  ...(bin === undefined
    ? []
    : [
        { name: 'pg, a Pool,', open: openPool },
        { name: 'pg, a Client,', open: openClient },
        { name: 'postgres', open: openPostgresJs },
      ]),
  { name: 'PGlite', open: openPGlite },
];

export async function startServer(): Promise<void> {
  if (bin !== undefined) server = await startPostgres(bin);
}

export async function stopServer(): Promise<void> {
  await Promise.all(Array.from(lites.values(), (db) => db.close()));
  lites.clear();
  await server?.stop();
}

export function urlOf(): string {
  if (server === undefined) throw new Error('PostgreSQL is not installed: apt-get install postgresql');
  return server.url;
}

export const isInstalled = bin !== undefined;

type Queryable = { query(sql: string, values?: string[]): Promise<{ rows: unknown[] }> };
const asking =
  (db: Queryable): Ask =>
  async (sql, values) =>
    (await db.query(sql, values)).rows as Record<string, unknown>[];
const askIn = (tx: unknown): Ask => asking(tx as Queryable);

export async function openPool(schema: string): Promise<Open> {
  const db = new pg.Pool({ connectionString: urlOf(), options: `-c search_path=${schema}`, max: 5 });
  db.on('error', () => {});
  const ask = asking(db);
  await ask(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
  const inTransaction = async <T>(work: (tx: never) => Promise<T>): Promise<T> => {
    const client = await db.connect();
    try {
      return await bracket(client, work);
    } finally {
      client.release();
    }
  };
  return { db, ask, askIn, inTransaction, close: () => db.end() };
}

export async function openClient(schema: string): Promise<Open> {
  const db = new pg.Client({ connectionString: urlOf(), options: `-c search_path=${schema}` });
  db.on('error', () => {});
  await db.connect();
  const ask = asking(db);
  await ask(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
  return { db, ask, askIn, inTransaction: (work) => bracket(db, work), close: () => db.end() };
}

async function openPostgresJs(schema: string): Promise<Open> {
  const db = postgres(urlOf(), { max: 5, connection: { search_path: schema }, onnotice: () => {} });
  const asks =
    (sql: postgres.Sql): Ask =>
    async (text, values = []) => [...(await sql.unsafe(text, values))];
  await asks(db)(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
  return {
    db,
    ask: asks(db),
    askIn: (tx) => asks(tx as postgres.Sql),
    inTransaction: <T>(work: (tx: never) => Promise<T>) => db.begin((tx) => work(tx as never)) as Promise<T>,
    close: () => db.end(),
  };
}

/** One database in memory takes a second to make: all share it, and two that open the same schema see the same. */
const lites = new Map<string, PGlite>();

async function openPGlite(schema: string): Promise<Open> {
  const db = lites.get('') ?? new PGlite();
  lites.set('', db);
  const ask = asking(db);
  await ask(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
  await ask(`SET search_path = ${schema}`);
  return {
    db,
    ask,
    askIn,
    inTransaction: <T>(work: (tx: never) => Promise<T>) => db.transaction((tx) => work(tx as never)) as Promise<T>,
    close: async () => {},
  };
}

async function bracket<T>(client: Queryable, work: (tx: never) => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  try {
    const result = await work(client as never);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}
