import { type DBSchema, type IDBPDatabase, unwrap, wrap } from 'idb';
import type { Checkpoint } from '../../checkpoint.ts';
import { OffsetError, StorageError, UnsupportedError, quote } from '../../errors.ts';

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
  /**
   * A database of the application's own, from the platform or from idb, whose upgrade calls `createOffsetStore(db)`. It
   * is never closed here. As a function it is asked for again when the connection was lost.
   */
  readonly db?: DatabaseSource;
  /** What opens the database, default the global `indexedDB`. */
  readonly indexedDB?: Pick<IDBFactory, 'open'>;
  /** How long opening may take, in ms, before it fails; default 4000. */
  readonly openTimeoutMs?: number;
  /** The same once the database is being created or upgraded, in ms; default 30000. */
  readonly upgradeTimeoutMs?: number;
}

/** Creates the object store of checkpoints; call it in the upgrade of a database that is given as `db`. */
export function createOffsetStore(db: AnyDatabase): void {
  const raw = unwrapped(db);
  if (!raw.objectStoreNames.contains(storeName)) raw.createObjectStore(storeName, { keyPath: ['source', 'slot'] });
}

interface Link {
  readonly db: Database;
  /** How many operations are under way. */
  users: number;
}

/** A connection that opens itself when it is needed, and anew when it was lost. */
export class Connection {
  /** The database while it is open, for a write that cannot wait. */
  current: Link | undefined;
  closed = false;
  readonly #name: string;
  readonly #options: ConnectionOptions;
  readonly #onHealth: (error?: Error) => void;
  #opening: Promise<Link> | undefined;

  /** @param onHealth hears of every failure, and without an error of every success */
  constructor(name: string, options: ConnectionOptions, onHealth: (error?: Error) => void) {
    this.#name = name;
    this.#options = options;
    this.#onHealth = onHealth;
  }

  /**
   * Runs an operation that may be repeated: once more where the connection was lost under it; three times in all where
   * it cannot be opened.
   */
  async run<T>(operation: (db: Database) => T | Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      let link: Link | undefined;
      try {
        this.#checkOpen();
        link = await this.#open();
        link.users++;
        this.#checkOpen();
        const result = await operation(link.db);
        this.#onHealth();
        return result;
      } catch (error) {
        this.#checkOpen();
        const lost = isTransient(error);
        const failure = asOffsetError(error, this.#name, lost && link !== undefined);
        if (failure.source === undefined) this.#onHealth(failure);
        if (lost && link) this.#forget(link);
        if (!lost || attempt >= (link ? 2 : 3)) throw failure;
      } finally {
        if (link) {
          link.users--;
          this.#closeIdle(link);
        }
      }
      if (!link) await new Promise((resolve) => setTimeout(resolve, attempt * 50));
    }
  }

  close(): void {
    this.closed = true;
    if (this.current) this.#closeIdle(this.current);
  }

  #checkOpen(): void {
    if (this.closed) throw new OffsetError('closed', `IndexedDB ${quote(this.#name)} is closed: make a new store`);
  }

  #open(): Promise<Link> {
    return (this.#opening ??= this.#connect().catch((error) => {
      this.#forget(undefined);
      throw error;
    }));
  }

  async #connect(): Promise<Link> {
    const name = this.#name;
    const source = this.#options.db;
    const raw = source
      ? unwrapped(await (typeof source === 'function' ? source() : source))
      : await openDatabase(name, this.#options);
    if (raw.name !== name) {
      throw new StorageError(`db is IndexedDB ${quote(raw.name)}, not ${quote(name)}: give that as name`);
    }
    // What is stored is checked as it is read, whatever this says.
    const link: Link = { db: wrap(raw) as unknown as Database, users: 0 };
    if (!source) {
      // Another tab waits for this one to let go, to upgrade or delete the database.
      raw.onversionchange = () => {
        this.#forget(link);
        raw.close();
      };
    }
    raw.addEventListener('close', () => {
      if (!this.#forget(link)) return;
      this.#onHealth(new StorageError(`IndexedDB ${quote(name)}: the browser closed it`, { retryable: true }));
      // A page that goes away can only write to an open database.
      this.run(() => {}).catch(() => {});
    });
    this.current = link;
    return link;
  }

  /** @param link what was lost; undefined: what was being opened. @returns whether it was in use */
  #forget(link: Link | undefined): boolean {
    if (link !== this.current) return false;
    this.current = this.#opening = undefined;
    return true;
  }

  // WebKit forgets to tell the other transactions of a connection that is closed while one aborts: they would hang.
  #closeIdle(link: Link): void {
    if ((this.closed || link !== this.current) && link.users === 0 && !this.#options.db) link.db.close();
  }
}

function openDatabase(
  name: string,
  { indexedDB = globalThis.indexedDB, openTimeoutMs = 4000, upgradeTimeoutMs = 30_000 }: ConnectionOptions,
): Promise<IDBDatabase> {
  if (!indexedDB) throw new UnsupportedError('no IndexedDB here: use another store');
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    let hint = 'the browser does not answer';
    const limit = (ms: number) =>
      setTimeout(() => {
        // Whoever waited is gone. A connection that nobody knows of would block other tabs for ever.
        request.onsuccess = () => request.result.close();
        reject(new StorageError(`IndexedDB ${quote(name)}: opening took over ${ms} ms: ${hint}`, { retryable: true }));
      }, ms);
    let timer = limit(openTimeoutMs);
    request.onblocked = () => {
      hint = 'blocked by another tab: close it';
    };
    request.onupgradeneeded = () => {
      clearTimeout(timer);
      hint = 'still upgrading';
      createOffsetStore(request.result);
      timer = limit(upgradeTimeoutMs);
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
    /^(InvalidState|Abort|Unknown|Timeout)Error|connection.*lost/i.test(String(error))
  );
}

const advice: Readonly<Record<string, string>> = {
  QuotaExceededError: 'no room left: free storage',
  SecurityError: 'forbidden here: use another store',
  VersionError: 'a newer version is stored: reload, or give your own db',
  NotFoundError: 'no object store in it: call createOffsetStore(db) in its upgrade, or use another name',
};

function asOffsetError(cause: unknown, name: string, retryable: boolean): OffsetError {
  if (cause instanceof OffsetError) return cause;
  const hint = advice[(cause as Error).name] ?? String(cause); // IndexedDB throws nothing but errors.
  return new StorageError(`IndexedDB ${quote(name)}: ${hint}`, { cause, retryable });
}

function unwrapped(db: AnyDatabase): IDBDatabase {
  return unwrap(db as IDBPDatabase) ?? (db as IDBDatabase); // A raw one has nothing to unwrap.
}
