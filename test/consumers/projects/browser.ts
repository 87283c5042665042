// A page, and a worker of a page: both have IndexedDB.
import { OffsetTracker } from 'tidemark';
import { IndexedDBOffsetStore, createOffsetStore } from 'tidemark/indexeddb';
import { LocalStorageOffsetStore } from 'tidemark/local-storage';

export const tracker = new OffsetTracker(new IndexedDBOffsetStore({ name: 'notes', durability: 'strict' }));
export const local = new OffsetTracker(new LocalStorageOffsetStore({ name: 'notes' }));

export function upgrade(request: IDBOpenDBRequest): OffsetTracker {
  request.addEventListener('upgradeneeded', () => createOffsetStore(request.result));
  return new OffsetTracker(new IndexedDBOffsetStore({ name: 'app', db: () => opened(request) }));
}

function opened(request: IDBOpenDBRequest): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(request.error));
  });
}
