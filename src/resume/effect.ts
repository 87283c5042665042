import type { EffectOptions } from './effect-options.ts';
import { OffsetError } from '../errors.ts';
import type { FeedEvent } from '../feeds/feed.ts';

/** An event that is ready to be applied. */
export interface Entry<E> {
  readonly event: E;
  readonly prepared: unknown;
}

type Handler = (given: unknown, context: unknown) => unknown;

/** What a store runs in a transaction: the handler, for the events in hand. A store may run it more than once. */
export class Effect<E extends FeedEvent<unknown>> {
  /** What the handler threw in the last run, and where that is known, at which event. */
  failure: { readonly error: unknown; readonly entry: Entry<E> | undefined } | undefined;
  readonly #options: EffectOptions<E>;
  readonly #signal: AbortSignal;

  constructor(options: EffectOptions<E>, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  /** Whether an error is of the store, and not what the handler threw or did. */
  isStores(error: unknown): error is OffsetError {
    return error instanceof OffsetError && error !== this.failure?.error;
  }

  /** The effect of some events. It is synchronous where the handler is, as some stores need it. */
  of(entries: readonly Entry<E>[]): (tx?: unknown) => unknown {
    const run = (tx: unknown): unknown => {
      this.failure = undefined;
      if (!this.#options.batch) return this.#eachOf(entries, tx);
      const events = entries.map(({ event }) => event);
      const prepared = entries.map((entry) => entry.prepared);
      return this.#call(events, prepared, tx, undefined);
    };
    // Such a function can be told before it is called: what it does later nobody could take back.
    const isAsync = Object.prototype.toString.call(this.#options.handler) === '[object AsyncFunction]';
    return isAsync ? async (tx) => run(tx) : run;
  }

  #eachOf(entries: readonly Entry<E>[], tx: unknown): unknown {
    const results: unknown[] = [];
    for (const [i, entry] of entries.entries()) {
      const result = this.#call(entry.event, entry.prepared, tx, entry);
      if (isThenable(result)) return this.#others(result, entries.slice(i + 1), tx);
      results.push(result);
    }
    // Statements of several events are one list.
    return results.length === 1 ? results[0] : results.flat();
  }

  async #others(first: PromiseLike<unknown>, entries: readonly Entry<E>[], tx: unknown): Promise<unknown> {
    const result = await first;
    for (const entry of entries) await this.#call(entry.event, entry.prepared, tx, entry);
    return result;
  }

  #call(given: unknown, prepared: unknown, tx: unknown, entry: Entry<E> | undefined): unknown {
    const failed = (error: unknown): never => {
      this.failure = { error, entry };
      throw error;
    };
    try {
      const result = (this.#options.handler as Handler)(given, { tx, prepared, signal: this.#signal });
      return isThenable(result) ? result.then((value) => value, failed) : result;
    } catch (error) {
      return failed(error);
    }
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof Object(value).then === 'function';
}
