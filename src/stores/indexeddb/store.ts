import { type DBSchema, type IDBPTransaction, type StoreNames, wrap } from 'idb';
import { type Change, type Checkpoint, asCheckpoint, beginEpoch, compareChange, join } from '../../checkpoint.ts';
import { UnsupportedError, quote } from '../../errors.ts';
import type { Offset } from '../../offset.ts';
import type {
  Batch,
  ChangeResult,
  EffectTypes,
  OffsetStore,
  StoreCapabilities,
  StoreChange,
  StoreOptions,
} from '../../store.ts';
import { TabChannel } from '../../tabs/channel.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { runEffect } from './effect.ts';
import { type HideSlot, fillHideSlots, findHideSlots, hideSlotKeys } from './hide-slots.ts';
import { Records, answer, fillSlots } from './records.ts';
import { type AnyDatabase, type DatabaseSource, checkpoints, hideSlots } from './schema.ts';
import { Transactions } from './transactions.ts';

export { createOffsetStore } from './schema.ts';

/** The types of effects: the names of the object stores of a scope tell which of them `tx` has. */
export interface IndexedDBEffectTypes<Schema extends DBSchema | unknown = unknown> extends EffectTypes {
  readonly scopes: readonly StoreNames<Schema>[];
  readonly tx: this['scope'] extends readonly (infer Name)[]
    ? IDBPTransaction<Schema, Extract<Name, StoreNames<Schema>>[], 'readwrite'>
    : never;
}

/** Options of an {@link IndexedDBOffsetStore}. */
export interface IndexedDBOffsetStoreOptions<Schema extends DBSchema | unknown = unknown>
  extends StoreOptions, ConnectionOptions<Schema> {
  /** The database's name, default 'tidemark'. With `db` as a promise or a function it must say what that is named. */
  readonly name?: string;
  /**
   * 'relaxed': a commit is with the operating system; 'strict': it survives a power cut, more slowly. Default 'relaxed'.
   */
  readonly durability?: 'relaxed' | 'strict';
}

/**
 * How many sources one transaction commits. Browsers take ever longer for a request the more of them are open, and other
 * tabs wait for the whole transaction.
 */
const chunkSize = 1000;

/**
 * Keeps checkpoints in IndexedDB: they survive a reload, a crash of the tab and of the browser, and are exact between
 * tabs. A lost connection is opened again. What cannot be done rejects with a StorageError, what cannot be read with a
 * SerializationError, where there is no IndexedDB with an UnsupportedError, and after `close` everything with an
 * OffsetError of code 'closed'.
 * @example
 * const tracker = new OffsetTracker(new IndexedDBOffsetStore());
 * @example
 * // In the application's own database, typed by idb's DBSchema: offsets and effects in one transaction.
 * const store = new IndexedDBOffsetStore<MySchema>({ db });
 */
export class IndexedDBOffsetStore<Schema extends DBSchema | unknown = unknown> implements OffsetStore {
  readonly capabilities: StoreCapabilities & { readonly durability: 'durable'; readonly shared: 'tabs' };
  readonly id: string;
  readonly compare: StoreOptions['compare'];
  /** Never set: what `reading.transact` and `resume` are typed by. */
  declare readonly effectTypes?: IndexedDBEffectTypes<Schema>;
  readonly #durability: IDBTransactionDurability;
  readonly #connection: Connection;
  readonly #transactions: Transactions;
  readonly #channel: TabChannel;

  constructor(options: IndexedDBOffsetStoreOptions<Schema> = {}) {
    const { db, name = isDatabase(db) ? db.name : 'tidemark' } = options;
    this.capabilities = {
      durability: 'durable',
      transactional: db !== undefined,
      consistency: 'strong',
      shared: 'tabs',
    };
    this.id = `indexeddb:${name}`;
    this.compare = options.compare;
    this.#durability = options.durability ?? 'relaxed';
    this.#channel = new TabChannel(this.id, (batch) => this.commit(batch));
    this.#connection = new Connection(name, options, (error) => this.#channel.health(error));
    this.#transactions = new Transactions(this.#connection, this.#durability);
  }

  /** How many messages from other tabs were ignored because they are not of this library's format. */
  get malformedMessages(): number {
    return this.#channel.malformedMessages;
  }

  async get(source: string): Promise<Checkpoint | undefined> {
    const left = findHideSlots(this.id, source);
    const { checkpoint, slots } = await this.#run('readonly', (records) => records.find(source));
    const joined = this.#joinLeft(new Map(checkpoint && [[source, checkpoint]]), left);
    if (slots.length > 0 || left.length > 0) await this.#fold(joined, left);
    return joined.get(source);
  }

  async getAll(): Promise<Map<string, Checkpoint>> {
    const left = findHideSlots(this.id);
    const { all, slotted } = await this.#run('readonly', (records) => records.findAll());
    const joined = this.#joinLeft(all, left);
    const sources = new Set([...slotted, ...left.map(({ source }) => source)]);
    if (sources.size > 0) await this.#fold(new Map([...joined].filter(([source]) => sources.has(source))), left);
    return joined;
  }

  /** A batch of more than 1,000 sources is committed in several transactions, one after another. */
  async commit(batch: Batch): Promise<Map<string, Checkpoint>> {
    const stands = new Map<string, Checkpoint>();
    const entries = [...batch];
    let from = 0;
    do {
      const chunk = entries.slice(from, (from += chunkSize));
      for (const [source, checkpoint] of await this.#commitChunk(chunk)) stands.set(source, checkpoint);
    } while (from < entries.length);
    return stands;
  }

  async begin(source: string, at?: { readonly offset?: Offset | undefined }): Promise<Checkpoint> {
    const left = findHideSlots(this.id, source);
    const begun = await this.#run('readwrite', async (records) => {
      const found = await records.find(source);
      const stands = this.#joinLeft(new Map(found.checkpoint && [[source, found.checkpoint]]), left).get(source);
      const next = beginEpoch(stands, at);
      records.replace(source, found, next);
      return next;
    });
    forget(left);
    this.#channel.post({ type: 'commit', batch: new Map([[source, begun]]) });
    return begun;
  }

  /**
   * Runs an effect and moves the source in one transaction of the application's own database, which `db` gives. The
   * effect runs only where the outcome is 'applied'. It may await requests of `tx`, and nothing else; each of them it
   * should await or return. What it throws undoes everything, and is what this rejects with.
   *
   * Where the transaction is rolled back through no fault of the effect, because the connection was lost or the page went
   * into the back/forward cache, the effect runs again from its start; only one run counts. Where the connection is lost
   * in the very moment of the commit, nobody knows at first whether it counts. So each call leaves a mark beside the
   * checkpoint: found again, it was applied; not found and nothing moved, it was not, and is run again. Where others have
   * moved the source on meanwhile the answer is 'duplicate': the event is applied, by this call or by them. A StorageError
   * may leave it open; the same call again is safe.
   * @param scope the names of the object stores that the effect uses
   * @throws UnsupportedError without `db`, and where the effect awaits something else; StorageError where the database
   * cannot be written
   * @example
   * const result = await store.transact('notes', { expected, next }, ['notes'], (tx) => tx.objectStore('notes').put(note));
   */
  async transact<Name extends StoreNames<Schema>>(
    source: string,
    change: Change,
    scope: readonly Name[],
    effect: (tx: IDBPTransaction<Schema, Name[], 'readwrite'>) => unknown,
  ): Promise<ChangeResult> {
    if (!this.capabilities.transactional) {
      throw new UnsupportedError(
        `${quote(source)}: effects need a database of your own: give it as db, with createOffsetStore(db) in its upgrade`,
        { source },
      );
    }
    if (!('IDBRequest' in globalThis)) {
      throw new UnsupportedError(`${quote(source)}: effects need the globals of IndexedDB, for idb: set them`, {
        source,
      });
    }
    const next = asCheckpoint(change.next, source, this.id);
    const mark = crypto.getRandomValues(new Uint32Array(4)).join('-');
    const result = await this.#transactions.run('readwrite', [checkpoints, hideSlots, ...scope], async (tx) => {
      const records = new Records(tx, this.id, this.compare);
      const found = await records.find(source);
      if (found.mark === mark) return { outcome: 'applied', stands: next } as const;
      const outcome = compareChange(found.checkpoint, { ...change, next }, source, this.compare);
      if (outcome !== 'applied') return { outcome, stands: found.checkpoint };
      const wrapped = wrap(tx) as unknown as IDBPTransaction<Schema, Name[], 'readwrite'>;
      wrapped.done.catch(() => {}); // What fails is told by this call, to which it need not be news.
      await runEffect(
        tx,
        source,
        () => effect(wrapped),
        () => answer(records.replace(source, found, next, mark)),
      );
      return { outcome, stands: next };
    });
    if (result.outcome === 'applied') this.#channel.post({ type: 'commit', batch: new Map([[source, next]]) });
    return result;
  }

  async clearAll(): Promise<void> {
    await this.#run('readwrite', async (records) => records.clear());
    for (const key of hideSlotKeys(this.id)) localStorage.removeItem(key);
    this.#channel.post({ type: 'clearAll' });
  }

  async close(): Promise<void> {
    this.#channel.close();
    this.#connection.close();
  }

  commitOnHide(batch: Batch): void {
    if (this.#connection.closed) return;
    this.#channel.post({ type: 'leaving', batch });
    const db = this.#connection.current?.db;
    this.#transactions.makeWay();
    const options = { durability: this.#durability };
    if (db) fillSlots(db, batch, options);
    else this.#connection.run((opened) => fillSlots(opened, batch, options)).catch(() => {});
    // Last: in Firefox a page that is closed may get no further than this.
    fillHideSlots(this.id, batch);
  }

  /** Gives way to other tabs, so that the page can enter the back/forward cache. `wake` ends it. */
  suspend(): void {
    this.#channel.suspend();
    this.#transactions.suspend();
  }

  wake(): void {
    this.#channel.wake();
    this.#transactions.wake();
  }

  subscribe(listener: (change: StoreChange) => void): () => void {
    const unsubscribe = this.#channel.subscribe(listener);
    // `commitOnHide` has to find it open.
    this.#connection.run(() => {}).catch(() => {});
    return unsubscribe;
  }

  async #commitChunk(chunk: readonly (readonly [string, Checkpoint])[]): Promise<Map<string, Checkpoint>> {
    let moved = false;
    const stands = await this.#run('readwrite', async (records) => {
      moved = false;
      const committed = chunk.map(async ([source, incoming]) => {
        const found = await records.find(source);
        const next = join(found.checkpoint, incoming, source, this.compare);
        if (next === found.checkpoint && found.slots.length === 0) return [source, next] as const;
        moved ||= next !== found.checkpoint || !found.settled;
        records.replace(source, found, next);
        return [source, asCheckpoint(next, source, this.id)] as const;
      });
      return new Map(await Promise.all(committed));
    });
    if (moved) this.#channel.post({ type: 'commit', batch: stands });
    return stands;
  }

  /** Moves what pages left as they went away to where it is found at once. */
  async #fold(stands: Batch, left: readonly HideSlot[]): Promise<void> {
    try {
      await this.commit(stands);
      forget(left);
    } catch {
      // Where it cannot be written, for want of room say, it can still be read.
    }
  }

  /** Joins what pages left in localStorage into what the database holds. */
  #joinLeft(stands: Map<string, Checkpoint>, left: readonly HideSlot[]): Map<string, Checkpoint> {
    for (const { source, slot: _slot, ...rest } of left) {
      const found = asCheckpoint(rest, source, this.id);
      stands.set(source, join(stands.get(source), found, source, this.compare));
    }
    return stands;
  }

  #run<T>(mode: 'readonly' | 'readwrite', work: (records: Records) => Promise<T>): Promise<T> {
    return this.#transactions.run(mode, [checkpoints, hideSlots], (tx) => work(new Records(tx, this.id, this.compare)));
  }
}

function forget(left: readonly HideSlot[]): void {
  for (const { slot } of left) localStorage.removeItem(slot);
}

function isDatabase(db: DatabaseSource | undefined): db is AnyDatabase {
  return !!db && 'objectStoreNames' in db;
}
