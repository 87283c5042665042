import { FeedChangedError, FeedExpiredError, InvalidOffsetError, OffsetError, quote } from '../errors.ts';
import type { Feed, FeedContext, FeedEvent, FeedHeartbeat, FeedIterator } from '../feeds/feed.ts';
import { Offset, format } from '../offset.ts';

/** An event of a {@link MemoryLog}. */
export interface LogEvent<T> extends FeedEvent<T> {
  /** A sequence. */
  readonly offset: Offset;
}

/** Options of a {@link MemoryLog}. */
export interface MemoryLogOptions {
  /** How many events are kept, counted from the newest; default 10,000. */
  readonly maxEvents?: number;
  /** How long an event is kept, in ms; default: as long as `maxEvents` allows. Looked at when the log is used. */
  readonly maxAgeMs?: number;
  /**
   * The number of the first event, from 1; default 1. A log that starts anew with each process and has readers that know
   * nothing but ids, like `EventSource`, should not use a number twice: `Date.now() * 1000` makes an id from before a
   * restart too old, so that it answers 410.
   */
  readonly first?: number;
  /** Which log the offsets belong to; default: random, made when it is first needed. */
  readonly feedId?: string;
  /** Milliseconds since the Unix epoch; default `Date.now`. */
  readonly now?: () => number;
}

interface Kept<T> {
  readonly data: T;
  readonly at: number;
}

/**
 * A log in memory with a bound, and a feed of itself: for a server whose events are worth keeping for minutes, and for
 * tests. Each reader gets what was appended after its offset, then what is appended from then on, each event once and in
 * order. Offsets are sequences.
 *
 * @example
 * const log = new MemoryLog<Order>({ maxEvents: 1000 });
 * log.append(order); // → Offset.sequence(1)
 * for await (const event of resume(tracker, 'orders', log.feed)) await handle(event.data);
 */
export class MemoryLog<T> {
  readonly #maxEvents: number;
  readonly #maxAgeMs: number;
  readonly #now: () => number;
  readonly #events = new Map<number, Kept<T>>();
  readonly #waiting = new Set<() => void>();
  /** The number of the oldest event that is kept; the next one's where none is. */
  #first: number;
  #next: number;
  #feedId: string | undefined;
  #closed = false;

  /** @throws TypeError for an option that is out of range */
  constructor(options: MemoryLogOptions = {}) {
    const { maxEvents = 10_000, maxAgeMs = Infinity, first = 1, feedId, now = Date.now } = options;
    if (!(maxEvents >= 1)) throw outOfRange('maxEvents', maxEvents, '1 or more');
    if (!(maxAgeMs > 0)) throw outOfRange('maxAgeMs', maxAgeMs, 'more than 0');
    if (!Number.isSafeInteger(first) || first < 1) throw outOfRange('first', first, 'a whole number from 1 on');
    this.#maxEvents = maxEvents;
    this.#maxAgeMs = maxAgeMs;
    this.#now = now;
    this.#first = first;
    this.#next = first;
    this.#feedId = feedId;
  }

  /** Which log the offsets belong to. */
  get feedId(): string {
    this.#feedId ??= Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) =>
      byte.toString(16).padStart(2, '0'),
    ).join('');
    return this.#feedId;
  }

  /** The position of the newest event; the one before the first where there is none yet. */
  get head(): Offset {
    return Offset.sequence(this.#next - 1);
  }

  /** How many events are kept. */
  get size(): number {
    this.#drop();
    return this.#next - this.#first;
  }

  /**
   * Adds an event. The data is handed to all readers as it is: do not change it later.
   * @returns its offset
   * @throws OffsetError (code 'closed') once the log is closed
   */
  append(data: T): Offset {
    if (this.#closed) throw new OffsetError('closed', 'the log is closed: nothing can be appended to it');
    const number = this.#next++;
    this.#events.set(number, { data, at: this.#now() });
    this.#drop();
    this.#wakeAll();
    return Offset.sequence(number);
  }

  /** Ends the log: readers get what is left, then the feed's end. Calling it again changes nothing. */
  close(): void {
    this.#closed = true;
    this.#wakeAll();
  }

  /**
   * The log as a feed. From 'latest' it yields what is appended after this call. Its first item is a heartbeat that says
   * where it starts. An iteration rejects with a FeedExpiredError where the log no longer keeps the next event, also when
   * a slow reader is overtaken while it reads; with a FeedChangedError where the offset is past the newest event; and with
   * an InvalidOffsetError where the offset is no sequence. A custom offset of digits is taken as one.
   */
  readonly feed: Feed<T, LogEvent<T>> = (from, context) => {
    const head = this.#next - 1;
    return { [Symbol.asyncIterator]: () => this.#iterate(from, head, context) };
  };

  #iterate(from: Offset, latest: number, context: FeedContext): FeedIterator<LogEvent<T> | FeedHeartbeat> {
    const { source, signal } = context;
    /** The number of the next event to yield; undefined before the first item. */
    let next: number | undefined;
    let isOver = false;
    let stopWaiting = (): void => {};

    const open = (): FeedHeartbeat => {
      this.#drop();
      const { head, feedId } = this;
      context.opened({ feedId, head });
      const place = this.#place(from, latest, source);
      this.#check(place + 1, source);
      next = place + 1;
      return { heartbeat: true, offset: Offset.sequence(place), head, upToDate: next === this.#next };
    };
    const ready = (): LogEvent<T> | undefined => {
      if (next === undefined || signal.aborted) return undefined;
      const kept = this.#events.get(next);
      if (kept === undefined) return undefined;
      const offset = Offset.sequence(next++);
      return { offset, data: kept.data, upToDate: next === this.#next };
    };

    return {
      ready,
      next: async () => {
        for (;;) {
          if (isOver || signal.aborted) return { done: true, value: undefined };
          const item = next === undefined ? open() : ready();
          const isEnd = this.#closed && next === this.#next;
          if (item && !(isEnd && 'heartbeat' in item)) return { done: false, value: item };
          if (isEnd) return { done: true, value: 'end' };
          if (next !== undefined) this.#check(next, source);
          await new Promise<void>((resolve) => {
            stopWaiting = this.#whenAppended(signal, resolve);
          });
        }
      },
      return: async () => {
        isOver = true;
        stopWaiting();
        return { done: true, value: undefined };
      },
    };
  }

  /** The number of the event that an offset names. */
  #place(from: Offset, latest: number, source: string): number {
    if (from.kind === 'earliest') return this.#first - 1;
    if (from.kind === 'latest') return latest;
    const value = from.kind === 'sequence' ? from.value : numberIn(from);
    if (value === undefined) {
      const message = `${format(from)} of ${quote(source)} is no place in this log: give a sequence`;
      throw new InvalidOffsetError(message, { source });
    }
    if (value < BigInt(this.#next)) return Number(value);
    const { feedId } = this;
    throw new FeedChangedError(
      `${format(from)} of ${quote(source)} is past the newest event, ${format(this.head)}: the log (${feedId}) is another one than the offset belongs to`,
      { source, found: feedId },
    );
  }

  /** @throws FeedExpiredError where the next event is gone */
  #check(next: number, source: string): void {
    this.#drop();
    if (next >= this.#first) return;
    throw new FeedExpiredError(
      `the events of ${quote(source)} from ${next} to ${this.#first - 1} are no longer kept: the log begins after ${this.#first - 1}`,
      { source },
    );
  }

  #drop(): void {
    const oldest = this.#now() - this.#maxAgeMs;
    for (; this.#first < this.#next; this.#first++) {
      const isPast = this.#next - this.#first > this.#maxEvents || (this.#events.get(this.#first)?.at ?? 0) <= oldest;
      if (!isPast) return;
      this.#events.delete(this.#first);
    }
  }

  /** @returns what ends the waiting at once */
  #whenAppended(signal: AbortSignal, resolve: () => void): () => void {
    const wake = (): void => {
      this.#waiting.delete(wake);
      signal.removeEventListener('abort', wake);
      resolve();
    };
    this.#waiting.add(wake);
    signal.addEventListener('abort', wake);
    return wake;
  }

  #wakeAll(): void {
    for (const wake of this.#waiting) wake();
  }
}

function numberIn(offset: Offset): bigint | undefined {
  const isNumber = offset.kind === 'custom' && /^(0|[1-9]\d{0,19})$/.test(offset.value);
  return isNumber ? BigInt(offset.value) : undefined;
}

function outOfRange(name: string, value: number, wanted: string): TypeError {
  return new TypeError(`${name} ${quote(value)}: give ${wanted}`);
}
