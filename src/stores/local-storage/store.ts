import { type Checkpoint, join } from '../../checkpoint.ts';
import { decode, encode } from '../../codec.ts';
import { OffsetError, SerializationError, StorageError, UnsupportedError, quote } from '../../errors.ts';
import type { Batch, OffsetStore, StoreChange, StoreOptions } from '../../store.ts';
import { TabChannel } from '../../tabs/channel.ts';
import { type Presence, beginLife, newId } from '../../tabs/presence.ts';
import { Folding } from './folding.ts';
import { Heard } from './heard.ts';
import { Keys, type TextStorage } from './keys.ts';
import { Lives } from './lives.ts';

/** Options of a {@link LocalStorageOffsetStore}. */
export interface LocalStorageOffsetStoreOptions extends StoreOptions {
  /** Tells stores of one origin apart, default 'tidemark'. */
  readonly name?: string;
  /** Where to keep the text, default the global `localStorage`. */
  readonly storage?: TextStorage;
}

/** How old, in ms, a look at all keys may be when a source is read: it finds what no list of lives has. */
const lookEveryMs = 2000;
/** While several tabs write, Firefox may say for a moment that there is no room: how long to wait each time, in ms. */
const roomDelays = [50, 100, 200, 400, 800];

/**
 * Keeps checkpoints in localStorage, for those who cannot use IndexedDB. They survive a reload and a crash of the tab;
 * a killed browser loses the last seconds, because browsers write localStorage to the disk late. Each tab raises keys
 * of its own and a read joins those of all tabs: a key that tabs share would lose updates, even under Web Locks. What
 * ended tabs left is folded away. Neither a commit nor a read of a source grows with the number of keys. Rejects with a
 * StorageError where there is no access or no room, with a SerializationError for what cannot be read, with an
 * UnsupportedError where there is no localStorage, and after `close` with an OffsetError of code 'closed'.
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
  readonly #keys: Keys;
  readonly #lives: Lives;
  readonly #folding: Folding;
  readonly #heard: Heard;
  readonly #channel: TabChannel;
  #life: Presence | undefined;
  #away = false;
  #closed = false;

  constructor({ name = 'tidemark', storage, compare }: LocalStorageOffsetStoreOptions = {}) {
    this.id = `local-storage:${name}`;
    this.compare = compare;
    this.#given = storage;
    const current = (): TextStorage => this.#storage;
    this.#keys = new Keys(name);
    this.#lives = new Lives(this.#keys, current);
    this.#folding = new Folding(this.#keys, this.#lives, current, compare);
    this.#heard = new Heard(compare);
    this.#channel = new TabChannel(this.id, (batch) => this.commit(batch));
  }

  /** How many messages from other tabs were ignored because they are not of this library's format. */
  get malformedMessages(): number {
    return this.#channel.malformedMessages;
  }

  async get(source: string): Promise<Checkpoint | undefined> {
    return this.#try(() => this.#read(source, this.#lives.list(lookEveryMs)));
  }

  async getAll(): Promise<Map<string, Checkpoint>> {
    return this.#try(() => {
      const all = new Map<string, Checkpoint>();
      for (const { key, source } of this.#lives.look()) {
        if (source === undefined) {
          throw new SerializationError(`localStorage key ${key} names no source: remove it, or clearAll()`);
        }
        const found = this.#decode(key, source);
        if (found) all.set(source, join(all.get(source), found, source, this.compare));
      }
      const { generation } = this.#lives;
      for (const source of this.#heard.sources()) {
        const joined = this.#heard.join(source, all.get(source), generation);
        if (joined) all.set(source, joined);
      }
      return all;
    });
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
    for (;;) {
      const life = await this.#live();
      // It may have ended just now, and must not write any more then.
      const isCurrent = (): boolean => life === this.#life;
      const stands = this.#try(() => isCurrent() && this.#write(life.id, batch), again);
      if (!stands) continue;
      void this.#folding.run(life.id, isCurrent);
      return stands;
    }
  }

  #write(life: string, batch: Batch): Map<string, Checkpoint> {
    const stands = new Map<string, Checkpoint>();
    const moved: [string, Checkpoint][] = [];
    const lives = this.#lives.list();
    for (const [source, incoming] of batch) {
      const before = this.#read(source, lives);
      const next = join(before, incoming, source, this.compare);
      stands.set(source, next);
      if (next !== before) moved.push([source, next]);
    }
    if (moved.length === 0) return stands;
    this.#lives.enter(life);
    for (const [source, next] of moved) this.#storage.setItem(this.#keys.of(life, source), encode(next));
    this.#channel.post({ type: 'commit', batch: stands, generation: this.#lives.generation });
    return stands;
  }

  async clearAll(): Promise<void> {
    this.#try(() => {
      for (const { key } of this.#lives.look()) this.#storage.removeItem(key);
      this.#storage.removeItem(this.#keys.directory);
    });
    this.#cleared();
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
    // While the page is away a life is for one call: nobody could tell when it ends.
    const id = this.#away ? newId() : (this.#life ??= beginLife(this.#keys.prefix)).id;
    for (const [source, incoming] of batch) {
      try {
        const key = this.#keys.of(id, source);
        const own = this.#decode(key, source);
        const next = join(own, incoming, source, this.compare);
        if (next !== own) this.#storage.setItem(key, encode(next));
      } catch {
        // Nobody is left to be told; the other sources still have a chance.
      }
    }
    this.#list(() => this.#lives.enter(id));
    if (this.#away) this.#list(() => this.#lives.end(id));
  }

  suspend(): void {
    this.#away = true;
    this.#channel.suspend();
    this.#heard.clear();
    // A held lock may keep the page out of the back/forward cache. What this life wrote is for others to fold.
    this.#endLife();
  }

  wake(): void {
    this.#away = false;
    this.#lives.forget();
    this.#channel.wake();
  }

  subscribe(listener: (change: StoreChange) => void): () => void {
    return this.#channel.subscribe((change, generation) => {
      if (change.type === 'clearAll') this.#cleared();
      if (change.type === 'commit' && generation !== undefined) this.#heard.add(change.batch, generation);
      listener(change);
    });
  }

  #cleared(): void {
    this.#heard.clear();
    this.#lives.cleared();
  }

  get #storage(): TextStorage {
    const storage = this.#given ?? globalThis.localStorage;
    if (!storage) throw new UnsupportedError('there is no localStorage here: use another store');
    return storage;
  }

  /** This tab's life, once other tabs can see that it lives. */
  async #live(): Promise<Presence> {
    for (;;) {
      this.#assertOpen();
      const life = (this.#life ??= beginLife(this.#keys.prefix));
      await life.held;
      if (life === this.#life) return life;
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new OffsetError('closed', `the store ${quote(this.id)} is closed: make a new one`);
  }

  #endLife(): void {
    const life = this.#life;
    this.#life = undefined;
    if (!life) return;
    this.#list(() => this.#lives.end(life.id));
    life.end();
  }

  /** Changes the list of lives where that can be done: it is a hint. */
  #list(change: () => void): void {
    try {
      change();
    } catch {
      // No access, or no room.
    }
  }

  #read(source: string, lives: Iterable<string>): Checkpoint | undefined {
    let found: Checkpoint | undefined;
    for (const life of lives) {
      const each = this.#decode(this.#keys.of(life, source), source);
      if (each) found = join(found, each, source, this.compare);
    }
    return this.#heard.join(source, found, this.#lives.generation);
  }

  #decode(key: string, source: string): Checkpoint | undefined {
    const text = this.#storage.getItem(key);
    return text === null ? undefined : decode(text, source, `localStorage key ${key}`);
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
