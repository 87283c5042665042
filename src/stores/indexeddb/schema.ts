import { type DBSchema, type IDBPDatabase, unwrap } from 'idb';

/** The object store of checkpoints, one a source. */
export const checkpoints = 'tidemark-checkpoints';
/** The object store of hide slots: what pages saved as they went away, until a read or a commit of the source folds it in. */
export const hideSlots = 'tidemark-hide-slots';
/** The index of the hide slots of a source. */
export const bySource = 'source';

/** A database as the platform or as idb has it, whatever its schema. */
export type AnyDatabase = Omit<
  IDBDatabase,
  'createObjectStore' | 'deleteObjectStore' | 'transaction' | 'objectStoreNames'
>;

/** A database of the application's own, or how to get it. */
export type DatabaseSource<Schema extends DBSchema | unknown = unknown> =
  | OwnDatabase<Schema>
  | Promise<OwnDatabase<Schema>>
  | (() => OwnDatabase<Schema> | Promise<OwnDatabase<Schema>>);

type OwnDatabase<Schema extends DBSchema | unknown> = IDBPDatabase<Schema> | AnyDatabase;

/**
 * Creates the object stores of checkpoints where they are missing. Call it in the upgrade of a database that is given as
 * `db`; calling it again, in a later upgrade, changes nothing.
 */
export function createOffsetStore(db: AnyDatabase): void {
  const raw = unwrapped(db);
  const missing = missingStores(raw, [checkpoints, hideSlots]);
  if (missing.includes(checkpoints)) raw.createObjectStore(checkpoints, { keyPath: 'source' });
  if (!missing.includes(hideSlots)) return;
  raw.createObjectStore(hideSlots, { keyPath: 'slot', autoIncrement: true }).createIndex(bySource, 'source');
}

/** Which of some object stores a database lacks. */
export function missingStores(raw: IDBDatabase, names: readonly string[]): string[] {
  return names.filter((name) => !raw.objectStoreNames.contains(name));
}

/** The platform's database behind idb's. */
export function unwrapped(db: AnyDatabase): IDBDatabase {
  return unwrap(db as IDBPDatabase) ?? (db as IDBDatabase); // A raw one has nothing to unwrap.
}
