import { type DBSchema, type IDBPDatabase, type IDBPTransaction, openDB } from 'idb';
import { createOffsetStore } from 'tidemark/indexeddb';
import type { Reading } from './server/readings.ts';

/** An event that a lane has processed, and the tab in which. */
export interface Kept {
  readonly reading: Reading;
  readonly tab: string;
}

/** What is counted of a lane: one generation of the feed, between two resets. A reset asks for repeats. */
export interface Run {
  readonly name: string;
  readonly generation: string;
}

export interface Lanes extends DBSchema {
  /** How often each event was processed, so many events a record. */
  counts: { key: [run: string, block: number]; value: Uint8Array };
  /** By lane. */
  runs: { key: string; value: Run };
  events: { key: [lane: string, n: number]; value: Kept };
}

export type Effects = IDBPTransaction<Lanes, ('counts' | 'runs' | 'events')[], 'readwrite'>;

/** The page's own database: what its lanes have processed; for "exactly once" their offsets too. */
export const databaseName = 'tidemark-demo-lanes';

export function openLanes(): Promise<IDBPDatabase<Lanes>> {
  return openDB<Lanes>(databaseName, 1, {
    upgrade(db) {
      db.createObjectStore('counts');
      db.createObjectStore('runs');
      db.createObjectStore('events');
      createOffsetStore(db);
    },
  });
}

/** Keys that begin with this one. */
export function below(key: string): IDBKeyRange {
  return IDBKeyRange.bound([key], [key, []]);
}

/** Applies an effect in a transaction of its own. */
export async function applyAlone(db: IDBPDatabase<Lanes>, effect: (tx: Effects) => Promise<void>): Promise<void> {
  const tx: Effects = db.transaction(['counts', 'runs', 'events'], 'readwrite', { durability: 'relaxed' });
  try {
    await effect(tx);
    tx.commit();
  } catch (error) {
    tx.done.catch(() => {}); // Its own error says no more.
    tx.abort();
    throw error;
  }
  await tx.done;
}
