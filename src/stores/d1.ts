import { type Change, type Checkpoint, beginEpoch, compareChange, join } from '../checkpoint.ts';
import { OffsetError, UnsupportedError, quote } from '../errors.ts';
import type { Offset } from '../offset.ts';
import { orderKey } from '../order-key.ts';
import type { Batch, ChangeResult, OffsetStore, StoreOptions } from '../store.ts';
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
} from './sql-text.ts';

/** What the store needs of a prepared statement. Cloudflare's `D1PreparedStatement` has this shape. */
export interface D1Statement {
  bind(...values: string[]): D1Statement;
}

/** What the store needs of a D1 binding. Cloudflare's `D1Database` has this shape. */
export interface D1Binding<Statement extends D1Statement = D1Statement> {
  /** Prepares a statement. */
  prepare(query: string): Statement;
  /** Runs statements in one transaction. */
  batch(statements: Statement[]): Promise<readonly { readonly results: readonly unknown[] }[]>;
}

/** Statements of the same binding, or a function that makes them. */
export type D1Effect<Statement extends D1Statement = D1Statement> = readonly Statement[] | (() => readonly Statement[]);

/** Options of a {@link D1OffsetStore}. */
export interface D1OffsetStoreOptions extends StoreOptions {
  /** The table that holds the checkpoints. Default 'tidemark_offsets'. */
  readonly table?: string;
  /** Whether the store makes its table where it is missing. Default true; `false` where `d1Migration` is run elsewhere. */
  readonly migrate?: boolean;
}

/** The statement that makes the store's table, for those who keep their migrations elsewhere. It may be run again. */
export function d1Migration(table = 'tidemark_offsets'): string {
  return `CREATE TABLE IF NOT EXISTS ${quotedTable(table)} (
  source TEXT NOT NULL PRIMARY KEY,
  order_key TEXT NOT NULL CONSTRAINT ${guard} CHECK (order_key <> ''),
  checkpoint TEXT NOT NULL
) WITHOUT ROWID;`;
}

/** Its violation rolls a batch back whose compare-and-set did not match. */
const guard = 'tidemark_moved';
/** The most characters that one statement is given: D1 takes 2,000,000 bytes, and a character has three at most. */
const mostCharacters = 500_000;
const rowsAPage = 2000;

/**
 * Keeps checkpoints in a table of a Cloudflare D1 database, beside the data of the application, for Workers anywhere.
 *
 * D1 has no transaction that stays open while a Worker thinks, but a batch of statements is one: `transact` sends a
 * compare-and-set of the checkpoint, a guard that rolls everything back where it did not match, and the statements of the
 * effect. Give the binding itself: a session (`withSession`) may read from a replica that is behind.
 *
 * Calls reject with a StorageError naming the source, `retryable` where D1 says that it may pass; with a SerializationError
 * where a row holds no checkpoint, which is left as it is.
 *
 * @example
 * const store = new D1OffsetStore(env.DB);
 */
export class D1OffsetStore<Statement extends D1Statement = D1Statement> implements OffsetStore {
  readonly capabilities = {
    durability: 'durable',
    transactional: true,
    consistency: 'strong',
    shared: 'global',
  } as const;
  readonly compare: StoreOptions['compare'];
  readonly #db: D1Binding<Statement>;
  readonly #name: string;
  readonly #table: string;
  readonly #where: string;
  readonly #migration: string | undefined;

  /** @throws UnsupportedError where it is no binding, or the name of the table is none */
  constructor(db: D1Binding<Statement>, options: D1OffsetStoreOptions = {}) {
    if (typeof Object(db).batch !== 'function') {
      throw new UnsupportedError(`${quote(db)} is no D1 binding: give env.DB, as d1_databases names it`);
    }
    const { table = 'tidemark_offsets' } = options;
    this.compare = options.compare;
    this.#db = db;
    this.#name = table;
    this.#table = quotedTable(table);
    this.#where = `the D1 table ${this.#table}`;
    this.#migration = options.migrate === false ? undefined : d1Migration(table);
  }

  async get(source: string): Promise<Checkpoint | undefined> {
    return this.#io('read', source, async () => (await this.#readAll([source])).get(source));
  }

  /** Costs a query for each 2,000 sources. */
  async getAll(): Promise<Map<string, Checkpoint>> {
    return this.#io('read', undefined, async () => {
      const all = new Map<string, Checkpoint>();
      const select = `SELECT source, checkpoint FROM ${this.#table}`;
      let rows = await this.#run([this.#bind(`${select} ORDER BY source LIMIT ${rowsAPage}`)]);
      for (;;) {
        for (const row of rows) this.#add(row, all);
        const last = rows.at(-1);
        if (last === undefined || rows.length < rowsAPage) return all;
        rows = await this.#run([
          this.#bind(`${select} WHERE source > ?1 ORDER BY source LIMIT ${rowsAPage}`, last.source),
        ]);
      }
    });
  }

  /** One batch, which is stored whole or not at all. @throws InvalidOffsetError for what is no checkpoint */
  async commit(batch: Batch): Promise<Map<string, Checkpoint>> {
    const [only] = batch.size === 1 ? batch.keys() : [];
    return this.#io('commit', only, async () => {
      const stands = await (this.compare ? this.#readAll(batch.keys()) : this.#upsert(batch));
      // What SQL cannot decide is joined here: by `compare`, and of two that name one place.
      for (let tries = 0; tries < mostTries; tries++) {
        const steps = new Map<string, Change>();
        for (const [source, incoming] of batch) {
          const expected = stands.get(source);
          const next = join(expected, incoming, source, this.compare);
          if (next !== expected) steps.set(source, { expected, next });
        }
        if (steps.size === 0) return stands;
        for (const [source, found] of await this.#setAll(steps)) stands.set(source, found);
      }
      throw crowded(this.#where, only);
    });
  }

  async begin(source: string, at?: { readonly offset?: Offset | undefined }): Promise<Checkpoint> {
    return this.#io('begin an epoch of', source, async () => {
      let expected = (await this.#readAll([source])).get(source);
      for (let tries = 0; tries < mostTries; tries++) {
        const next = beginEpoch(expected, at);
        expected = (await this.#setAll(new Map([[source, { expected, next }]]))).get(source);
        if (expected?.epoch === next.epoch) return expected;
      }
      throw crowded(this.#where, source);
    });
  }

  /**
   * @param effect statements of the same binding, or a function that makes them: they run after the compare-and-set and with
   * it. What D1 rejects them with comes back as it is, after everything was rolled back
   * @throws UnsupportedError where the effect is no list of statements; nothing is stored then
   */
  async transact(source: string, change: Change, effect: D1Effect<Statement>): Promise<ChangeResult> {
    return this.#io('apply a change to', source, async () => {
      const { expected, next } = change;
      for (let tries = 0; tries < mostTries; tries++) {
        // From what is expected nothing leads to `next`: it only remains to be told why.
        const isStep = expected === undefined || compareChange(expected, change, source, this.compare) === 'applied';
        const tried = isStep ? await this.#apply(source, change, effect).catch((error: unknown) => ({ error })) : false;
        if (tried === true) return { outcome: 'applied', stands: next };
        const stands = (await this.#readAll([source])).get(source);
        const outcome = compareChange(stands, change, source, this.compare);
        // An effect that is not to be applied has not failed either.
        if (outcome !== 'applied') return { outcome, stands };
        if (tried) throw tried.error;
      }
      throw crowded(this.#where, source);
    });
  }

  async clearAll(): Promise<void> {
    await this.#io('clear', undefined, () => this.#run([this.#bind(`DELETE FROM ${this.#table}`)]));
  }

  /** The binding stays the caller's. */
  async close(): Promise<void> {}

  /** @returns false where what is stored is not what was expected; nothing was done then */
  async #apply(source: string, change: Change, effect: D1Effect<Statement>): Promise<boolean> {
    const statements = statementsOf(effect, source);
    const check = this.#bind(
      `INSERT INTO ${this.#table} (source, order_key, checkpoint) SELECT ?1, '', '' WHERE changes() = 0`,
      sourceText(source),
    );
    try {
      await this.#run([...this.#set(new Map([[source, change]])), check, ...statements]);
      return true;
    } catch (error) {
      if (messageOf(error).includes(guard)) return false;
      throw statements.length === 0 || isTransient(error) ? error : new EffectFailure(error);
    }
  }

  /** Compares and sets each source by itself. @returns what stands then */
  async #setAll(steps: ReadonlyMap<string, Change>): Promise<Map<string, Checkpoint>> {
    const select = this.#selects(steps.keys());
    return this.#decode(await this.#run([...this.#set(steps), ...select]));
  }

  /** The statements that set each source where exactly what was expected is stored. */
  #set(steps: ReadonlyMap<string, Change>): Statement[] {
    const values = (wanted: boolean): string[][] =>
      [...steps].flatMap(([source, { expected, next }]) => {
        if ((expected !== undefined) !== wanted) return [];
        const row = toRow(source, next);
        return [[row.source, row.order_key, row.checkpoint, ...(expected ? [orderKey(expected)] : [])]];
      });
    const updates = inChunks(values(true)).map((chunk) =>
      this.#bind(
        `UPDATE ${this.#table} AS stored SET order_key = step.value ->> 1, checkpoint = step.value ->> 2
FROM json_each(?1) AS step WHERE stored.source = step.value ->> 0 AND stored.order_key = step.value ->> 3`,
        chunk,
      ),
    );
    const inserts = inChunks(values(false)).map((chunk) => this.#bind(`${this.#insert} DO NOTHING`, chunk));
    return [...updates, ...inserts];
  }

  /** Commits where there is no `compare`: the text of the place decides, in SQL. */
  async #upsert(batch: Batch): Promise<Map<string, Checkpoint>> {
    const rows = Array.from(batch, ([source, checkpoint]) => {
      const row = toRow(source, checkpoint);
      return [row.source, row.order_key, row.checkpoint];
    });
    const upserts = inChunks(rows).map((chunk) =>
      this.#bind(
        `${this.#insert} DO UPDATE SET order_key = excluded.order_key, checkpoint = excluded.checkpoint
WHERE excluded.order_key > stored.order_key AND substr(stored.checkpoint, 1, ${opening.length}) = '${opening}'`,
        chunk,
      ),
    );
    return this.#decode(await this.#run([...upserts, ...this.#selects(batch.keys())]));
  }

  get #insert(): string {
    return `INSERT INTO ${this.#table} AS stored (source, order_key, checkpoint)
SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1) WHERE true ON CONFLICT (source)`;
  }

  async #readAll(sources: Iterable<string>): Promise<Map<string, Checkpoint>> {
    return this.#decode(await this.#run(this.#selects(sources)));
  }

  #selects(sources: Iterable<string>): Statement[] {
    return inChunks(Array.from(sources, sourceText)).map((chunk) =>
      this.#bind(
        `SELECT source, checkpoint FROM ${this.#table} WHERE source IN (SELECT value FROM json_each(?1))`,
        chunk,
      ),
    );
  }

  #decode(rows: readonly Found[]): Map<string, Checkpoint> {
    const found = new Map<string, Checkpoint>();
    for (const row of rows) this.#add(row, found);
    return found;
  }

  #add(row: Found, to: Map<string, Checkpoint>): void {
    const source = sourceOf(row.source, this.#where);
    to.set(source, fromRow(row, source, this.#where));
  }

  #bind(query: string, ...values: string[]): Statement {
    const statement = this.#db.prepare(query);
    // The platform's `bind` answers a statement of its own class.
    return values.length === 0 ? statement : (statement.bind(...values) as Statement);
  }

  /** Runs statements in one transaction. @returns the rows that they select */
  async #run(statements: Statement[]): Promise<readonly Found[]> {
    if (statements.length === 0) return [];
    const outcomes = await this.#db.batch(statements).catch(async (error: unknown) => {
      if (this.#migration === undefined || !messageOf(error).includes(`no such table: ${this.#name}`)) throw error;
      await this.#db.batch([this.#db.prepare(this.#migration)]);
      return this.#db.batch(statements);
    });
    return outcomes.flatMap(({ results }) => results as Found[]);
  }

  async #io<T>(doing: string, source: string | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof EffectFailure) throw cause.error;
      if (cause instanceof OffsetError) throw cause;
      throw storageError(doing, this.#where, cause, isTransient(cause), source);
    }
  }
}

/** A row that a statement selects. */
interface Found {
  readonly source: string;
  readonly checkpoint: string;
}

/** Values as JSON texts that are short enough for a statement each. */
function inChunks(values: readonly unknown[]): string[] {
  const chunks: string[] = [];
  let chunk: string[] = [];
  let length = 0;
  for (const value of values) {
    const text = JSON.stringify(value);
    if (length > 0 && length + text.length > mostCharacters) {
      chunks.push(`[${chunk.join()}]`);
      chunk = [];
      length = 0;
    }
    chunk.push(text);
    length += text.length;
  }
  return chunk.length > 0 ? [...chunks, `[${chunk.join()}]`] : chunks;
}

function statementsOf<Statement extends D1Statement>(
  effect: D1Effect<Statement>,
  source: string,
): readonly Statement[] {
  let found: unknown;
  try {
    found = typeof effect === 'function' ? effect() : effect;
  } catch (error) {
    throw new EffectFailure(error);
  }
  const isStatement = (each: unknown): boolean => typeof (Object(each) as Partial<D1Statement>).bind === 'function';
  if (Array.isArray(found) && found.every(isStatement)) return found;
  // Of an async function nobody else could catch the rejection.
  Promise.resolve(found).catch(() => {});
  throw new UnsupportedError(
    `the effect on ${quote(source)} is no list of D1 statements; nothing was stored: await what it needs first, and give [db.prepare(…).bind(…), …] or a function that returns them and is not async`,
    { source },
  );
}

function messageOf(error: unknown): string {
  return String((Object(error) as Partial<Error>).message);
}

// What "D1: Debug" lists as worth another try.
function isTransient(error: unknown): boolean {
  const lost = /network connection lost|overloaded|object to be reset|because its code was updated|internal error/i;
  return (Object(error) as { readonly retryable?: unknown }).retryable === true || lost.test(messageOf(error));
}
