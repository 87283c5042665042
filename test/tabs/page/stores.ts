import { type Offset, type OffsetStore, OffsetTracker } from 'tidemark';
import { IndexedDBOffsetStore } from 'tidemark/indexeddb';
import { LocalStorageOffsetStore } from 'tidemark/local-storage';

export const kinds = ['indexeddb', 'local-storage'] as const;

/** Which store; each name keeps its own checkpoints. */
export interface Where {
  readonly kind: (typeof kinds)[number];
  readonly name: string;
}

export function makeStore({ kind, name }: Where): OffsetStore {
  return kind === 'indexeddb' ? new IndexedDBOffsetStore({ name }) : new LocalStorageOffsetStore({ name });
}

/** What is stored: asked of a store that has heard nothing from anybody. */
export async function storedIn(where: Where, sources: readonly string[]): Promise<Record<string, number>> {
  const fresh = new OffsetTracker(makeStore(where));
  const offsets = await Promise.all(sources.map(async (source) => [source, numberOf(await fresh.getOffset(source))]));
  await fresh.close();
  await fresh.store.close();
  return Object.fromEntries(offsets);
}

/** −1: from the earliest on. */
export function numberOf(offset: Offset): number {
  return offset.kind === 'sequence' ? Number(offset.value) : -1;
}
