import type { DBSchema } from 'idb';
import { OffsetError, StorageError, UnsupportedError, quote } from '../../errors.ts';
import { EffectFailure } from './effect.ts';
import { type DatabaseSource, checkpoints, createOffsetStore, hideSlots, missingStores, unwrapped } from './schema.ts';

export interface ConnectionOptions<Schema extends DBSchema | unknown = unknown> {
  /**
   * A database of the application's own, from the platform or from idb, whose upgrade calls `createOffsetStore(db)`. It
   * is never closed here. As a function it is asked for again when the connection was lost. Default: none, the store has
   * a database of its own.
   */
  readonly db?: DatabaseSource<Schema>;
  /** What opens the database, default the global `indexedDB`. No other global of IndexedDB is needed then. */
  readonly indexedDB?: Pick<IDBFactory, 'open'>;
  /** How long opening may take, in ms, before it fails; default 4000. */
  readonly openTimeoutMs?: number;
  /** The same once the database is being created or upgraded, in ms; default 30,000. */
  readonly upgradeTimeoutMs?: number;
}

/** The version of a database of this library's own. The layout of version 1 was another. */
const version = 2;

interface Link {
  readonly db: IDBDatabase;
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
  async run<T>(operation: (db: IDBDatabase) => T | Promise<T>): Promise<T> {
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
        if (error instanceof EffectFailure) throw error.reason;
        this.#checkOpen();
        const lost = isTransient(error);
        const failure = this.#isGone(error)
          ? new StorageError(`IndexedDB ${quote(this.#name)}: the db given is closed: give a function that opens it`, {
              cause: error,
            })
          : asOffsetError(error, this.#name, lost);
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
    const wrong = complaint(raw, name);
    if (wrong) {
      if (!source) raw.close();
      throw new StorageError(wrong);
    }
    const link: Link = { db: raw, users: 0 };
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

  /** A database that was given, and not a way to open it, cannot be opened again. */
  #isGone(error: unknown): boolean {
    const { db } = this.#options;
    return !!db && typeof db !== 'function' && error instanceof DOMException && error.name === 'InvalidStateError';
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
    const request = indexedDB.open(name, version);
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

/** What is wrong with a database that was opened, or given. */
function complaint(raw: IDBDatabase, name: string): string | undefined {
  if (raw.name !== name) return `db is IndexedDB ${quote(raw.name)}, not ${quote(name)}: give that as name`;
  const [missing] = missingStores(raw, [checkpoints, hideSlots]);
  if (missing === undefined) return undefined;
  return `IndexedDB ${quote(name)}: no object store ${missing} in it: call createOffsetStore(db) in its upgrade`;
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
};

function asOffsetError(cause: unknown, name: string, retryable: boolean): OffsetError {
  if (cause instanceof OffsetError) return cause;
  const hint = advice[(Object(cause) as Error).name] ?? String(cause);
  return new StorageError(`IndexedDB ${quote(name)}: ${hint}`, { cause, retryable });
}
