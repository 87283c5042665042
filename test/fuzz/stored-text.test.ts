import * as fake from 'fake-indexeddb';
import { vi } from 'vitest';
import { type Checkpoint, Offset, type OffsetStore, decodeCheckpoint, encodeCheckpoint } from '../../src/index.ts';
import { CloudflareKVOffsetStore } from '../../src/stores/cloudflare-kv/store.ts';
import { findHideSlots } from '../../src/stores/indexeddb/hide-slots.ts';
import { IndexedDBOffsetStore } from '../../src/stores/indexeddb/store.ts';
import { LocalStorageOffsetStore } from '../../src/stores/local-storage/store.ts';
import { SqliteOffsetStore } from '../../src/stores/sqlite.ts';
import { openMemory } from '../unit/stores/sqlite-engines.ts';
import { failureOf, fuzz } from './fuzz.ts';
import type { Random } from './random.ts';
import { webStorage } from './web-storage.ts';

/** What stands for a source in text that may be damaged: a checkpoint, or an error that says so. Never nothing. */
async function read(store: OffsetStore, source: string): Promise<Checkpoint | undefined> {
  let found: Checkpoint | undefined;
  const error = await failureOf(async () => (found = await store.get(source)));
  if (error ? error.code !== 'serialization' : found === undefined) throw new Error(`${error ?? 'nothing'} is found`);
  if (found) checkWhole(found);
  const all: Checkpoint[] = [];
  const failure = await failureOf(async () => all.push(...(await store.getAll()).values()));
  if (failure && failure.code !== 'serialization') throw failure;
  if (!failure && all.length === 0) throw new Error('getAll finds nothing');
  for (const each of all) checkWhole(each);
  return found;
}

/** A checkpoint of its own fields, which can be stored again as it is. */
function checkWhole(found: Checkpoint): void {
  for (const key of ['epoch', 'rank', 'committedAt'] as const) {
    if (!Object.hasOwn(found, key) || !Number.isFinite(found[key])) throw new Error(`${key} is ${found[key]}`);
  }
  if (Object.getPrototypeOf(found) !== Object.prototype) throw new Error('another prototype');
  if (!Object.isFrozen(found)) throw new Error('not frozen');
  const again = decodeCheckpoint(encodeCheckpoint(found), 'orders', 'again');
  if (!Offset.equals(again.offset, found.offset) || again.epoch !== found.epoch || again.rank !== found.rank) {
    throw new Error('it is not stored as it is');
  }
}

fuzz('text of a checkpoint is a checkpoint or a SerializationError', async (random) => {
  const text = damagedCheckpoint(random);
  let found: Checkpoint | undefined;
  const error = await failureOf(() => (found = decodeCheckpoint(text, 'orders', 'a store')));
  if (error ? error.code !== 'serialization' : found === undefined) throw new Error(`${error ?? 'nothing'} is found`);
  if (found) checkWhole(found);
  // Neither no offset nor 0 is what text stands for that has lost its offset.
  const { offset } = found ?? {};
  const said = offset?.kind === 'sequence' ? `"${offset.value}"` : offset ? '' : '"undefined"';
  if (found && !text.includes(said)) throw new Error(`${text} is taken for ${offset && Offset.format(offset)}`);
});

const kept = class {
  getItem(key: string): string | null {
    return Object.hasOwn(this, key) ? String(this[key as keyof this]) : null;
  }
};

fuzz('what pages that are gone left in localStorage for IndexedDB', async (random) => {
  const slots = new kept();
  const prefix = 'tidemark-hide/1/"db"/';
  const { offset, ...rest } = random.checkpoint();
  const value = offset && 'value' in offset ? { ...offset, value: offset.value.valueOf() } : offset;
  const text = JSON.stringify({ ...rest, offset: value }, (_, part) =>
    typeof part === 'bigint' ? String(part) : part,
  );
  const key = random.chance(0.2) ? random.damaged(`${prefix}"orders"/1`) : `${prefix}"orders"/1`;
  Object.defineProperty(slots, key, { value: random.damaged(text), enumerable: true });
  vi.stubGlobal('localStorage', slots);
  let found: Checkpoint[] = [];
  const error = await failureOf(() => (found = findHideSlots('db')));
  vi.unstubAllGlobals();
  if (error && error.code !== 'serialization') throw error;
  if (!error && key.startsWith(prefix) && found.length === 0) throw new Error('nothing is found');
  for (const { epoch, rank, offset: place, committedAt } of found) {
    checkWhole(Object.freeze({ epoch, rank, offset: place, committedAt }));
  }
});

fuzz(
  'localStorage',
  async (random) => {
    const storage = new Map<string, string>();
    const source = random.source();
    const checkpoint = random.checkpoint();
    const text = encodeCheckpoint(checkpoint);
    const isOfDirectory = random.chance(0.3);
    const directory = JSON.stringify({ generation: 'first', lives: { 'a-life': Date.now(), __proto__: 0 } });
    storage.set('tidemark/1/"tidemark"/lives', isOfDirectory ? random.damaged(directory) : directory);
    storage.set(`tidemark/1/"tidemark"/a-life/${JSON.stringify(source)}`, isOfDirectory ? text : random.damaged(text));
    const found = await read(new LocalStorageOffsetStore({ storage: webStorage(storage) }), source);
    // What says where to look is a hint: damaged, it costs time and no offset.
    if (isOfDirectory && !Offset.equals(found?.offset, checkpoint.offset)) throw new Error('another offset is found');
  },
  { share: 0.5 },
);

fuzz(
  'the key of localStorage',
  async (random) => {
    const key = random.damaged(`tidemark/1/"tidemark"/a-life/"orders"`);
    const storage = new Map([[key, encodeCheckpoint(random.checkpoint())]]);
    const store = new LocalStorageOffsetStore({ storage: webStorage(storage) });
    const error = await failureOf(() => store.getAll());
    if (error && error.code !== 'serialization') throw error;
    for (const found of error ? [] : (await store.getAll()).values()) checkWhole(found);
  },
  { share: 0.5 },
);

fuzz(
  'values and metadata of Workers KV',
  async (random) => {
    const source = random.pick(['orders', 'a/b', '__proto__', 'ü']);
    const text = `{"source":${JSON.stringify(source)},"writtenAt":1,"checkpoint":${encodeCheckpoint(random.checkpoint())}}`;
    const value = random.damaged(text);
    const metadata: unknown = random.pick([value, value, undefined, null, 5, {}]);
    const store = new CloudflareKVOffsetStore({
      get: (async (keys: string | string[]) =>
        Array.isArray(keys) ? new Map(keys.map((key) => [key, value])) : value) as never,
      list: async () => ({ keys: [{ name: `tidemark:${source}`, metadata }], list_complete: true }) as never,
      put: async () => {},
      delete: async () => {},
    });
    await read(store, source);
  },
  { share: 0.5 },
);

const db = openMemory();
const sqlite = new SqliteOffsetStore(db);
await sqlite.commit(new Map([['orders', { epoch: 0, rank: 0, offset: Offset.earliest, committedAt: 0 }]]));
const update = db.prepare('UPDATE tidemark_offsets SET source = ?, order_key = ?, checkpoint = ?');

fuzz(
  'rows of SQLite',
  async (random) => {
    const isSource = random.chance(0.2);
    const text = encodeCheckpoint(random.checkpoint());
    const row = random.pick<string | Buffer | number>([
      random.damaged(text),
      random.damaged(text),
      Buffer.from(text),
      5,
    ]);
    update.run(isSource ? random.damaged('or"ders') : 'orders', random.damaged('0000'), isSource ? text : row);
    if (!isSource) return read(sqlite, 'orders');
    const failure = await failureOf(() => sqlite.getAll());
    if (failure && failure.code !== 'serialization') throw failure;
    return undefined;
  },
  { share: 0.5 },
);

const factory = new fake.IDBFactory();
const indexeddb = new IndexedDBOffsetStore({ indexedDB: factory });
await indexeddb.get('orders');
const raw = await new Promise<IDBDatabase>((resolve, reject) => {
  const request = factory.open('tidemark');
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

fuzz(
  'records and hide slots of IndexedDB',
  async (random) => {
    const name = random.chance(0.3) ? 'tidemark-hide-slots' : 'tidemark-checkpoints';
    const tx = raw.transaction(['tidemark-hide-slots', 'tidemark-checkpoints'], 'readwrite');
    for (const each of tx.objectStoreNames) tx.objectStore(each).clear();
    tx.objectStore(name).put({ ...(random.altered(random.checkpoint()) as object), source: 'orders' });
    await new Promise((resolve) => (tx.oncomplete = resolve));
    await read(indexeddb, 'orders');
  },
  { share: 0.02 },
);

/** Damaged text, and sometimes a value of JSON where superjson's envelope should be. */
function damagedCheckpoint(random: Random): string {
  const text = encodeCheckpoint(random.checkpoint());
  return random.chance(0.95) ? random.damaged(text) : random.damaged('{"json":{},"meta":{"values":{}}}');
}
