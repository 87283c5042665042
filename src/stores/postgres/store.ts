import { type Change, type Checkpoint, beginEpoch, compareChange, join } from '../../checkpoint.ts';
import { encode } from '../../codec.ts';
import { OffsetError, type StorageError, UnsupportedError, quote } from '../../errors.ts';
import type { Offset } from '../../offset.ts';
import type { Batch, ChangeResult, OffsetStore, StoreOptions } from '../../store.ts';
import {
  EffectFailure,
  crowded,
  fromRow,
  mostTries,
  opening,
  quotedTable,
  sourceOf,
  sourceText,
  storageError,
  toRow,
} from '../sql-text.ts';
import {
  type PostgresDatabase,
  type PostgresTransaction,
  type Query,
  type Session,
  insideOf,
  isTransient,
  sessionOf,
} from './connection.ts';

export type {
  PGliteDatabase,
  PostgresClient,
  PostgresDatabase,
  PostgresJs,
  PostgresPool,
  PostgresSql,
  PostgresTransaction,
} from './connection.ts';

/** Options of a {@link PostgresOffsetStore}. */
export interface PostgresOffsetStoreOptions extends StoreOptions {
  /** The table that holds the checkpoints; default 'tidemark_offsets', in the search path. With a schema: 'schema.table'. */
  readonly table?: string;
  /** Whether the store makes its table where it is missing; default true. `false` where `postgresMigration` is run elsewhere. */
  readonly migrate?: boolean;
}

/** The statement that makes the store's table, for those who keep their migrations elsewhere. It may be run again. */
export function postgresMigration(table = 'tidemark_offsets'): string {
  return `CREATE TABLE IF NOT EXISTS ${quotedTable(table)} (
  source text COLLATE "C" NOT NULL PRIMARY KEY,
  long_name text,
  order_key text COLLATE "C" NOT NULL,
  checkpoint text NOT NULL
);`;
}

/**
 * Keeps checkpoints in a table of a PostgreSQL database, by `pg`, `postgres` or PGlite, beside the data of the application:
 * `transact` stores an effect and its offset in one transaction. Any number of processes on any machines may share it.
 *
 * It uses row locks only, and no state of a connection, so it works behind a pooler in transaction mode. With a `pg` Client
 * calls wait for each other; give it to no one else, or give a Pool. An effect must not call the store that runs it.
 *
 * Calls reject with a StorageError, `retryable` where the connection was lost or the server stops, starts or has no
 * connection to spare, and with a SerializationError where a row holds no checkpoint, which is left as it is. Connections
 * stay the caller's: `close` closes none.
 */
export class PostgresOffsetStore<Database extends PostgresDatabase = PostgresDatabase> implements OffsetStore {
  readonly capabilities = {
    durability: 'durable',
    transactional: true,
    consistency: 'strong',
    shared: 'global',
  } as const;
  readonly compare: StoreOptions['compare'];
  readonly #db: Database;
  readonly #options: PostgresOffsetStoreOptions;
  readonly #table: string;
  readonly #where: string;
  #session: Session;
  #ready: Promise<void> | undefined;

  /**
   * @param db a Pool or Client of `pg`, a `postgres()`, a PGlite, or what has the shape of one
   * @throws UnsupportedError where it is none, or the name of the table is none
   */
  constructor(db: Database, options: PostgresOffsetStoreOptions = {}) {
    this.#db = db;
    this.#options = options;
    this.#session = sessionOf(db);
    this.#table = quotedTable(options.table ?? 'tidemark_offsets');
    this.#where = `the PostgreSQL table ${this.#table}`;
    this.compare = options.compare;
    if (options.migrate === false) this.#ready = Promise.resolve();
  }

  /**
   * The same store in a transaction that the caller has open: what it stores stands once that is committed, and not
   * before. `transact` is a savepoint of it then.
   * @param tx what the driver gives to those inside of a transaction: the client that has begun it, or `sql`, or `tx`
   */
  within(tx: PostgresTransaction<Database>): PostgresOffsetStore<Database> {
    const store = new PostgresOffsetStore(this.#db, this.#options);
    store.#session = insideOf(tx);
    store.#ready ??= this.#ready;
    return store;
  }

  async get(source: string): Promise<Checkpoint | undefined> {
    return this.#io('read', source, async ({ query }) => {
      const { key } = await keyOf(source);
      const [row] = await query(`SELECT checkpoint FROM ${this.#table} WHERE source = $1`, [key]);
      return row && this.#decode(row.checkpoint, source);
    });
  }

  async getAll(): Promise<Map<string, Checkpoint>> {
    return this.#io('read', undefined, async ({ query }) => {
      const rows = await query(`SELECT source, long_name, checkpoint FROM ${this.#table} ORDER BY source`);
      return new Map(
        rows.map((row) => {
          const source = sourceOf(row.long_name ?? String(row.source), this.#where);
          return [source, this.#decode(row.checkpoint, source)];
        }),
      );
    });
  }

  /** @throws InvalidOffsetError for what is no checkpoint; nothing of the batch is stored then */
  async commit(batch: Batch): Promise<Map<string, Checkpoint>> {
    const incoming = new Map(batch);
    const [only] = incoming.keys();
    if (only === undefined) return incoming;
    return this.#io('commit', incoming.size === 1 ? only : undefined, async ({ query }) => {
      const rows = await Promise.all(Array.from(incoming, ([source, each]) => rowOf(source, each)));
      const moved = this.compare ? new Set() : await this.#advance(query, rows);
      const left = rows.filter(({ key }) => !moved.has(key));
      const found = left.length > 0 ? await this.#readMany(query, left) : new Map<string, string>();
      for (const { source, key, next } of left) {
        const later = (stored: Checkpoint | undefined): Checkpoint => join(stored, next, source, this.compare);
        incoming.set(source, await this.#update(query, source, later, found.get(key)));
      }
      return incoming;
    });
  }

  async begin(source: string, at?: { readonly offset?: Offset | undefined }): Promise<Checkpoint> {
    return this.#io('begin an epoch of', source, async ({ query }) => {
      const { key } = await keyOf(source);
      const found = await this.#readMany(query, [{ key }]);
      return this.#update(query, source, (stored) => beginEpoch(stored, at), found.get(key));
    });
  }

  /**
   * @param effect is given the transaction, as the driver has it: a client of `pg`, the `sql` of `postgres`, the `tx` of
   * PGlite. It awaits all that it does there. What it throws comes back as it is, after everything was rolled back
   * @throws UnsupportedError where the effect ends the transaction, or goes on after a statement of it has failed; no
   * offset is stored then
   */
  async transact(
    source: string,
    change: Change,
    effect: (tx: PostgresTransaction<Database>) => unknown,
  ): Promise<ChangeResult> {
    return this.#io('apply a change to', source, async (session) => {
      const next = await rowOf(source, change.next);
      let isNew = false;
      const run = async (query: Query, tx: unknown): Promise<ChangeResult> => {
        const lock = await this.#lock(query, source, change);
        if ('outcome' in lock) return lock;
        isNew = lock.isNew;
        try {
          await effect(tx as PostgresTransaction<Database>);
        } catch (error) {
          throw new EffectFailure(error);
        }
        await this.#finish(query, next, lock.transaction);
        return { outcome: 'applied', stands: change.next };
      };
      try {
        return await session.transaction(run);
      } catch (error) {
        // An effect that ended the transaction may have committed what held the place of a new source.
        if (isNew) await this.#forget(session, next.key);
        throw error;
      }
    });
  }

  async clearAll(): Promise<void> {
    await this.#io('clear', undefined, ({ query }) => query(`DELETE FROM ${this.#table}`));
  }

  /** Connections stay open: they are the caller's. */
  async close(): Promise<void> {}

  /** Locks the row of a source until the transaction ends, and names the transaction; or answers why nothing is to be done. */
  async #lock(query: Query, source: string, change: Change): Promise<ChangeResult | Lock> {
    const { key, longName } = await keyOf(source);
    for (let tries = 0; tries < mostTries; tries++) {
      const [row] = await query(
        `SELECT checkpoint, txid_current()::text AS transaction FROM ${this.#table} WHERE source = $1 FOR UPDATE`,
        [key],
      );
      const stored = row && this.#decode(row.checkpoint, source);
      const outcome = compareChange(stored, change, source, this.compare);
      if (outcome !== 'applied') return { outcome, stands: stored };
      if (row) return { transaction: String(row.transaction), isNew: false };
      // A row that is not there cannot be locked: one that holds its place can.
      const [made] = await query(
        `INSERT INTO ${this.#table} (source, long_name, order_key, checkpoint) VALUES ($1, $2, '', $3)
ON CONFLICT (source) DO NOTHING RETURNING txid_current()::text AS transaction`,
        [key, longName, placeholder()],
      );
      if (made) return { transaction: String(made.transaction), isNew: true };
    }
    throw this.#crowded(source);
  }

  async #finish(query: Query, { source, key, orderKey, text }: SourceRow, transaction: string): Promise<void> {
    let written: readonly unknown[];
    try {
      written = await query(
        `UPDATE ${this.#table} SET order_key = $2, checkpoint = $3 WHERE source = $1 AND txid_current()::text = $4 RETURNING source`,
        [key, orderKey, text, transaction],
      );
    } catch (cause) {
      // in_failed_sql_transaction
      if ((Object(cause) as { code?: unknown }).code !== '25P02') throw cause;
      throw new UnsupportedError(
        `the effect on ${quote(source)} went on after one of its statements had failed, which PostgreSQL does not; nothing was stored: let the effect throw, or put that statement into a savepoint`,
        { source, cause },
      );
    }
    if (written.length > 0) return;
    throw new UnsupportedError(
      `the effect on ${quote(source)} ended the transaction that it was part of; the offset was not stored: leave COMMIT and ROLLBACK to the store, and let the effect throw to undo it`,
      { source },
    );
  }

  async #forget({ query }: Session, key: string): Promise<void> {
    await query(`DELETE FROM ${this.#table} WHERE source = $1 AND checkpoint = $2`, [key, placeholder()]).catch(
      () => {},
    );
  }

  /** Writes, in one statement, what moves a source on; answers the keys of those. */
  async #advance(query: Query, rows: readonly SourceRow[]): Promise<Set<unknown>> {
    // Those who commit several sources lock them in the same order, and so never wait for each other in a circle.
    const sorted = [...rows].sort((a, b) => (a.key < b.key ? -1 : 1));
    // One parameter of type text, whatever the size: drivers differ in how they send arrays and JSON.
    const values = sorted.map(({ key, longName, orderKey, text }) => [key, longName, orderKey, text]);
    const moved = await query(
      `INSERT INTO ${this.#table} AS stored (source, long_name, order_key, checkpoint)
SELECT each->>0, each->>1, each->>2, each->>3 FROM json_array_elements($1::text::json) AS each
ON CONFLICT (source) DO UPDATE SET order_key = excluded.order_key, checkpoint = excluded.checkpoint
WHERE excluded.order_key > stored.order_key AND left(stored.checkpoint, ${opening.length}) = '${opening}'
RETURNING source`,
      [JSON.stringify(values)],
    );
    return new Set(moved.map(({ source }) => source));
  }

  async #readMany(query: Query, rows: readonly { readonly key: string }[]): Promise<Map<string, string>> {
    const found = await query(
      `SELECT source, checkpoint FROM ${this.#table} WHERE source IN (SELECT json_array_elements_text($1::text::json))`,
      [JSON.stringify(rows.map(({ key }) => key))],
    );
    return new Map(found.map((row) => [String(row.source), String(row.checkpoint)]));
  }

  /**
   * Makes of what is stored what is to stand, and writes that where nobody wrote meanwhile; else it looks again. Whoever
   * has to look again lost to one who got on.
   * @param found the text of what is stored
   */
  async #update(
    query: Query,
    source: string,
    change: (stored: Checkpoint | undefined) => Checkpoint,
    found: string | undefined,
    triesLeft = mostTries,
  ): Promise<Checkpoint> {
    const stored = found === undefined ? undefined : this.#decode(found, source);
    const next = change(stored);
    if (next === stored) return next;
    const { key, longName, orderKey, text } = await rowOf(source, next);
    const written =
      found === undefined
        ? await query(
            `INSERT INTO ${this.#table} (source, long_name, order_key, checkpoint) VALUES ($1, $2, $3, $4)
ON CONFLICT (source) DO NOTHING RETURNING source`,
            [key, longName, orderKey, text],
          )
        : await query(
            `UPDATE ${this.#table} SET order_key = $2, checkpoint = $3 WHERE source = $1 AND checkpoint = $4 RETURNING source`,
            [key, orderKey, text, found],
          );
    if (written.length > 0) return next;
    if (triesLeft === 0) throw this.#crowded(source);
    const again = await this.#readMany(query, [{ key }]);
    return this.#update(query, source, change, again.get(key), triesLeft - 1);
  }

  #crowded(source: string): StorageError {
    return crowded(this.#where, source, 'too many write it at once, or row-level security hides it from who writes it');
  }

  #decode(text: string | null | undefined, source: string): Checkpoint {
    return fromRow({ checkpoint: String(text) }, source, this.#where);
  }

  async #io<T>(doing: string, source: string | undefined, work: (session: Session) => Promise<T>): Promise<T> {
    try {
      await (this.#ready ??= this.#makeTable());
      return await work(this.#session);
    } catch (cause) {
      if (cause instanceof EffectFailure) throw cause.error;
      if (cause instanceof OffsetError) throw cause;
      throw storageError(doing, this.#where, cause, isTransient(cause), source);
    }
  }

  /** Looks first: a user who may use the table need not be one who may make it. */
  async #makeTable(): Promise<void> {
    try {
      const { query } = this.#session;
      const isMissing = async (): Promise<boolean> => {
        const [row] = await query('SELECT to_regclass($1)::text AS found', [this.#table]);
        return (row?.found ?? null) === null;
      };
      if (!(await isMissing())) return;
      try {
        await query(postgresMigration(this.#options.table));
      } catch (error) {
        // Two that make it at the same moment: one of them is told that a name is taken.
        if (await isMissing()) throw error;
      }
    } catch (error) {
      this.#ready = undefined;
      throw error;
    }
  }
}

/** A row that is locked: by which transaction, and whether it was made for that. */
interface Lock {
  readonly transaction: string;
  readonly isNew: boolean;
}

interface SourceRow {
  readonly source: string;
  readonly key: string;
  readonly longName: string | null;
  readonly next: Checkpoint;
  readonly orderKey: string;
  readonly text: string;
}

/** Stands, while the first change of a source is under way, where its checkpoint will be. */
function placeholder(): string {
  return encode({ epoch: 0, rank: 0, offset: undefined, committedAt: 0 });
}

async function rowOf(source: string, next: Checkpoint): Promise<SourceRow> {
  const { order_key: orderKey, checkpoint: text } = toRow(source, next);
  return { source, ...(await keyOf(source)), next, orderKey, text };
}

// An entry of a B-tree index has at most 2,704 bytes ("Index Types"; BTMaxItemSize).
const maxKeyBytes = 1000;

/** What a source's row is found by: its name, or a hash where the name is too long for an index. No name begins with `\~`. */
async function keyOf(source: string): Promise<{ readonly key: string; readonly longName: string | null }> {
  const text = sourceText(source);
  if (text.length * 3 <= maxKeyBytes) return { key: text, longName: null };
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= maxKeyBytes) return { key: text, longName: null };
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  const hex = Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return { key: `\\~sha256:${hex}`, longName: text };
}
