import type { Offset } from '../offset.ts';
import type { Rules } from './rules.ts';

/** An event's place in a window. */
export interface Entry {
  readonly offset: Offset;
  readonly begunAt: number;
  state: 'open' | 'done' | 'abandoned' | 'passed';
}

/**
 * The tickets of one reading of a source, numbered as they begin, in a power-of-two ring: begin and finish cost amortised
 * O(1) whatever the order, and finishing allocates nothing.
 */
export class Window {
  /** Tickets begun and not finished. */
  open = 0;
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
  readonly #waiting: (() => void)[] = [];

  constructor(source: string, rules: Rules) {
    this.#source = source;
    this.#rules = rules;
  }

  /** Tickets that the watermark has not passed. */
  get size(): number {
    return this.#begun - this.#passed;
  }

  get full(): boolean {
    return this.size >= this.#rules.maxInFlight;
  }

  /** The last begun. */
  get newest(): Offset | undefined {
    return this.#at(this.#begun - 1)?.offset;
  }

  /** Resolves when there is room for one more. */
  async room(): Promise<void> {
    if (this.full) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  begin(offset: Offset): Entry {
    // Twice the ring has each ticket where twice the length looks for it.
    if (this.size === this.#ring.length) this.#ring = this.#ring.concat(this.#ring);
    const entry: Entry = { offset, begunAt: this.#rules.now(), state: 'open' };
    this.#ring[this.#begun++ & (this.#ring.length - 1)] = entry;
    this.open++;
    this.#watch();
    return entry;
  }

  /**
   * Finishes a ticket, and records what the watermark passes thereby.
   * @returns how many events that are; undefined where the ticket was finished before
   */
  finish(entry: Entry, state: 'done' | 'abandoned', position: { record(offset: Offset): void }): number | undefined {
    if (entry.state !== 'open') return undefined;
    entry.state = state;
    this.open--;
    const before = this.#passed;
    for (let head = this.#at(before); head?.state === 'done'; head = this.#at(this.#passed)) {
      head.state = 'passed';
      this.#passed++;
      position.record(head.offset);
      this.#waiting.shift()?.();
    }
    this.#watch();
    return this.#passed - before;
  }

  /** Reading starts again without these tickets: nobody waits for room here, or for the head. */
  drop(): void {
    clearTimeout(this.#timer);
    for (const wake of this.#waiting) wake();
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
    if (this.#timer !== undefined || this.size === 0 || !head || number === this.#told || stuckAfterMs >= 2 ** 31)
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
