import { type Checkpoint, type CompareCustom, asCheckpoint, join } from '../../checkpoint.ts';
import { bySource, checkpoints, hideSlots } from './schema.ts';

/** A checkpoint as it lies in the database. What is there is checked as it is read, whatever this says. */
type StoredRecord = Checkpoint & {
  readonly source: string;
  /** The key of a hide slot. */
  readonly slot?: number;
  /** Which call of `transact` wrote it. */
  readonly mark?: string;
};

/** What is found of a source. */
export interface Found {
  /** The join of its checkpoint and its hide slots. */
  readonly checkpoint: Checkpoint | undefined;
  /** Whether the checkpoint itself, without the hide slots, stands as far. */
  readonly settled: boolean;
  /** The keys of its hide slots. */
  readonly slots: readonly number[];
  /** Which call of `transact` wrote the checkpoint. */
  readonly mark: string | undefined;
}

/**
 * The checkpoints and hide slots in one transaction. Plain requests of the platform: idb needs the globals of IndexedDB,
 * which are not there where only a factory is given.
 */
export class Records {
  readonly #tx: IDBTransaction;
  readonly #where: string;
  readonly #compare: CompareCustom | undefined;
  #anySlot: Promise<boolean> | undefined;

  /** @param where names the store in errors */
  constructor(tx: IDBTransaction, where: string, compare: CompareCustom | undefined) {
    this.#tx = tx;
    this.#where = where;
    this.#compare = compare;
  }

  /**
   * Reads a source: one request, and one for all sources of the transaction that tells that there are no hide slots, as
   * nearly always.
   */
  async find(source: string): Promise<Found> {
    this.#anySlot ??= answer(this.#slots.getAllKeys(null, 1)).then(({ length }) => length > 0);
    const reading = answer<StoredRecord | undefined>(this.#checkpoints.get(source));
    const [anySlot, record] = await Promise.all([this.#anySlot, reading]);
    const slots: StoredRecord[] = anySlot ? await answer(this.#slots.index(bySource).getAll(source)) : [];
    const own = record && this.#checked(record);
    const checkpoint = slots.reduce((joined, slot) => this.#join(joined, slot), own);
    return {
      checkpoint,
      settled: checkpoint === own,
      slots: slots.flatMap(({ slot }) => slot ?? []),
      mark: record?.mark,
    };
  }

  /** Reads all sources. @returns what stands, and which sources have hide slots */
  async findAll(): Promise<{ all: Map<string, Checkpoint>; slotted: Set<string> }> {
    const [records, slots] = await Promise.all([
      answer<StoredRecord[]>(this.#checkpoints.getAll()),
      answer<StoredRecord[]>(this.#slots.getAll()),
    ]);
    const all = new Map<string, Checkpoint>();
    for (const record of [...records, ...slots]) {
      all.set(record.source, this.#join(all.get(record.source), record));
    }
    return { all, slotted: new Set(slots.map(({ source }) => source)) };
  }

  /**
   * Writes what stands for a source from now on, its hide slots included. Whoever does not wait for the answer is told by
   * the transaction whether it succeeds.
   * @param mark tells the call of `transact` that writes it
   */
  replace(source: string, { slots }: Found, next: Checkpoint, mark?: string): IDBRequest {
    for (const slot of slots) this.#slots.delete(slot);
    return this.#checkpoints.put({ ...next, source, ...(mark && { mark }) });
  }

  clear(): void {
    this.#checkpoints.clear();
    this.#slots.clear();
  }

  get #checkpoints(): IDBObjectStore {
    return this.#tx.objectStore(checkpoints);
  }

  get #slots(): IDBObjectStore {
    return this.#tx.objectStore(hideSlots);
  }

  #join(joined: Checkpoint | undefined, record: StoredRecord): Checkpoint {
    return join(joined, this.#checked(record), record.source, this.#compare);
  }

  #checked({ source, slot: _slot, mark: _mark, ...rest }: StoredRecord): Checkpoint {
    return asCheckpoint(rest, source, this.#where);
  }
}

/**
 * Saves a batch in a hide slot a source, without reading: a page that goes away gets no answers, and is given up with
 * whatever waits for one.
 */
export function fillSlots(
  db: IDBDatabase,
  batch: ReadonlyMap<string, Checkpoint>,
  options: IDBTransactionOptions,
): void {
  try {
    const tx = db.transaction(hideSlots, 'readwrite', options);
    for (const [source, checkpoint] of batch) tx.objectStore(hideSlots).add({ ...checkpoint, source });
    tx.commit();
  } catch {
    // The connection is gone, and the page is about to be.
  }
}

/** The answer to a request. */
export function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
