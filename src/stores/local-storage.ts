import { type Checkpoint, join } from '../checkpoint.ts';
import { decode, encode } from '../codec.ts';
import { OffsetError, SerializationError, StorageError, UnsupportedError, quote } from '../errors.ts';
import type { Batch, OffsetStore, StoreChange, StoreOptions } from '../store.ts';
import { TabChannel } from '../tabs/channel.ts';
import { type Presence, beginLife, findEnded } from '../tabs/presence.ts';

/** What the store needs of a storage. The browser's `Storage` has this shape. */
export interface TextStorage {
  readonly length: number;
  key(index: number): string | null;
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** Options of a {@link LocalStorageOffsetStore}. */
export interface LocalStorageOffsetStoreOptions extends StoreOptions {
  /** Tells stores of one origin apart, default 'tidemark'. */
  readonly name?: string;
  /** Where to keep the text, default the global `localStorage`. */
  readonly storage?: TextStorage;
}

/** How often, in ms, a committing tab looks for what tabs left that are gone. */
const foldEveryMs = 2000;
/** While several tabs write, Firefox may say for a moment that there is no room: how long to wait each time, in ms. */
const roomDelays = [50, 100, 200, 400, 800];

/**
 * Keeps checkpoints in localStorage, for those who cannot use IndexedDB. They survive a reload and a crash of the tab;
 * a killed browser loses the last seconds, because browsers write localStorage to the disk late. Each tab raises keys
 * of its own and a read joins those of all tabs: a key that tabs share would lose updates, even under Web Locks. What
 * tabs left that are gone is folded away where there are Web Locks (https, localhost). Rejects with a StorageError where
 * there is no access or no room, with a SerializationError for what cannot be read, and after `close` with an
 * OffsetError of code 'closed'.
 */
export class LocalStorageOffsetStore implements OffsetStore {
  readonly capabilities = {
    durability: 'lagging',
    transactional: false,
    consistency: 'strong',
    shared: 'tabs',
  } as const;
  readonly id: string;
  readonly compare: StoreOptions['compare'];
  readonly #given: TextStorage | undefined;
  /** Before a life's id and a source. JSON keeps names apart, and is well-formed even for a lone surrogate. */
  readonly #prefix: string;
  readonly #channel: TabChannel;
  #life: Presence | undefined;
  #closed = false;
  #foldAt = 0;
  /** What other tabs told of: their writes may arrive here after the news of them. */
  readonly #heard = new Map<string, Checkpoint>();
  /** What lives that have ended left under each key when it was last looked at. */
  #left = new Map<string, string>();

  constructor({ name = 'tidemark', storage, compare }: LocalStorageOffsetStoreOptions = {}) {
    this.id = `local-storage:${name}`;
    this.compare = compare;
    this.#given = storage;
    this.#prefix = `tidemark/1/${JSON.stringify(name)}/`;
    this.#channel = new TabChannel(this.id, (batch) => this.commit(batch));
  }

  /** How many messages from other tabs were ignored because they are not of this library's format. */
  get malformedMessages(): number {
    return this.#channel.malformedMessages;
  }

  async get(source: string): Promise<Checkpoint | undefined> {
    return this.#try(() => this.#read((found) => found === source).get(source));
  }

  async getAll(): Promise<Map<string, Checkpoint>> {
    return this.#try(() => this.#read());
  }

  async commit(batch: Batch): Promise<Map<string, Checkpoint>> {
    for (const delay of roomDelays) {
      try {
        return await this.#commit(batch, true);
      } catch (error) {
        if (!isQuota(error)) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, delay));
    }
    return this.#commit(batch, false);
  }

  /** @param again no room is no trouble yet: it is tried again */
  async #commit(batch: Batch, again: boolean): Promise<Map<string, Checkpoint>> {
    const id = await this.#live();
    const stands = this.#try(() => {
      const stored = this.#read((source) => source !== undefined && batch.has(source));
      const moved: [string, Checkpoint][] = [];
      for (const [source, incoming] of batch) {
        const before = stored.get(source);
        const next = join(before, incoming, source, this.compare);
        stored.set(source, next);
        if (next !== before) moved.push([source, next]);
      }
      for (const [source, next] of moved) this.#storage.setItem(this.#key(id, source), encode(next));
      if (moved.length > 0) this.#channel.post({ type: 'commit', batch: stored });
      return stored;
    }, again);
    if (Date.now() >= this.#foldAt) void this.#fold(id);
    return stands;
  }

  async clearAll(): Promise<void> {
    this.#try(() => {
      for (const { key } of this.#slots()) this.#storage.removeItem(key);
    });
    this.#heard.clear();
    this.#channel.post({ type: 'clearAll' });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#channel.close();
    this.#endLife();
  }

  commitOnHide(batch: Batch): void {
    if (this.#closed) return;
    // Told first: in Firefox a page that is closed may get no further than its first write.
    this.#channel.post({ type: 'leaving', batch });
    const { id } = (this.#life ??= beginLife(this.#prefix));
    for (const [source, incoming] of batch) {
      try {
        const key = this.#key(id, source);
        const own = this.#decode(key, source);
        const next = join(own, incoming, source, this.compare);
        if (next !== own) this.#storage.setItem(key, encode(next));
      } catch {
        // Nobody is left to be told; the other sources still have a chance.
      }
    }
  }

  suspend(): void {
    this.#channel.suspend();
    this.#heard.clear();
    // A held lock may keep the page out of the back/forward cache. What this life wrote is for others to fold.
    this.#endLife();
  }

  wake(): void {
    this.#channel.wake();
  }

  subscribe(listener: (change: StoreChange) => void): () => void {
    return this.#channel.subscribe((change) => {
      this.#hear(change);
      listener(change);
    });
  }

  get #storage(): TextStorage {
    const storage = this.#given ?? globalThis.localStorage;
    if (!storage) throw new UnsupportedError('there is no localStorage here: use another store');
    return storage;
  }

  /** The id of this tab's life, once other tabs can see that it lives. */
  async #live(): Promise<string> {
    for (;;) {
      this.#assertOpen();
      const life = (this.#life ??= beginLife(this.#prefix));
      await life.held;
      if (life === this.#life) return life.id;
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new OffsetError('closed', `the store ${quote(this.id)} is closed: make a new one`);
  }

  #endLife(): void {
    this.#life?.end();
    this.#life = undefined;
  }

  #key(life: string, source: string): string {
    return `${this.#prefix}${life}/${JSON.stringify(source)}`;
  }

  /** All keys of this store; `source` is undefined where the key names none. */
  #slots(): { key: string; life: string; source: string | undefined }[] {
    const storage = this.#storage;
    return Array.from({ length: storage.length }, (_, index) => storage.key(index) ?? '')
      .filter((key) => key.startsWith(this.#prefix))
      .map((key) => {
        const [life = '', ...rest] = key.slice(this.#prefix.length).split('/');
        return { key, life, source: parseSource(rest.join('/')) };
      });
  }

  #read(wanted: (source: string | undefined) => boolean = () => true): Map<string, Checkpoint> {
    const joined = new Map([...this.#heard].filter(([source]) => wanted(source)));
    for (const { key, source } of this.#slots()) {
      if (!wanted(source)) continue;
      if (source === undefined) {
        throw new SerializationError(`localStorage key ${key} names no source: remove it, or clearAll()`);
      }
      const found = this.#decode(key, source);
      if (found) joined.set(source, join(joined.get(source), found, source, this.compare));
    }
    return joined;
  }

  #hear(change: StoreChange): void {
    if (change.type === 'clearAll') this.#heard.clear();
    if (change.type !== 'commit') return;
    for (const [source, checkpoint] of change.batch) {
      this.#heard.set(source, join(this.#heard.get(source), checkpoint, source, this.compare));
    }
  }

  #decode(key: string, source: string): Checkpoint | undefined {
    const text = this.#storage.getItem(key);
    return text === null ? undefined : decode(text, source, `localStorage key ${key}`);
  }

  /**
   * Removes what ended lives left and this life has written as much as or more of. Not at first sight: the last write of
   * a tab may arrive here after the news that the tab is gone.
   */
  async #fold(life: string): Promise<void> {
    this.#foldAt = Date.now() + foldEveryMs;
    try {
      const ended = await findEnded(this.#prefix);
      if (!ended || life !== this.#life?.id) return;
      const left = new Map<string, string>();
      for (const slot of this.#slots()) {
        if (slot.source === undefined || slot.life === life || !ended(slot.life)) continue;
        const text = this.#storage.getItem(slot.key) ?? '';
        if (this.#left.get(slot.key) === text && this.#covers(life, slot.source, slot.key)) {
          this.#storage.removeItem(slot.key);
        } else {
          left.set(slot.key, text);
        }
      }
      this.#left = left;
    } catch {
      // What cannot be read stays, and whoever reads it is told.
    }
  }

  /** Whether this life has itself written what stands under a key, or more. */
  #covers(life: string, source: string, key: string): boolean {
    const own = this.#decode(this.#key(life, source), source);
    const other = this.#decode(key, source);
    return own !== undefined && other !== undefined && join(own, other, source, this.compare) === own;
  }

  /** Runs what touches the storage, tells how that went, and names what the platform throws. */
  #try<T>(work: () => T, again = false): T {
    this.#assertOpen();
    try {
      const result = work();
      this.#channel.health();
      return result;
    } catch (cause) {
      const error = cause instanceof OffsetError ? cause : asStorageError(cause);
      if (!(error instanceof SerializationError || (again && isQuota(error)))) this.#channel.health(error);
      throw error;
    }
  }
}

function parseSource(text: string): string | undefined {
  try {
    const source: unknown = JSON.parse(text);
    return typeof source === 'string' ? source : undefined;
  } catch {
    return undefined;
  }
}

function isQuota(error: unknown): boolean {
  return error instanceof StorageError && /quota/i.test((error.cause as Error | undefined)?.name ?? '');
}

function asStorageError(cause: unknown): StorageError {
  // localStorage throws for two reasons: no room, and no access.
  const { name, message } = cause as Error;
  const advice = /quota/i.test(name)
    ? 'localStorage has no room left: remove what the site no longer needs, or use IndexedDB'
    : `localStorage cannot be used (${name}: ${message}): allow the site to store data, or use another store`;
  return new StorageError(advice, { cause });
}
