import type { IDBPObjectStore, StoreValue } from 'idb';
import { type Checkpoint, asCheckpoint, join } from '../../checkpoint.ts';
import type { Batch, OffsetStore, StoreChange, StoreOptions } from '../../store.ts';
import { type HideSlot, fillHideSlots, findHideSlots, hideSlotKeys } from './hide-slots.ts';
import {
  type AnyDatabase,
  Connection,
  type ConnectionOptions,
  type Database,
  type DatabaseSource,
  type Schema,
  storeName,
} from './connection.ts';
import { TabChannel } from '../../tabs/channel.ts';

export { createOffsetStore } from './connection.ts';

/** Options of an {@link IndexedDBOffsetStore}. */
export interface IndexedDBOffsetStoreOptions extends StoreOptions, ConnectionOptions {
  /** The database's name, default 'tidemark'. With `db` as a promise or a function it must say what that is named. */
  readonly name?: string;
  /** 'relaxed', the default: a commit is with the operating system; 'strict': it survives a power cut, more slowly. */
  readonly durability?: 'relaxed' | 'strict';
}

/**
 * Keeps checkpoints in IndexedDB: they survive a reload, a crash of the tab and of the browser, and are exact between
 * tabs. A lost connection is opened again. What cannot be done rejects with a StorageError, what cannot be read with a
 * SerializationError, and after `close` everything with an OffsetError of code 'closed'.
 */
export class IndexedDBOffsetStore implements OffsetStore {
  readonly capabilities = {
    durability: 'durable',
    transactional: false,
    consistency: 'strong',
    shared: 'tabs',
  } as const;
  readonly id: string;
  readonly compare: StoreOptions['compare'];
  readonly #durability: IDBTransactionDurability;
  readonly #connection: Connection;
  readonly #channel: TabChannel;
  readonly #underWay = new Set<{ abort(): void }>();
  /** Once the page is away: when it is back. WebKit keeps the transactions of such a page, and all other tabs wait. */
  #back: Promise<void> | undefined;
  #return: () => void = () => {};

  constructor(options: IndexedDBOffsetStoreOptions = {}) {
    const { db, name = isDatabase(db) ? db.name : 'tidemark' } = options;
    this.id = `indexeddb:${name}`;
    this.compare = options.compare;
    this.#durability = options.durability ?? 'relaxed';
    this.#channel = new TabChannel(this.id, (batch) => this.commit(batch));
    this.#connection = new Connection(name, options, (error) => this.#channel.health(error));
  }

  /** How many messages from other tabs were ignored because they are not of this library's format. */
  get malformedMessages(): number {
    return this.#channel.malformedMessages;
  }

  async get(source: string): Promise<Checkpoint | undefined> {
    return (await this.#read(source)).get(source);
  }

  getAll(): Promise<Map<string, Checkpoint>> {
    return this.#read();
  }

  async commit(batch: Batch): Promise<Map<string, Checkpoint>> {
    const stands = new Map<string, Checkpoint>();
    let moved = false;
    await this.#transact('readwrite', (store) =>
      [...batch].map(async ([source, incoming]) => {
        const range = rangeOf(source);
        const records = await store.getAll(range);
        const stored = this.#join(records).get(source);
        const next = join(stored, incoming, source, this.compare);
        stands.set(source, next);
        moved ||= next !== stored;
        const hasSlots = records.some(({ slot }) => slot);
        if (hasSlots) await store.delete(range);
        if (hasSlots || next !== stored) await store.put({ ...next, source, slot: '' });
      }),
    );
    if (moved) this.#channel.post({ type: 'commit', batch: stands });
    return stands;
  }

  async clearAll(): Promise<void> {
    await this.#transact('readwrite', (store) => [store.clear()]);
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
    this.#makeWay();
    // A page that goes away gets no answers, so nothing is read: each call fills a slot of its own, and reads join them.
    if (db) this.#putSlots(db, batch);
    else this.#connection.run((opened) => this.#putSlots(opened, batch)).catch(() => {});
    // Last: in Firefox a page that is closed may get no further than this.
    fillHideSlots(this.id, batch);
  }

  suspend(): void {
    this.#channel.suspend();
    this.#back ??= new Promise((resolve) => (this.#return = resolve));
    this.#makeWay();
  }

  wake(): void {
    this.#channel.wake();
    this.#back = undefined;
    this.#return();
  }

  subscribe(listener: (change: StoreChange) => void): () => void {
    const unsubscribe = this.#channel.subscribe(listener);
    // `commitOnHide` has to find it open.
    this.#connection.run(() => {}).catch(() => {});
    return unsubscribe;
  }

  /** @param source undefined: all */
  async #read(source?: string): Promise<Map<string, Checkpoint>> {
    const left = findHideSlots(this.id, source);
    // Where it cannot be written, for want of room say, it can still be read.
    if (left.length > 0) await this.#fold(left).catch(() => {});
    let records: readonly StoredRecord[] = [];
    const range = source === undefined ? undefined : rangeOf(source);
    await this.#transact('readonly', (store) => [store.getAll(range).then((found) => (records = found))]);
    return this.#join([...records, ...left]);
  }

  async #fold(left: readonly HideSlot[]): Promise<void> {
    await this.commit(this.#join(left));
    for (const { slot } of left) localStorage.removeItem(slot);
  }

  #join(records: readonly StoredRecord[]): Map<string, Checkpoint> {
    const joined = new Map<string, Checkpoint>();
    for (const { source, slot: _slot, ...rest } of records) {
      const found = asCheckpoint(rest, source, this.id);
      joined.set(source, join(joined.get(source), found, source, this.compare));
    }
    return joined;
  }

  /** Runs a transaction, repeated where its connection was lost: each is a join, or removes everything. */
  #transact<M extends 'readonly' | 'readwrite'>(mode: M, work: (store: Store<M>) => Promise<unknown>[]): Promise<void> {
    return this.#connection.run(async (db) => {
      do await this.#back;
      while (!(await this.#attempt(db, mode, work)));
    });
  }

  /** @returns false where it made way and has to be repeated */
  async #attempt<M extends 'readonly' | 'readwrite'>(
    db: Database,
    mode: M,
    work: (store: Store<M>) => Promise<unknown>[],
  ): Promise<boolean> {
    const tx = db.transaction(storeName, mode, { durability: this.#durability });
    tx.done.catch(() => {}); // What fails first is told below, and this only repeats it.
    this.#underWay.add(tx);
    try {
      await Promise.all(work(tx.store));
      // Without this a tab that freezes now would hold up all others.
      tx.commit();
      await tx.done;
      return true;
    } catch (error) {
      if (!this.#underWay.has(tx)) return false;
      const cause = tx.error ?? error; // The requests of an aborted transaction know only that it was.
      abort(tx);
      throw cause;
    } finally {
      this.#underWay.delete(tx);
    }
  }

  /** A write that queues behind a transaction which still needs answers is lost with it when the page goes away. */
  #makeWay(): void {
    const underWay = [...this.#underWay];
    this.#underWay.clear();
    for (const tx of underWay) abort(tx);
  }

  #putSlots(db: Database, batch: Batch): void {
    try {
      const tx = db.transaction(storeName, 'readwrite', { durability: this.#durability });
      const slot = crypto.getRandomValues(new Uint32Array(4)).join('-');
      tx.done.catch(() => {});
      for (const [source, checkpoint] of batch) tx.store.put({ ...checkpoint, source, slot }).catch(() => {});
      tx.commit();
    } catch {
      // The connection is gone, and the page is about to be.
    }
  }
}

type StoredRecord = StoreValue<Schema, typeof storeName>;
type Store<M extends IDBTransactionMode> = IDBPObjectStore<Schema, [typeof storeName], typeof storeName, M>;

function abort(tx: { abort(): void }): void {
  try {
    tx.abort();
  } catch {
    // It has ended by itself, or is about to.
  }
}

/** All records of a source: its own, whose slot is '', and what closing tabs saved. An array is above any string. */
function rangeOf(source: string): IDBKeyRange {
  return IDBKeyRange.bound([source], [source, []]);
}

function isDatabase(db: DatabaseSource | undefined): db is AnyDatabase {
  return !!db && 'objectStoreNames' in db;
}
