import { UnsupportedError, quote } from '../../errors.ts';
import { checkpoints } from './schema.ts';

/** What an effect failed with: told as it is, never tried again. */
export class EffectFailure {
  readonly reason: unknown;
  constructor(reason: unknown) {
    this.reason = reason;
  }
}

/** After how many looks without a sign of the effect's own requests it is known to wait for something else. */
const idleLooks = 3;

/**
 * Runs an effect in a transaction, and `finish` right after it.
 *
 * A transaction commits by itself once no request is under way: of an effect that waits for something else, a timer or a
 * fetch, one half would be stored. So a small request is kept under way until the effect is through. Requests are answered
 * in the order in which they were made: where several of these are answered with none of the effect's in between, the
 * effect waits for something else.
 *
 * @param finish writes the checkpoint; the transaction is active while it runs
 * @throws EffectFailure with what the effect threw or does wrong; else the transaction was aborted under it: it is rolled
 * back, and may run again
 */
export async function runEffect(
  tx: IDBTransaction,
  source: string,
  effect: () => unknown,
  finish: () => Promise<unknown>,
): Promise<void> {
  const loan = new Loan(tx, source);
  const watch = new AbortController();
  try {
    const applied = effect();
    await Promise.race([applied, strayed(tx, source, watch.signal)]);
    // The last answer of all: once asked to commit, Firefox passes over a request of the effect that fails.
    await finish();
  } catch (error) {
    throw loan.explain(error);
  } finally {
    watch.abort();
    loan.return();
  }
}

/** Rejects once the effect waits for something else than the transaction, or the transaction is aborted. */
function strayed(tx: IDBTransaction, source: string, signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    let look: IDBRequest | undefined;
    let busy = true;
    let idle = 0;
    const note = ({ target }: Event): void => void (busy ||= target !== look);
    // Success does not bubble, but both are captured.
    tx.addEventListener('success', note, { capture: true, signal });
    tx.addEventListener('error', note, { capture: true, signal });
    const watch = (): void => {
      if (signal.aborted) return;
      idle = busy ? 0 : idle + 1;
      busy = false;
      if (idle === idleLooks) return reject(new EffectFailure(waitsElsewhere(source)));
      look = tx.objectStore(checkpoints).getKey('');
      look.onsuccess = watch;
      // An effect that waits for something else may never hear of it.
      look.onerror = () => reject(abortOf(tx));
    };
    watch();
  });
}

/** The transaction while an effect has it: its end is the store's business. */
class Loan {
  readonly #tx: IDBTransaction;
  readonly #source: string;
  readonly #end: () => void;
  #aborted = false;

  constructor(tx: IDBTransaction, source: string) {
    this.#tx = tx;
    this.#source = source;
    this.#end = tx.abort.bind(tx);
    tx.commit = () => {
      throw new UnsupportedError(`the effect for ${quote(source)} called commit(): leave that to the store`, {
        source,
      });
    };
    tx.abort = () => {
      this.#aborted = true;
      this.#end();
    };
  }

  /** Gives it back. */
  return(): void {
    for (const name of ['commit', 'abort']) Reflect.deleteProperty(this.#tx, name);
  }

  /** What an error that came up while the effect ran means. The transaction is aborted then. */
  explain(error: unknown): unknown {
    if (error instanceof EffectFailure) return error;
    const source = this.#source;
    const name = error instanceof DOMException ? error.name : '';
    if (this.#aborted) {
      const message = `the effect for ${quote(source)} called abort(): nothing was stored; to say why, throw instead`;
      return new EffectFailure(name ? new UnsupportedError(message, { source, cause: error }) : error);
    }
    if (!this.#abort()) return abortOf(this.#tx);
    // The browser's own failure, not the effect's.
    if (name === 'UnknownError') return error;
    return new EffectFailure(name === 'TransactionInactiveError' ? waitsElsewhere(source, error) : error);
  }

  /** @returns whether it was still running */
  #abort(): boolean {
    try {
      this.#end();
      return true;
    } catch {
      return false;
    }
  }
}

function waitsElsewhere(source: string, cause?: unknown): UnsupportedError {
  const what = 'awaited something other than requests of its transaction (a timer, a fetch, another transaction)';
  return new UnsupportedError(
    `the effect for ${quote(source)} ${what}: nothing was stored; do such work before, and await only what tx gives`,
    { source, cause },
  );
}

/** Why a transaction was aborted. */
export function abortOf(tx: IDBTransaction): DOMException {
  return tx.error ?? new DOMException('The transaction was aborted.', 'AbortError');
}
