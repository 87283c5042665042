import { UnsupportedError, quote } from '../../errors.ts';

/** A row, all of whose columns the store asks for as text. */
export type TextRow = Readonly<Record<string, string | null | undefined>>;

/** Runs one statement, with its parameters as text. */
export type Query = (text: string, values?: (string | null)[]) => Promise<readonly TextRow[]>;

/** The part of `pg`'s Client and PoolClient, of Neon's and of PGlite's transactions that the store needs. */
export interface PostgresClient {
  query(text: string, values?: (string | null)[]): Promise<{ readonly rows: readonly unknown[] }>;
}

/** The part of `pg`'s Pool, and of Neon's, that the store needs. */
export interface PostgresPool extends PostgresClient {
  /** Takes a client out of the pool, for a transaction; `release` gives it back. */
  connect(): Promise<PostgresClient & { release(destroy?: boolean): void }>;
  /** What tells a pool from a client, whose `connect` is another thing. */
  readonly totalCount: number;
}

/** The part of PGlite that the store needs. */
export interface PGliteDatabase extends PostgresClient {
  transaction<T>(work: (tx: PostgresClient) => Promise<T>): Promise<T | undefined>;
  readonly exec: unknown;
}

/** The part of `postgres` (postgres.js), and of its transactions, that the store needs. */
export interface PostgresSql {
  unsafe(text: string, values?: (string | null)[]): PromiseLike<readonly unknown[]>;
}

/** The part of `postgres` (postgres.js) that the store needs. */
export interface PostgresJs extends PostgresSql {
  begin(options: string, work: (sql: PostgresSql) => Promise<unknown>): Promise<unknown>;
}

/** What the store can be given: `pg` (Pool or Client), `postgres`, PGlite, and what has the shape of one of them. */
export type PostgresDatabase = PostgresClient | PostgresPool | PGliteDatabase | PostgresJs;

/** What an effect is given: a transaction, as the driver in use has it. */
export type PostgresTransaction<Database> = Database extends {
  begin: {
    (work: (sql: infer Sql) => unknown): unknown;
    (options: string, work: (sql: infer Sql) => unknown): unknown;
  };
}
  ? Sql
  : Database extends { transaction(work: (tx: infer Tx) => Promise<unknown>): unknown }
    ? Tx
    : Database extends { totalCount: number; connect: { (): Promise<infer Client>; (callback: never): unknown } }
      ? Client
      : Database;

/** One way to ask a database, whatever its driver. */
export interface Session {
  readonly query: Query;
  /** Commits what `work` resolves with, and rolls back where it rejects. It runs on one connection. */
  transaction<T>(work: (query: Query, tx: unknown) => Promise<T>): Promise<T>;
}

/** @throws UnsupportedError where it is no driver that the store knows */
export function sessionOf(db: unknown): Session {
  const { unsafe, query, transaction, exec, totalCount } = Object(db) as Record<string, unknown>;
  if (typeof unsafe === 'function') return postgresJs(db as PostgresJs);
  if (typeof query !== 'function') {
    throw new UnsupportedError(`${quote(db)} is no PostgreSQL connection: give one of pg, postgres or PGlite`);
  }
  if (typeof db === 'function') return withoutTransactions(db as unknown as PostgresClient);
  if (typeof transaction === 'function' && exec !== undefined) return pglite(db as PGliteDatabase);
  return typeof totalCount === 'number' ? pool(db as PostgresPool) : client(db as PostgresClient);
}

/** A session in a transaction that the caller has open: what is done together is a savepoint of it. */
export function insideOf(tx: unknown): Session {
  const { unsafe, savepoint, query } = Object(tx) as Record<string, unknown>;
  if (typeof unsafe === 'function' && typeof savepoint === 'function') {
    const sql = tx as PostgresSql & { savepoint<T>(work: (sql: PostgresSql) => Promise<T>): Promise<T> };
    return {
      query: queryBy(sql),
      transaction: (work) => sql.savepoint((inner) => work(queryBy(inner), inner)),
    };
  }
  if (typeof query !== 'function') {
    throw new UnsupportedError(
      `${quote(tx)} is no open transaction: give what the driver gives to those inside of one`,
    );
  }
  return oneAtATime(tx as PostgresClient, 'SAVEPOINT tidemark', 'RELEASE tidemark', [
    'ROLLBACK TO tidemark',
    'RELEASE tidemark',
  ]);
}

// The isolation that ON CONFLICT … WHERE and row locks are meant for, whatever the database's default is.
const isolation = 'ISOLATION LEVEL READ COMMITTED';
const begin = `BEGIN ${isolation}`;

function pool(db: PostgresPool): Session {
  return {
    query: queryBy(db),
    transaction: async (work) => {
      const connection = await db.connect();
      let isBroken = false;
      const broke = (): void => void (isBroken = true);
      // A connection that dies while nobody listens to it ends the process.
      const emitter = connection as Partial<Record<'on' | 'off', (name: string, listener: () => void) => unknown>>;
      emitter.on?.('error', broke);
      try {
        return await bracket(connection, begin, 'COMMIT', ['ROLLBACK'], work, broke);
      } finally {
        emitter.off?.('error', broke);
        connection.release(isBroken);
      }
    },
  };
}

function client(db: PostgresClient): Session {
  return oneAtATime(db, begin, 'COMMIT', ['ROLLBACK']);
}

function pglite(db: PGliteDatabase): Session {
  return {
    query: queryBy(db),
    transaction: async <T>(work: (query: Query, tx: unknown) => Promise<T>) =>
      (await db.transaction((tx) => work(queryBy(tx), tx))) as T,
  };
}

function postgresJs(sql: PostgresJs): Session {
  return {
    query: queryBy(sql),
    transaction: async <T>(work: (query: Query, tx: unknown) => Promise<T>) =>
      (await sql.begin(isolation.toLowerCase(), (tx) => work(queryBy(tx), tx))) as T,
  };
}

/** Neon over HTTP, where a statement is a request. */
function withoutTransactions(db: PostgresClient): Session {
  return {
    query: queryBy(db),
    transaction: () =>
      Promise.reject(
        new UnsupportedError('this PostgreSQL driver has no transactions that wait for an effect: give a Pool'),
      ),
  };
}

/** On one connection another call would be part of the transaction that is open: so each waits for the one before. */
function oneAtATime(db: PostgresClient, start: string, end: string, undo: readonly string[]): Session {
  const query = queryBy(db);
  return {
    query: (text, values) => inTurn(db, () => query(text, values)),
    transaction: (work) => inTurn(db, () => bracket(db, start, end, undo, work)),
  };
}

/** When the last call of any store on a connection is done. */
const turns = /* @__PURE__ */ new WeakMap<object, Promise<unknown>>();

function inTurn<T>(connection: object, work: () => Promise<T>): Promise<T> {
  const turn = (turns.get(connection) ?? Promise.resolve()).then(work);
  turns.set(
    connection,
    turn.catch(() => {}),
  );
  return turn;
}

async function bracket<T>(
  db: PostgresClient,
  start: string,
  end: string,
  undo: readonly string[],
  work: (query: Query, tx: unknown) => Promise<T>,
  broke: () => void = () => {},
): Promise<T> {
  const query = queryBy(db);
  try {
    await query(start);
    const result = await work(query, db);
    await query(end);
    return result;
  } catch (error) {
    try {
      for (const statement of undo) await query(statement);
    } catch {
      broke(); // The connection is lost, and the transaction with it.
    }
    throw error;
  }
}

function queryBy(db: PostgresClient | PostgresSql): Query {
  return async (text, values) => {
    const result: unknown = await ('unsafe' in db ? db.unsafe(text, values) : db.query(text, values));
    // `pg` and PGlite wrap the rows, `postgres` and Neon over HTTP do not.
    const rows: unknown = Array.isArray(result) ? result : (Object(result) as { rows?: unknown }).rows;
    return (rows ?? []) as readonly TextRow[];
  };
}

// "PostgreSQL Error Codes": connections (08), resources (53), the operator (57P: shutdown, crash, starting), waiting that
// was cut short, and transactions that met another's.
const transientState = /^(08...|53...|57P0.|57014|55P03|40001|40P01)$/;
const transientCode =
  /^(ECONN\w+|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENETDOWN|EAI_AGAIN|CONNECTION_(CLOSED|DESTROYED)|CONNECT_TIMEOUT)$/;
// `pg` gives these no code.
const transientMessage =
  /connection terminated|timeout exceeded when trying to connect|connection error and is not queryable|query read timeout/i;

/** Whether the same call may succeed later by itself. */
export function isTransient(error: unknown): boolean {
  const { code, message } = Object(error) as { readonly code?: unknown; readonly message?: unknown };
  if (typeof code === 'string') return transientState.test(code) || transientCode.test(code);
  return transientMessage.test(String(message));
}
