import { type DBSchema, type IDBPDatabase, unwrap, wrap } from 'idb';
import type { Checkpoint } from '../checkpoint.ts';
import { OffsetError, StorageError, UnsupportedError, quote } from '../errors.ts';

/** The object store that checkpoints live in. */
export const storeName = 'tidemark-offsets';

export interface Schema extends DBSchema {
  [storeName]: { key: [source: string, slot: string]; value: Checkpoint & { source: string; slot: string } };
}

export type Database = IDBPDatabase<Schema>;

/** A database as the platform or as idb has it, whatever its schema. */
export type AnyDatabase = Omit<
  IDBDatabase,
  'createObjectStore' | 'deleteObjectStore' | 'transaction' | 'objectStoreNames'
>;

/** A database of the application's own, or how to get it. */
export type DatabaseSource = AnyDatabase | Promise<AnyDatabase> | (() => AnyDatabase | Promise<AnyDatabase>);

export interface ConnectionOptions {
  readonly name: string;
  readonly db: DatabaseSource | undefined;
  readonly indexedDB: Pick<IDBFactory, 'open'> | undefined;
  readonly openTimeoutMs: number;
  readonly upgradeTimeoutMs: number;
}

/** Creates the object store of checkpoints; call it in the upgrade of a database that is given as `db`. */
export function createOffsetStore(db: AnyDatabase): void {
  const raw = unwrapped(db);
  if (!raw.objectStoreNames.contains(storeName)) raw.createObjectStore(storeName, { keyPath: ['source', 'slot'] });
}

/** A connection that opens itself when it is needed, and anew when it was lost. */
export class Connection {
  /** The database while it is open, for a write that cannot wait. */
  current: Database | undefined;
  closed = false;
  readonly #options: ConnectionOptions;
  readonly #onHealth: (error?: Error) => void;
  #opening: Promise<Database> | undefined;

  /** @param onHealth hears of every failure, and without an error of every success */
  constructor(options: ConnectionOptions, onHealth: (error?: Error) => void) {
    this.#options = options;
    this.#onHealth = onHealth;
  }

  /**
   * Runs an operation that may be repeated: once more where the connection was lost under it; three times in all where
   * it cannot be opened.
   */
  async run<T>(operation: (db: Database) => T | Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      let db: Database | undefined;
      try {
        db = await this.#open();
        const result = await operation(db);
        this.#onHealth();
        return result;
      } catch (error) {
        if (this.closed) throw closedError(this.#options.name);
        const lost = isTransient(error);
        const failure = asOffsetError(error, this.#options.name, lost && db !== undefined);
        if (failure.source === undefined) this.#onHealth(failure);
        if (lost) this.#drop(db);
        if (!lost || attempt >= (db ? 2 : 3)) throw failure;
      }
      if (!db) await new Promise((resolve) => setTimeout(resolve, attempt * 50));
    }
  }

  close(): void {
    this.closed = true;
    this.#drop(this.current);
  }

  #open(): Promise<Database> {
    if (this.closed) throw closedError(this.#options.name);
    if (this.#opening) return this.#opening;
    const opening = this.#connect();
    this.#opening = opening;
    opening.catch(() => {
      if (this.#opening === opening) this.#opening = undefined;
    });
    return opening;
  }

  async #connect(): Promise<Database> {
    const { name, db } = this.#options;
    const given = db && unwrapped(await (typeof db === 'function' ? db() : db));
    const raw = given ?? (await openDatabase(this.#options));
    if (raw.name !== name) {
      throw new StorageError(`the database given as db is ${quote(raw.name)}, not ${quote(name)}: give that as name`);
    }
    const opened = wrap(raw) as unknown as Database; // What is stored is checked as it is read.
    if (this.closed) {
      if (!given) raw.close();
      throw closedError(name);
    }
    // Another tab may wait for this one to let go, to upgrade or delete the database.
    if (!given) raw.onversionchange = () => this.#drop(opened);
    raw.addEventListener('close', () => {
      if (this.current !== opened) return;
      this.#onHealth(asOffsetError(new Error('the browser closed the connection'), name, true));
      this.#drop(opened);
      // Open again at once: a page that goes away can only write to an open database.
      this.run(() => {}).catch(() => {});
    });
    this.current = opened;
    return opened;
  }

  #drop(db: Database | undefined): void {
    if (!db || this.current !== db) return;
    this.current = this.#opening = undefined;
    if (!this.#options.db) db.close();
  }
}

function openDatabase({ name, indexedDB = globalThis.indexedDB, ...limits }: ConnectionOptions): Promise<IDBDatabase> {
  if (!indexedDB) throw new UnsupportedError('there is no IndexedDB here: use another store');
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    let hint = 'the browser does not answer: try again, or restart it';
    const limit = (ms: number) =>
      setTimeout(() => {
        // Whoever waited is gone. A connection that nobody knows of would block other tabs for ever.
        request.onsuccess = () => request.result.close();
        reject(new StorageError(`opening IndexedDB ${quote(name)} took over ${ms} ms: ${hint}`, { retryable: true }));
      }, ms);
    let timer = limit(limits.openTimeoutMs);
    request.onblocked = () => {
      hint = 'blocked by another tab that holds an older version open: close or reload it';
    };
    request.onupgradeneeded = () => {
      clearTimeout(timer);
      hint = 'still upgrading';
      createOffsetStore(request.result);
      timer = limit(limits.upgradeTimeoutMs);
    };
    request.onsuccess = () => {
      clearTimeout(timer);
      resolve(request.result);
    };
    request.onerror = () => {
      clearTimeout(timer);
      reject(request.error);
    };
  });
}

/** Whether a fresh connection may well succeed where this one failed. WebKit's lost server has no name of its own. */
function isTransient(error: unknown): boolean {
  return (
    !(error instanceof OffsetError) &&
    /^(InvalidState|Abort|Unknown|Timeout)Error|^(?!Quota).*(connection.*lost|backing store)/i.test(String(error))
  );
}

const advice: Readonly<Record<string, string>> = {
  QuotaExceededError: 'no room left: free storage of this site, or ask for more with navigator.storage.persist()',
  SecurityError: 'storage is forbidden here by the browser or its user: use another store',
  VersionError: 'stored in a newer version: reload for the newer page, or give your own database as db',
  NotFoundError: `no object store ${storeName} in it: call createOffsetStore(db) in its upgrade, or choose another name`,
};

function asOffsetError(cause: unknown, name: string, retryable: boolean): OffsetError {
  if (cause instanceof OffsetError) return cause;
  const { name: kind, message } = cause as Error; // IndexedDB throws nothing else.
  return new StorageError(`IndexedDB ${quote(name)}: ${advice[kind] ?? `${kind}: ${message}`}`, { cause, retryable });
}

function closedError(name: string): OffsetError {
  return new OffsetError('closed', `the store of IndexedDB ${quote(name)} is closed: make a new one`);
}

function unwrapped(db: AnyDatabase): IDBDatabase {
  return unwrap(db as IDBPDatabase) ?? (db as IDBDatabase); // A raw one has nothing to unwrap.
}
