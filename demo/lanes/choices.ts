import { InMemoryOffsetStore } from 'tidemark';
import { IndexedDBOffsetStore } from 'tidemark/indexeddb';
import { LocalStorageOffsetStore } from 'tidemark/local-storage';
import { databaseName, openLanes } from '../database.ts';

// The page shows these very lines: each choice is one of them.
export const stores = {
  indexeddb: () => new IndexedDBOffsetStore({ name: 'tidemark-demo' }),
  localstorage: () => new LocalStorageOffsetStore({ name: 'tidemark-demo' }),
  memory: () => new InMemoryOffsetStore(),
};

/** For "exactly once": offsets in the database of the page, beside what they are about. */
export const ownStore = () => new IndexedDBOffsetStore({ name: databaseName, db: openLanes });

export const strategies = {
  auto: 'auto',
  periodic: { every: 50, intervalMs: 1000 },
  manual: 'manual',
} as const;
