import { StorageError, quote } from '../../errors.ts';
import type { Connection } from './connection.ts';
import { EffectFailure, abortOf } from './effect.ts';
import { missingStores } from './schema.ts';

/** Runs transactions, repeated where they were rolled back through no fault of their work. */
export class Transactions {
  readonly #connection: Connection;
  readonly #options: IDBTransactionOptions;
  readonly #underWay = new Set<IDBTransaction>();
  /** Once the page is away: when it is back. WebKit keeps the transactions of such a page, and all other tabs wait. */
  #back: Promise<void> | undefined;
  #return: () => void = () => {};

  constructor(connection: Connection, durability: IDBTransactionDurability) {
    this.#connection = connection;
    this.#options = { durability };
  }

  /** @param work may run again; it awaits nothing but requests of the transaction, and the last run counts */
  run<T>(mode: IDBTransactionMode, names: readonly string[], work: (tx: IDBTransaction) => Promise<T>): Promise<T> {
    return this.#connection.run(async (db) => {
      for (;;) {
        await this.#back;
        const done = await this.#attempt(db, mode, names, work);
        if (done) return done.result;
      }
    });
  }

  /** A write that queues behind a transaction which still needs answers is lost with it when the page goes away. */
  makeWay(): void {
    const underWay = [...this.#underWay];
    this.#underWay.clear();
    for (const tx of underWay) abort(tx);
  }

  suspend(): void {
    this.#back ??= new Promise((resolve) => (this.#return = resolve));
    this.makeWay();
  }

  wake(): void {
    this.#back = undefined;
    this.#return();
  }

  /** @returns undefined where it made way, was rolled back, and has to be repeated */
  async #attempt<T>(
    db: IDBDatabase,
    mode: IDBTransactionMode,
    names: readonly string[],
    work: (tx: IDBTransaction) => Promise<T>,
  ): Promise<{ readonly result: T } | undefined> {
    const [missing] = missingStores(db, names);
    if (missing !== undefined) {
      throw new StorageError(
        `IndexedDB ${quote(db.name)} has no object store ${quote(missing)}: create it in its upgrade`,
      );
    }
    const tx = db.transaction(names, mode, this.#options);
    const ended = endOf(tx);
    ended.catch(() => {}); // What fails first is told below, and this only repeats it.
    this.#underWay.add(tx);
    try {
      const result = await work(tx);
      // Without this a tab that freezes now would hold up all others.
      tx.commit();
      await ended;
      return { result };
    } catch (error) {
      if (!this.#underWay.has(tx)) return undefined;
      const cause = tx.error ?? error; // The requests of an aborted transaction know only that it was.
      abort(tx);
      if (!(error instanceof EffectFailure)) throw cause;
      await ended.catch(() => {});
      throw error;
    } finally {
      this.#underWay.delete(tx);
    }
  }
}

function endOf(tx: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    tx.addEventListener('complete', () => resolve());
    tx.addEventListener('abort', () => reject(abortOf(tx)));
  });
}

function abort(tx: IDBTransaction): void {
  try {
    tx.abort();
  } catch {
    // It has ended by itself, or is about to.
  }
}
