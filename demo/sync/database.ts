import { type DBSchema, type IDBPDatabase, type IDBPTransaction, openDB } from 'idb';
import { createOffsetStore } from 'tidemark/indexeddb';
import type { Book, Change, Ship } from '../server/changes.ts';

export interface Schema extends DBSchema {
  ships: { key: number; value: Ship };
  /** Only ever added to, so that a change that is applied twice, or not at all, shows. */
  counters: { key: string; value: number };
}

export type Effects = IDBPTransaction<Schema, ('ships' | 'counters')[], 'readwrite'>;

/** The page's own database; its offsets are in it too. */
export function openBook(name: string): Promise<IDBPDatabase<Schema>> {
  return openDB<Schema>(name, 1, {
    upgrade(db) {
      db.createObjectStore('ships', { keyPath: 'id' });
      db.createObjectStore('counters');
      createOffsetStore(db);
    },
  });
}

/**
 * Applies changes in the order of the feed: reads what they are about, works on that, and writes it back. The first change
 * of all begins an empty book.
 */
export async function apply(tx: Effects, changes: readonly Change[]): Promise<void> {
  const [counters, ships] = [tx.objectStore('counters'), tx.objectStore('ships')];
  if (changes[0]?.n === 1) await Promise.all([counters.clear(), ships.clear()]);
  const ids = [...new Set(changes.map(({ ship }) => ship))];
  const found = await Promise.all(ids.map((id) => ships.get(id)));
  const afloat = new Map(ids.map((id, i) => [id, found[i]]));
  const added = new Map<string, number>();
  const add = (name: string, count: number) => added.set(name, (added.get(name) ?? 0) + count);
  for (const { ship: id, harbour, ...what } of changes) {
    add('changes', 1);
    add(`${harbour} ${what.kind}`, 1);
    if (what.kind !== 'leaves') add(`${harbour} tons`, what.tons);
    const before = afloat.get(id);
    if (what.kind === 'arrives') afloat.set(id, { id, name: what.name, harbour, tons: what.tons });
    else if (what.kind === 'leaves') afloat.set(id, undefined);
    else if (before) afloat.set(id, { ...before, tons: before.tons + what.tons });
  }
  const store = async (name: string, count: number) => counters.put(((await counters.get(name)) ?? 0) + count, name);
  await Promise.all([
    ...[...afloat].map(([id, ship]) => (ship ? ships.put(ship) : ships.delete(id))),
    ...[...added].map(([name, count]) => store(name, count)),
  ]);
}

/** The whole book, as it is at one moment. */
export async function readBook(db: IDBPDatabase<Schema>): Promise<Book> {
  const tx = db.transaction(['ships', 'counters']);
  const counters = tx.objectStore('counters');
  const [ships, names, counts] = await Promise.all([
    tx.objectStore('ships').getAll(),
    counters.getAllKeys(),
    counters.getAll(),
  ]);
  return { ships, counters: names.map((name, i) => [name, counts[i] ?? 0] as const) };
}
