// IndexedDB: offsets through a tracker, beside what one would write for one put each.
import { Dexie } from 'dexie';
import { openDB } from 'idb';
import { set } from 'idb-keyval';
import localforage from 'localforage';
import { Offset, OffsetTracker } from 'tidemark';
import { IndexedDBOffsetStore, createOffsetStore } from 'tidemark/indexeddb';
import { createStorage } from 'unstorage';
import indexedbDriver from 'unstorage/drivers/indexedb';
import { offer } from './page.js';

/** @param {number} n */
const at = (n) => ({ epoch: 0, rank: n, offset: Offset.sequence(n), committedAt: Date.now() });

/** How many records the sides that write one by one do in a round. */
const oneByOne = (/** @type {boolean} */ quick) => (quick ? 200 : 1000);

let n = 0;

/**
 * One put for each record, all under way at once, as these libraries offer it.
 * @param {() => Promise<(value: import('tidemark').Offset) => PromiseLike<unknown>>} open @returns {import('./page.js').PageSide}
 */
const putting = (open) => async (_quick, count) => {
  const put = await open();
  await put(Offset.sequence(++n));
  return async () => {
    const puts = [];
    for (let i = 0; i < count; i++) puts.push(put(Offset.sequence(++n)));
    await Promise.all(puts);
    return count;
  };
};

await offer({
  'records at once': async (_quick, count) => {
    const tracker = new OffsetTracker(new IndexedDBOffsetStore());
    await tracker.record('orders', Offset.sequence(++n));
    return async () => {
      let last;
      for (let i = 0; i < count; i++) last = tracker.record('orders', Offset.sequence(++n));
      await last;
      return count;
    };
  },

  'idb-keyval': putting(async () => (value) => set('orders', value)),

  localforage: putting(async () => (value) => localforage.setItem('orders', value)),

  unstorage: putting(async () => {
    const storage = createStorage({ driver: indexedbDriver({ base: 'app:' }) });
    return (value) => storage.setItem('orders', Offset.format(value));
  }),

  dexie: putting(async () => {
    const db = new Dexie('dexie');
    db.version(1).stores({ offsets: 'source' });
    const offsets = db.table('offsets');
    return (offset) => offsets.put({ source: 'orders', offset });
  }),

  'records awaited': (quick) => {
    const tracker = new OffsetTracker(new IndexedDBOffsetStore());
    return async () => {
      for (let i = 0; i < oneByOne(quick); i++) await tracker.record('orders', Offset.sequence(++n));
      return oneByOne(quick);
    };
  },

  'raw, get and put': async (quick) => {
    const db = await openRaw();
    return async () => {
      for (let i = 0; i < oneByOne(quick); i++) await raise(db, at(++n));
      return oneByOne(quick);
    };
  },

  /** What each call costs beside so many sources. The figure is the commits of one source. */
  growth: async (quick, sources) => {
    const store = new IndexedDBOffsetStore();
    const allAt = (/** @type {number} */ rank) =>
      new Map(Array.from({ length: sources }, (_, i) => [`source ${i}`, at(rank)]));
    const times = quick ? 50 : 200;
    const each = async (/** @type {(source: string) => Promise<unknown>} */ call) => {
      const begun = performance.now();
      for (let i = 0; i < times; i++) await call(`source ${(++n * 7919) % sources}`);
      return performance.now() - begun;
    };
    const once = async (/** @type {() => Promise<unknown>} */ call) => {
      const begun = performance.now();
      await call();
      return ((performance.now() - begun) * 1000) / sources;
    };
    await store.commit(allAt(0));
    return async () => {
      const ms = await each((source) => store.commit(new Map([[source, at(++n)]])));
      const get = await each((source) => store.get(source));
      const all = allAt(++n);
      const also = {
        'get, ms': get / times,
        'getAll, µs a source': await once(() => store.getAll()),
        'all committed, µs a source': await once(() => store.commit(all)),
      };
      return { amount: times, ms, also };
    };
  },

  'effect and offset': async (quick) => {
    const db = await openNotes();
    const tracker = new OffsetTracker(new IndexedDBOffsetStore({ db }), { resetPolicy: 'earliest' });
    const reading = await tracker.read('notes', { fence: true });
    return async () => {
      for (let i = 0; i < oneByOne(quick); i++) {
        const note = { id: `note ${++n % 1000}`, text: 'hello' };
        await reading.transact(Offset.sequence(n), ['notes'], (/** @type {any} */ tx) =>
          tx.objectStore('notes').put(note),
        );
      }
      return oneByOne(quick);
    };
  },

  'effect alone': async (quick) => {
    const db = await openNotes();
    return async () => {
      for (let i = 0; i < oneByOne(quick); i++) {
        const tx = db.transaction('notes', 'readwrite', { durability: 'relaxed' });
        void tx.objectStore('notes').put({ id: `note ${++n % 1000}`, text: 'hello' });
        tx.commit();
        await tx.done;
      }
      return oneByOne(quick);
    };
  },
});

/** @returns {Promise<IDBDatabase>} */
function openRaw() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open('raw', 1);
    request.addEventListener('upgradeneeded', () => request.result.createObjectStore('offsets'));
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(request.error));
  });
}

/** Puts a checkpoint where it is further, in one transaction. @param {IDBDatabase} db @param {ReturnType<typeof at>} next */
function raise(db, next) {
  return new Promise((resolve, reject) => {
    const tx = db.transaction('offsets', 'readwrite', { durability: 'relaxed' });
    const offsets = tx.objectStore('offsets');
    const request = offsets.get('orders');
    request.addEventListener('success', () => {
      if (!request.result || request.result.rank < next.rank) offsets.put(next, 'orders');
      tx.commit();
    });
    tx.addEventListener('complete', () => resolve(undefined));
    tx.addEventListener('abort', () => reject(tx.error));
  });
}

function openNotes() {
  return openDB('notes', 1, {
    upgrade(db) {
      db.createObjectStore('notes', { keyPath: 'id' });
      createOffsetStore(db);
    },
  });
}
