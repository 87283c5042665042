// IndexedDB: offsets through a tracker, beside what one would write for one put each.
import { openDB } from 'idb';
import { set } from 'idb-keyval';
import { Offset, OffsetTracker } from 'tidemark';
import { IndexedDBOffsetStore, createOffsetStore } from 'tidemark/indexeddb';
import { offer } from './page.js';

/** @param {number} n */
const at = (n) => ({ epoch: 0, rank: n, offset: Offset.sequence(n), committedAt: Date.now() });

/** How many records the sides that write one by one do in a round. */
const oneByOne = (/** @type {boolean} */ quick) => (quick ? 200 : 1000);

let n = 0;

offer({
  'records at once': async () => {
    const tracker = new OffsetTracker(new IndexedDBOffsetStore());
    await tracker.record('orders', Offset.sequence(++n));
    return async () => {
      let last;
      for (let i = 0; i < 10_000; i++) last = tracker.record('orders', Offset.sequence(++n));
      await last;
      return 10_000;
    };
  },

  'puts of idb-keyval': async () => {
    await set('orders', Offset.sequence(++n));
    return async () => {
      const puts = [];
      for (let i = 0; i < 10_000; i++) puts.push(set('orders', Offset.sequence(++n)));
      await Promise.all(puts);
      return 10_000;
    };
  },

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

  'commit beside': async (quick, sources) => {
    const store = new IndexedDBOffsetStore();
    await store.commit(new Map(Array.from({ length: sources }, (_, i) => [`source ${i}`, at(0)])));
    return async () => {
      for (let i = 0; i < oneByOne(quick); i++) {
        await store.commit(new Map([[`source ${(++n * 7919) % sources}`, at(n)]]));
      }
      return oneByOne(quick);
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
