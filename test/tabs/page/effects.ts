import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import { Offset, OffsetTracker, resume } from 'tidemark';
import { IndexedDBOffsetStore, createOffsetStore } from 'tidemark/indexeddb';

interface Schema extends DBSchema {
  totals: { key: string; value: number };
}

/** What effects have done to a database of the page's own, and how far the offset is. */
export interface Applied {
  readonly offset: number;
  readonly sum: number;
  readonly count: number;
}

export const effects = {
  /** What ended `apply`. */
  failure: undefined as string | undefined,

  /** Applies the events 1, 2, 3, … for as long as the page lives: each adds its number to a sum, and 1 to a count. */
  apply(name: string): Promise<void> {
    return applyAll(name).catch((error: unknown) => void (effects.failure = String(error)));
  },

  /** Read in one transaction: what a tab that was killed has begun may still be stored. */
  async applied(name: string): Promise<Applied> {
    const db = (await openOwn(name)) as unknown as IDBPDatabase;
    const tx = db.transaction(['tidemark-checkpoints', 'totals']);
    const totals = tx.objectStore('totals');
    const [found, sum = 0, count = 0] = await Promise.all([
      tx.objectStore('tidemark-checkpoints').get('events'),
      totals.get('sum'),
      totals.get('count'),
    ]);
    db.close();
    return { offset: found?.rank ?? 0, sum, count };
  },
};

async function applyAll(name: string): Promise<void> {
  const tracker = new OffsetTracker(new IndexedDBOffsetStore({ name, db: () => openOwn(name) }));
  await resume(tracker, 'events', counting, {
    transact: ['totals'],
    // Tabs that cut the feed into other batches get in each other's way.
    batch: { size: 1 + Math.floor(Math.random() * 4), intervalMs: 5 },
    handler: async (events, { tx }) => {
      const totals = tx.objectStore('totals');
      for (const { data } of events) {
        await totals.put(((await totals.get('sum')) ?? 0) + data, 'sum');
        await totals.put(((await totals.get('count')) ?? 0) + 1, 'count');
      }
    },
  });
}

async function* counting(from: Offset) {
  for (let n = from.kind === 'sequence' ? Number(from.value) + 1 : 1; ; n++) {
    await new Promise((resolve) => setTimeout(resolve));
    yield { offset: Offset.sequence(n), data: n };
  }
}

function openOwn(name: string): Promise<IDBPDatabase<Schema>> {
  return openDB<Schema>(name, 1, {
    upgrade(db) {
      db.createObjectStore('totals');
      createOffsetStore(db);
    },
  });
}
