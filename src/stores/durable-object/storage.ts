import { type Change, type Checkpoint, beginEpoch, compareChange, join } from '../../checkpoint.ts';
import { OffsetError, UnsupportedError, quote } from '../../errors.ts';
import type { Offset } from '../../offset.ts';
import type { Batch, ChangeResult, OffsetStore, StoreOptions } from '../../store.ts';
import { EffectFailure, fromRow, quotedTable, sourceOf, sourceText, storageError, toRow } from '../sql-text.ts';

/** What the store needs of an object's SQLite. Cloudflare's `SqlStorage` has this shape. */
export interface DurableObjectSql {
  exec(query: string, ...bindings: string[]): Iterable<Record<string, unknown>>;
}

/** What the store needs of an object's storage, `ctx.storage`. Cloudflare's `DurableObjectStorage` has this shape. */
export interface DurableObjectStorage<Sql extends DurableObjectSql = DurableObjectSql> {
  readonly sql: Sql;
  transactionSync<T>(work: () => T): T;
}

/** Options of a {@link DurableObjectOffsetStore}. */
export interface DurableObjectOffsetStoreOptions extends StoreOptions {
  /** The table that holds the checkpoints; it is made where it is missing. Default 'tidemark_offsets'. */
  readonly table?: string;
}

/**
 * Keeps checkpoints in the SQLite of a Durable Object, beside its data: `transact` stores an effect and its offset in one
 * transaction. Make it in the object's constructor; the class needs SQLite (`new_sqlite_classes` in its migration).
 *
 * All is read and written synchronously, and no call awaits I/O. So the object's own implicit transaction covers an effect
 * of yours and a `record` after it, as long as you await no I/O between the two: a crash or `ctx.abort()` undoes both or
 * neither. An await of I/O between them ends that; `transact` needs no such care. A promise that is resolved says
 * 'committed' a moment before the disk does, and the platform's output gate keeps that from everybody else: nothing leaves
 * the object until what was written before is confirmed.
 *
 * Calls reject with a StorageError naming the source, or with a SerializationError where a row holds no checkpoint, which
 * is left as it is.
 *
 * @example
 * export class Orders extends DurableObject {
 *   tracker = new OffsetTracker(new DurableObjectOffsetStore(this.ctx.storage));
 * }
 */
export class DurableObjectOffsetStore<Sql extends DurableObjectSql = DurableObjectSql> implements OffsetStore {
  readonly capabilities = {
    durability: 'durable',
    transactional: true,
    consistency: 'strong',
    // There is one such object in the world, and whoever asks it sees this.
    shared: 'global',
  } as const;
  readonly compare: StoreOptions['compare'];
  readonly #storage: DurableObjectStorage<Sql>;
  readonly #table: string;
  readonly #where: string;

  /**
   * @param storage the object's `ctx.storage`
   * @throws UnsupportedError where it has no SQLite, or the name of the table is none
   */
  constructor(storage: DurableObjectStorage<Sql>, options: DurableObjectOffsetStoreOptions = {}) {
    if (typeof Object(storage).transactionSync !== 'function') {
      throw new UnsupportedError(
        `${quote(storage)} is no storage of a Durable Object with SQLite: give ctx.storage, and list the class under new_sqlite_classes`,
      );
    }
    this.compare = options.compare;
    this.#storage = storage;
    this.#table = quotedTable(options.table ?? 'tidemark_offsets');
    this.#where = `the Durable Object's table ${this.#table}`;
  }

  async get(source: string): Promise<Checkpoint | undefined> {
    return this.#atomically('read', source, () => this.#read(source));
  }

  async getAll(): Promise<Map<string, Checkpoint>> {
    return this.#atomically('read', undefined, () => {
      const all = new Map<string, Checkpoint>();
      for (const row of this.#exec(`SELECT source, checkpoint FROM ${this.#table}`)) {
        const source = sourceOf(String(row.source), this.#where);
        all.set(source, fromRow({ checkpoint: String(row.checkpoint) }, source, this.#where));
      }
      return all;
    });
  }

  /** The batch is stored whole, or nothing of it. @throws InvalidOffsetError for what is no checkpoint */
  async commit(batch: Batch): Promise<Map<string, Checkpoint>> {
    const [only] = batch.size === 1 ? batch.keys() : [];
    return this.#atomically(
      'commit',
      only,
      () => new Map(Array.from(batch, ([source, incoming]) => [source, this.#advance(source, incoming)])),
    );
  }

  async begin(source: string, at?: { readonly offset?: Offset | undefined }): Promise<Checkpoint> {
    return this.#atomically('begin an epoch of', source, () => this.#write(source, beginEpoch(this.#read(source), at)));
  }

  /**
   * @param effect is given the object's `sql`, and is done with it when it returns: the transaction is synchronous. What it
   * throws comes back as it is, after everything was rolled back
   * @throws UnsupportedError where the effect is asynchronous; nothing is stored then
   */
  async transact(source: string, change: Change, effect: (sql: Sql) => unknown): Promise<ChangeResult> {
    // Refused before it begins, where that can be told: what an async function does later nobody could take back.
    if (Object.prototype.toString.call(effect) === '[object AsyncFunction]') throw isAsync(source);
    return this.#atomically('apply a change to', source, (): ChangeResult => {
      const stored = this.#read(source);
      const outcome = compareChange(stored, change, source, this.compare);
      if (outcome !== 'applied') return { outcome, stands: stored };
      this.#run(source, effect);
      return { outcome, stands: this.#write(source, change.next) };
    });
  }

  async clearAll(): Promise<void> {
    this.#atomically('clear', undefined, () => this.#exec(`DELETE FROM ${this.#table}`));
  }

  async close(): Promise<void> {}

  #read(source: string): Checkpoint | undefined {
    const [row] = this.#exec(`SELECT checkpoint FROM ${this.#table} WHERE source = ?`, sourceText(source));
    return row && fromRow({ checkpoint: String(row.checkpoint) }, source, this.#where);
  }

  #advance(source: string, incoming: Checkpoint): Checkpoint {
    const row = toRow(source, incoming);
    const stored = this.#read(source);
    const later = join(stored, incoming, source, this.compare);
    return later === stored ? stored : this.#write(source, later, row);
  }

  #write(source: string, checkpoint: Checkpoint, row = toRow(source, checkpoint)): Checkpoint {
    this.#exec(
      `INSERT INTO ${this.#table} (source, checkpoint) VALUES (?, ?) ON CONFLICT (source) DO UPDATE SET checkpoint = excluded.checkpoint`,
      row.source,
      row.checkpoint,
    );
    return checkpoint;
  }

  #run(source: string, effect: (sql: Sql) => unknown): void {
    let result: unknown;
    try {
      result = effect(this.#storage.sql);
    } catch (error) {
      throw new EffectFailure(error);
    }
    const { then } = Object(result) as Partial<PromiseLike<unknown>>;
    if (typeof then !== 'function') return;
    // Nobody else could catch what it still rejects with.
    then.call(
      result,
      () => {},
      () => {},
    );
    throw isAsync(source);
  }

  /** Runs work in a transaction, which is part of the one that the caller has open. */
  #atomically<T>(doing: string, source: string | undefined, work: () => T): T {
    try {
      return this.#storage.transactionSync(() => {
        // Each time, since `storage.deleteAll()` and a transaction of the caller's that is rolled back take the table away.
        this.#exec(
          `CREATE TABLE IF NOT EXISTS ${this.#table} (source TEXT NOT NULL PRIMARY KEY, checkpoint TEXT NOT NULL) WITHOUT ROWID`,
        );
        return work();
      });
    } catch (cause) {
      if (cause instanceof EffectFailure) throw cause.error;
      if (cause instanceof OffsetError) throw cause;
      throw storageError(doing, this.#where, cause, false, source);
    }
  }

  #exec(query: string, ...bindings: string[]): Record<string, unknown>[] {
    return [...this.#storage.sql.exec(query, ...bindings)];
  }
}

function isAsync(source: string): UnsupportedError {
  return new UnsupportedError(
    `the effect on ${quote(source)} is asynchronous, and a transaction of a Durable Object is not; nothing was stored: await what it needs first, and write in a function that is not async`,
    { source },
  );
}
