// localStorage: offsets through a tracker, beside a `setItem` for each event, and beside the keys of others.
import { persistentAtom } from '@nanostores/persistent';
import { Offset, OffsetTracker } from 'tidemark';
import { LocalStorageOffsetStore } from 'tidemark/local-storage';
import { offer } from './page.js';

const count = 1000;
let n = 0;

/** @param {number} keys */
function fill(keys) {
  localStorage.clear();
  for (let i = 0; i < keys; i++) localStorage.setItem(`key ${i} of another`, `value ${i}`);
}

await offer({
  setItem: (_quick, keys) => {
    fill(keys);
    return () => {
      for (let i = 0; i < count; i++) localStorage.setItem('orders', String(++n));
      return count;
    };
  },

  nanostores: (_quick, keys) => {
    fill(keys);
    /** @type {import('nanostores').WritableAtom<string>} */
    const $orders = persistentAtom('orders', '0');
    return () => {
      for (let i = 0; i < count; i++) $orders.set(String(++n));
      return count;
    };
  },

  'records awaited': (_quick, keys) => {
    fill(keys);
    const tracker = new OffsetTracker(new LocalStorageOffsetStore());
    return async () => {
      for (let i = 0; i < count; i++) await tracker.record('orders', Offset.sequence(++n));
      return count;
    };
  },

  'records at once': (_quick, keys) => {
    fill(keys);
    const tracker = new OffsetTracker(new LocalStorageOffsetStore());
    return async () => {
      let last;
      for (let i = 0; i < count; i++) last = tracker.record('orders', Offset.sequence(++n));
      await last;
      return count;
    };
  },
});
