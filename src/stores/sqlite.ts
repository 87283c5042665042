import { type Change, type Checkpoint, beginEpoch, compareChange, join } from '../checkpoint.ts';
import { OffsetError, UnsupportedError, quote } from '../errors.ts';
import type { Offset } from '../offset.ts';
import type { Batch, ChangeResult, OffsetStore, StoreOptions } from '../store.ts';
import {
  EffectFailure,
  type Row,
  fromRow,
  opening,
  quotedTable,
  sourceOf,
  sourceText,
  storageError,
  toRow,
} from './sql-text.ts';

/** What the store needs of a connection. The `Database` of `node:sqlite`, `better-sqlite3` and `bun:sqlite` has this shape. */
export interface SqliteDatabase {
  /** Runs statements that answer nothing. */
  exec(sql: string): unknown;
  /** Prepares a statement. */
  prepare(sql: string): SqliteStatement;
  /** Whether a transaction is open, as `better-sqlite3` and `bun:sqlite` name it. */
  readonly inTransaction?: boolean;
  /** The same, as newer versions of `node:sqlite` name it. */
  readonly isTransaction?: boolean;
}

/** A prepared statement. */
export interface SqliteStatement {
  all(...values: string[]): unknown;
}

/** Options of a {@link SqliteOffsetStore}. */
export interface SqliteOffsetStoreOptions extends StoreOptions {
  /** The table that holds the checkpoints; default 'tidemark_offsets'. One of an attached database: 'schema.table'. */
  readonly table?: string;
  /** Whether the store makes its table where it is missing; default true. `false` where `sqliteMigration` is run elsewhere. */
  readonly migrate?: boolean;
  /**
   * How long a call waits, in ms, while another connection writes. The thread waits with it, as SQLite does. Default: what
   * the connection is set to, or 5,000 where that is not to wait at all.
   */
  readonly busyTimeoutMs?: number;
}

/** The statements that make the store's table, for those who keep their migrations elsewhere. They may be run again. */
export function sqliteMigration(table = 'tidemark_offsets'): string {
  return `CREATE TABLE IF NOT EXISTS ${quotedTable(table)} (
  source TEXT NOT NULL PRIMARY KEY,
  order_key TEXT NOT NULL,
  checkpoint TEXT NOT NULL
) WITHOUT ROWID;`;
}

/**
 * Keeps checkpoints in a table of an SQLite database, by `node:sqlite`, `better-sqlite3` or `bun:sqlite`, beside the data of
 * the application: `transact` stores an effect and its offset in one transaction. Several processes may share the file.
 *
 * Calls that are made while the connection has a transaction open are part of it, as a savepoint: what they store stands
 * once that is committed, and not before. Whether a commit survives a power cut is up to the connection's
 * `PRAGMA synchronous`; a killed process loses none.
 *
 * Calls reject with a StorageError, `retryable` where the database is busy or locked, and with a SerializationError where
 * a row holds no checkpoint, which is left as it is. The connection stays the caller's: `close` does not close it.
 */
export class SqliteOffsetStore<Database extends SqliteDatabase = SqliteDatabase> implements OffsetStore {
  readonly capabilities = {
    durability: 'durable',
    transactional: true,
    consistency: 'strong',
    shared: 'processes',
  } as const;
  readonly compare: StoreOptions['compare'];
  readonly #db: Database;
  readonly #table: string;
  readonly #where: string;
  readonly #migration: string | undefined;
  readonly #busyTimeoutMs: number | undefined;
  readonly #statements = new Map<string, SqliteStatement>();
  #isReady = false;

  /**
   * @param db an open connection
   * @throws UnsupportedError where it is none, or the name of the table is none
   */
  constructor(db: Database, options: SqliteOffsetStoreOptions = {}) {
    const { exec, prepare } = Object(db) as Partial<SqliteDatabase>;
    if (typeof exec !== 'function' || typeof prepare !== 'function') {
      throw new UnsupportedError(`${quote(db)} is no SQLite connection: ${drivers}`);
    }
    const { table = 'tidemark_offsets' } = options;
    this.compare = options.compare;
    this.#db = db;
    this.#table = quotedTable(table);
    this.#where = `the SQLite table ${this.#table}`;
    this.#migration = options.migrate === false ? undefined : sqliteMigration(table);
    this.#busyTimeoutMs = options.busyTimeoutMs;
  }

  async get(source: string): Promise<Checkpoint | undefined> {
    return this.#io('read', source, () => this.#read(source));
  }

  async getAll(): Promise<Map<string, Checkpoint>> {
    return this.#io('read', undefined, () => {
      const rows = this.#all(`SELECT source, checkpoint FROM ${this.#table} ORDER BY source`) as Row[];
      return new Map(
        rows.map((row) => {
          const source = sourceOf(row.source, this.#where);
          return [source, fromRow(row, source, this.#where)];
        }),
      );
    });
  }

  /** @throws InvalidOffsetError for what is no checkpoint; nothing of the batch is stored then */
  async commit(batch: Batch): Promise<Map<string, Checkpoint>> {
    const entries = [...batch];
    const [only] = entries;
    const source = entries.length === 1 ? only?.[0] : undefined;
    return this.#io('commit', source, () => {
      const joinAll = (): Map<string, Checkpoint> =>
        new Map(entries.map(([name, incoming]) => [name, this.#join(name, incoming)]));
      // A row is one statement where it moves, and that is a transaction already.
      if (entries.length > 1) return this.#atomically(joinAll);
      return only && this.#advance(...only) ? new Map(entries) : this.#atomically(joinAll);
    });
  }

  async begin(source: string, at?: { readonly offset?: Offset | undefined }): Promise<Checkpoint> {
    return this.#io('begin an epoch of', source, () =>
      this.#atomically(() => this.#write(source, beginEpoch(this.#read(source), at))),
    );
  }

  /**
   * @param effect is given the connection, and is done with it when it returns: SQLite transactions are synchronous. What
   * it throws comes back as it is, after everything was rolled back
   * @throws UnsupportedError where the effect is asynchronous, or ends the transaction itself; no offset is stored then
   */
  async transact(source: string, change: Change, effect: (db: Database) => unknown): Promise<ChangeResult> {
    // Refused before it begins, where that can be told: what an async function does later nobody could take back.
    if (Object.prototype.toString.call(effect) === '[object AsyncFunction]') throw isAsync(source);
    return this.#io('apply a change to', source, () =>
      this.#atomically((): ChangeResult => {
        const stored = this.#read(source);
        const outcome = compareChange(stored, change, source, this.compare);
        if (outcome !== 'applied') return { outcome, stands: stored };
        this.#run(source, effect);
        return { outcome, stands: this.#write(source, change.next) };
      }),
    );
  }

  async clearAll(): Promise<void> {
    this.#io('clear', undefined, () => this.#db.exec(`DELETE FROM ${this.#table}`));
  }

  /** Lets go of prepared statements. The connection stays open. */
  async close(): Promise<void> {
    this.#statements.clear();
  }

  #read(source: string): Checkpoint | undefined {
    const [row] = this.#all(`SELECT checkpoint FROM ${this.#table} WHERE source = ?`, sourceText(source)) as Row[];
    return row && fromRow(row, source, this.#where);
  }

  #join(source: string, incoming: Checkpoint): Checkpoint {
    const stored = this.#read(source);
    const later = join(stored, incoming, source, this.compare);
    return later === stored ? stored : this.#write(source, later);
  }

  /** Writes where that moves the source on, in one statement. A `compare` is not known to SQL. */
  #advance(source: string, incoming: Checkpoint): boolean {
    if (this.compare) return false;
    const moved = this.#all(
      `${this.#upsert} WHERE excluded.order_key > stored.order_key AND substr(stored.checkpoint, 1, ${opening.length}) = '${opening}' RETURNING 1 AS moved`,
      ...values(source, incoming),
    );
    return moved.length > 0;
  }

  #write(source: string, checkpoint: Checkpoint): Checkpoint {
    this.#all(`${this.#upsert} RETURNING 1 AS moved`, ...values(source, checkpoint));
    return checkpoint;
  }

  get #upsert(): string {
    return `INSERT INTO ${this.#table} AS stored (source, order_key, checkpoint) VALUES (?, ?, ?)
ON CONFLICT (source) DO UPDATE SET order_key = excluded.order_key, checkpoint = excluded.checkpoint`;
  }

  /** The savepoint tells afterwards whether the transaction still is the one in which the effect began. */
  #run(source: string, effect: (db: Database) => unknown): void {
    this.#db.exec('SAVEPOINT tidemark_effect');
    let result: unknown;
    try {
      result = effect(this.#db);
    } catch (error) {
      throw new EffectFailure(error);
    }
    if (isThenable(result)) {
      result.then(undefined, () => {}); // Nobody else could catch what it still rejects with.
      throw isAsync(source);
    }
    try {
      this.#db.exec('RELEASE tidemark_effect');
    } catch (cause) {
      throw new UnsupportedError(
        `the effect on ${quote(source)} ended the transaction that it was part of; the offset was not stored: leave COMMIT and ROLLBACK to the store, and let the effect throw to undo it`,
        { source, cause },
      );
    }
  }

  /** Runs work in a transaction of its own, or as a savepoint of the one that the caller has open. */
  #atomically<T>(work: () => T): T {
    const isNested = this.#start();
    try {
      const result = work();
      this.#db.exec(isNested ? 'RELEASE tidemark' : 'COMMIT');
      return result;
    } catch (error) {
      this.#undo(isNested);
      throw error;
    }
  }

  /** IMMEDIATE takes the lock to write before anything is read: one that is taken later may find that others wrote. */
  #start(): boolean {
    try {
      this.#db.exec('BEGIN IMMEDIATE');
      return false;
    } catch (error) {
      if (!(error instanceof Error) || !error.message.includes('within a transaction')) throw error;
    }
    this.#db.exec('SAVEPOINT tidemark');
    return true;
  }

  #undo(isNested: boolean): void {
    try {
      this.#db.exec(isNested ? 'ROLLBACK TO tidemark; RELEASE tidemark' : 'ROLLBACK');
    } catch {
      // SQLite has rolled back by itself, as it does when the disk is full, or the effect has.
    }
  }

  #io<T>(doing: string, source: string | undefined, work: () => T): T {
    try {
      this.#makeReady();
      return work();
    } catch (cause) {
      if (cause instanceof EffectFailure) throw cause.error;
      if (cause instanceof OffsetError) throw cause;
      throw storageError(doing, this.#where, cause, isTransient(cause), source);
    }
  }

  #makeReady(): void {
    if (this.#isReady) return;
    const [{ timeout = 0 } = {}] = this.#all('PRAGMA busy_timeout') as { timeout?: number }[];
    const wanted = this.#busyTimeoutMs ?? (Number(timeout) || 5000);
    if (wanted !== Number(timeout)) this.#db.exec(`PRAGMA busy_timeout = ${Math.trunc(wanted)}`);
    if (this.#migration) this.#db.exec(this.#migration);
    // A table that is made in the caller's transaction goes when that is rolled back: so look again next time.
    this.#isReady = (this.#db.inTransaction ?? this.#db.isTransaction) === false;
  }

  /** Runs a statement to its end and answers its rows: one that is left half way keeps its locks. */
  #all(sql: string, ...given: string[]): readonly unknown[] {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, (statement = this.#db.prepare(sql)));
    const rows: unknown = typeof statement.all === 'function' && statement.all(...given);
    if (Array.isArray(rows)) return rows;
    throw new UnsupportedError(`the SQLite driver is asynchronous: ${drivers}`);
  }
}

const drivers = 'give a database of node:sqlite, better-sqlite3 or bun:sqlite';

function values(source: string, checkpoint: Checkpoint): [string, string, string] {
  const row = toRow(source, checkpoint);
  return [row.source, row.order_key, row.checkpoint];
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (Object(value) as Partial<PromiseLike<unknown>>).then === 'function';
}

function isAsync(source: string): UnsupportedError {
  return new UnsupportedError(
    `the effect on ${quote(source)} is asynchronous, and a transaction of SQLite is not; nothing was stored: await what it needs first, and write in a function that is not async`,
    { source },
  );
}

// Primary result codes of SQLite ("Result and Error Codes"): BUSY, LOCKED and PROTOCOL are about other connections.
const transientCodes: ReadonlySet<number> = new Set([5, 6, 15]);

/** `better-sqlite3` and `bun:sqlite` name the code, `node:sqlite` and `bun:sqlite` number it, extended codes included. */
function isTransient(error: unknown): boolean {
  const { code, errcode, errno, message } = Object(error) as Record<string, unknown>;
  if (/^SQLITE_(BUSY|LOCKED|PROTOCOL)/.test(String(code))) return true;
  // better-sqlite3 refuses to write while a row of the same connection is being iterated. Deno's `exec` gives no number.
  if (/connection is busy executing a query|^database( table)? is locked/.test(String(message))) return true;
  return [errcode, errno].some((each) => typeof each === 'number' && transientCodes.has(each & 0xff));
}
