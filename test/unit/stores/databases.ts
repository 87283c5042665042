import { type IDBPDatabase, openDB } from 'idb';
import { afterEach } from 'vitest';
import type { Checkpoint } from '../../../src/checkpoint.ts';
import { Offset } from '../../../src/offset.ts';
import type { OffsetStore } from '../../../src/store.ts';
import { IndexedDBOffsetStore, type IndexedDBOffsetStoreOptions } from '../../../src/stores/indexeddb/store.ts';

const opened: { close(): unknown }[] = [];
let next = 0;

afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

/** Closes something after the test. */
export function closeAfter<T extends { close(): unknown }>(one: T): T {
  opened.push(one);
  return one;
}

export function freshName(): string {
  return `offsets ${Date.now()} ${next++}`;
}

export function open(options: IndexedDBOffsetStoreOptions): IndexedDBOffsetStore {
  return closeAfter(new IndexedDBOffsetStore(options));
}

/** The database itself, beside the stores on it. */
export async function raw(name: string): Promise<IDBPDatabase> {
  return closeAfter(await openDB(name));
}

export async function commit(store: OffsetStore, source: string, checkpoint: Checkpoint) {
  return (await store.commit(new Map([[source, checkpoint]]))).get(source);
}

export function at(value: bigint): Checkpoint {
  return { epoch: 0, rank: Number(value), offset: Offset.sequence(value), committedAt: 1 };
}

export function fail(name: string): never {
  throw new DOMException('refused', name);
}
