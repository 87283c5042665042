import { OffsetError, quote } from '../errors.ts';
import { type Offset, format } from '../offset.ts';
import type { Rules } from './rules.ts';

/** An event's place in a window. */
export interface Entry {
  readonly offset: Offset;
  readonly heartbeat: boolean;
  readonly begunAt: number;
  state: 'open' | 'done' | 'abandoned' | 'passed';
}

interface Waiter {
  readonly offset: Offset;
  readonly heartbeat: boolean;
  /** With an entry of the window, or undefined where the window is void. */
  readonly grant: (entry: Entry | undefined) => void;
  readonly refuse: (error: unknown) => void;
}

/**
 * The tickets of one reading, numbered as they begin, in a power-of-two ring: begin and finish cost amortised O(1) whatever
 * the order, and finishing allocates nothing.
 */
export class Window {
  /** Tickets begun and not finished. */
  open = 0;
  /** The last that asked for a place. */
  newest: Offset | undefined;
  readonly #source: string;
  readonly #rules: Rules;
  #ring: (Entry | undefined)[] = [undefined];
  /** How many have begun, and how many of them the watermark has passed: the number of the next, and of the head. */
  #begun = 0;
  #passed = 0;
  /** The number of the head that was last told of. */
  #told = -1;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Those who wait for room, in order. */
  readonly #waiting = new Set<Waiter>();

  constructor(source: string, rules: Rules) {
    this.#source = source;
    this.#rules = rules;
  }

  /** Tickets that the watermark has not passed, and those that wait for room. */
  get size(): number {
    return this.#begun - this.#passed + this.#waiting.size;
  }

  /** Takes a place at once; undefined where there is none, or others wait. */
  begin(offset: Offset, heartbeat: boolean): Entry | undefined {
    this.newest = offset;
    return this.#full || this.#waiting.size > 0 ? undefined : this.#add(offset, heartbeat);
  }

  /** Waits for a place, in the order of the calls; resolves with undefined where the window is void. */
  async wait(offset: Offset, heartbeat: boolean, signal: AbortSignal | undefined): Promise<Entry | undefined> {
    const blocked = this.#blocked();
    if (blocked) throw blocked;
    signal?.throwIfAborted();
    let stop = (): void => {};
    try {
      return await new Promise<Entry | undefined>((grant, refuse) => {
        const waiter = { offset, heartbeat, grant, refuse };
        this.#waiting.add(waiter);
        stop = () => {
          if (this.#waiting.delete(waiter)) refuse(signal?.reason);
        };
        signal?.addEventListener('abort', stop);
      });
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  /**
   * Finishes a ticket, and records what the watermark passes thereby.
   * @returns how many events that are; undefined where the ticket was finished before
   */
  finish(
    entry: Entry,
    state: 'done' | 'abandoned',
    record: (offset: Offset, heartbeat: boolean) => void,
  ): number | undefined {
    if (entry.state !== 'open') return undefined;
    entry.state = state;
    this.open--;
    const before = this.#passed;
    try {
      for (let head = this.#at(before); head?.state === 'done'; head = this.#at(this.#passed)) {
        record(head.offset, head.heartbeat);
        head.state = 'passed';
        this.#passed++;
      }
    } finally {
      this.#admit();
      this.#watch();
    }
    return this.#passed - before;
  }

  /** The tickets are void: nobody waits for room here, or for the head. @param error what those who wait reject with */
  drop(error?: OffsetError): void {
    clearTimeout(this.#timer);
    this.open = 0;
    for (const { grant, refuse } of this.#waiting) {
      if (error) refuse(error);
      else grant(undefined);
    }
    this.#waiting.clear();
  }

  get #full(): boolean {
    return this.#begun - this.#passed >= this.#rules.maxInFlight;
  }

  #admit(): void {
    for (const waiter of this.#waiting) {
      if (this.#full) break;
      this.#waiting.delete(waiter);
      waiter.grant(this.#add(waiter.offset, waiter.heartbeat));
    }
    const blocked = this.#waiting.size > 0 && this.#blocked();
    if (!blocked) return;
    for (const { refuse } of this.#waiting) refuse(blocked);
    this.#waiting.clear();
  }

  /** Where there is no room and nothing in flight: the head was abandoned, and nothing can ever move the watermark. */
  #blocked(): OffsetError | undefined {
    const head = this.#at(this.#passed);
    if (!head || this.open > 0) return undefined;
    const source = this.#source;
    return new OffsetError(
      'in-flight',
      `${quote(source)}: '${format(head.offset)}' was abandoned and blocks all room: close this reading and read again from there`,
      { source },
    );
  }

  #add(offset: Offset, heartbeat: boolean): Entry {
    // Twice the ring has each ticket where twice the length looks for it.
    if (this.#begun - this.#passed === this.#ring.length) this.#ring = this.#ring.concat(this.#ring);
    const entry: Entry = { offset, heartbeat, begunAt: this.#rules.now(), state: 'open' };
    this.#ring[this.#begun++ & (this.#ring.length - 1)] = entry;
    this.open++;
    this.#watch();
    return entry;
  }

  #at(number: number): Entry | undefined {
    return this.#ring[number & (this.#ring.length - 1)];
  }

  /** Looks at the head when it has had its time; a younger one has taken its place by then, or it is stuck. */
  #watch(): void {
    const number = this.#passed;
    const head = this.#at(number);
    const { stuckAfterMs, now, listeners } = this.#rules;
    // What `setTimeout` cannot wait for is not waited for.
    if (
      this.#timer !== undefined ||
      number === this.#begun ||
      !head ||
      number === this.#told ||
      stuckAfterMs >= 2 ** 31
    )
      return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        if (number === this.#passed) {
          this.#told = number;
          listeners.tell('blocked', 'local', this.#source, head.offset);
        }
        this.#watch();
      },
      head.begunAt + stuckAfterMs - now(),
    );
    // A process with nothing left to do but to complain may end.
    if (typeof this.#timer === 'object') this.#timer.unref();
  }
}
