/// <reference lib="esnext.disposable" preserve="true" />
import { type FeedEvent, type FeedHeartbeat, isFailure, isHeartbeat } from '../feeds/feed.ts';
import { isConcrete } from '../offset.ts';
import { asyncDispose } from '../async-dispose.ts';
import { workOn } from './attempts.ts';
import type { Delivery } from './delivery.ts';
import type { ReaderOptions } from './options.ts';
import type { Reader } from './reader.ts';

type Result<E> = IteratorResult<E, void>;
type Asked<E extends FeedEvent<unknown>> = Delivery<E> | Promise<Delivery<E> | undefined>;

/**
 * What a reader reads, as an async generator gives it: calls are answered one after the other. It is none, since a generator
 * takes several microtasks for each event; here one that is at hand is given at once.
 */
export class Events<E extends FeedEvent<unknown>> implements AsyncGenerator<E, void, void> {
  readonly #reader: Reader<E>;
  readonly #options: ReaderOptions<E>;
  /** What was given last: recorded when the next is asked for. */
  #given: Delivery<E> | undefined;
  /** Calls without an answer yet, and the end of the last of them. */
  #calls = 0;
  #last: Promise<void> | undefined;
  #over = false;

  constructor(reader: Reader<E>, options: ReaderOptions<E>) {
    this.#reader = reader;
    this.#options = options;
  }

  next(): Promise<Result<E>> {
    if (this.#calls > 0 || this.#over) return this.#inTurn(() => this.#next(undefined));
    const asked = this.#ask();
    if (asked instanceof Promise || !isEvent(asked)) return this.#inTurn(() => this.#next(asked));
    this.#given = asked;
    return Promise.resolve({ done: false, value: asked.item });
  }

  /** Ends the reading, also while the next event is awaited, for which a generator's own would wait. */
  return(): Promise<Result<E>> {
    this.#reader.stop();
    return this.#inTurn(async () => {
      await this.#end();
      return { done: true, value: undefined };
    });
  }

  throw(error: unknown): Promise<Result<E>> {
    return this.#inTurn(() => this.#fail(error));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [asyncDispose](): Promise<void> {
    await this.return();
  }

  #inTurn(answer: () => Promise<Result<E>>): Promise<Result<E>> {
    const before = this.#calls++ > 0 ? this.#last : undefined;
    const answered = before ? before.then(answer) : answer();
    const ended = (): void => void this.#calls--;
    this.#last = answered.then(ended, ended);
    return answered;
  }

  async #next(asked: Asked<E> | undefined): Promise<Result<E>> {
    if (this.#over) return { done: true, value: undefined };
    try {
      for (let delivery = await (asked ?? this.#ask()); delivery; delivery = await this.#ask()) {
        const { item, signal } = delivery;
        const event = isFailure<E>(item) ? await this.#readAgain(delivery) : item;
        if (signal.aborted || !event) continue;
        this.#given = event === 'skipped' ? delivery : { ...delivery, item: event };
        if (event !== 'skipped' && !isHeartbeat<E>(event)) return { done: false, value: event };
      }
    } catch (error) {
      return this.#fail(error);
    }
    await this.#end();
    return { done: true, value: undefined };
  }

  #readAgain(delivery: Delivery<E>): Promise<E | FeedHeartbeat | 'skipped' | undefined> {
    return workOn(this.#reader.news, this.#options, delivery, (item) => item);
  }

  /** Records what was given last, and asks for the next. */
  #ask(): Asked<E> {
    try {
      const given = this.#given;
      this.#given = undefined;
      if (!given) return this.#reader.next();
      // A tab that was asleep meanwhile may have been taken for dead.
      const leads = this.#reader.isLeader();
      if (leads !== true) return this.#recordIf(leads, given);
      this.#record(given);
      return this.#reader.next();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #recordIf(leads: boolean | Promise<boolean>, given: Delivery<E>): Promise<Delivery<E> | undefined> {
    if (await leads) this.#record(given);
    return this.#reader.next();
  }

  #record({ item, reading }: Delivery<E>): void {
    const { offset } = item;
    if (!offset || !isConcrete(offset)) return;
    this.#reader.watch(reading.record(offset, isHeartbeat<E>(item) ? { heartbeat: true } : undefined), offset);
  }

  /** What closing fails with then is of less interest. */
  async #fail(reason: unknown): Promise<never> {
    await this.#end().catch(() => {});
    throw reason;
  }

  async #end(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    this.#given = undefined;
    await this.#reader.close();
  }
}

/** Whether it can be given as it is. */
function isEvent<E extends FeedEvent<unknown>>(delivery: Delivery<E>): delivery is Delivery<E> & { readonly item: E } {
  const { item, signal } = delivery;
  return !isFailure<E>(item) && !isHeartbeat<E>(item) && !signal.aborted;
}
