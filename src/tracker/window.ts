import type { Offset } from '../offset.ts';

/** What the windows of one tracker have in common. */
export interface WindowRules {
  /** Tickets from the oldest unfinished to the newest. */
  readonly maxInFlight: number;
  /** Ms after which a ticket that holds the watermark up is reported, once. */
  readonly stuckAfterMs: number;
  /** The clock, in ms. */
  readonly now: () => number;
}

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
  readonly #rules: WindowRules;
  readonly #blocked: (offset: Offset) => void;
  #ring: (Entry | undefined)[] = [undefined];
  /** How many have begun, and how many of them the watermark has passed: the number of the next, and of the head. */
  #begun = 0;
  #passed = 0;
  /** The number of the head that was last told of. */
  #told = -1;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Those who wait for room, in order. */
  readonly #waiting: (() => void)[] = [];

  constructor(rules: WindowRules, blocked: (offset: Offset) => void) {
    this.#rules = rules;
    this.#blocked = blocked;
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

  /** @returns false where it has been finished before */
  finish(entry: Entry, state: 'done' | 'abandoned'): boolean {
    if (entry.state !== 'open') return false;
    entry.state = state;
    this.open--;
    return true;
  }

  /** Moves the watermark over the next processed event. @returns its offset; undefined where the head is not done */
  advance(): Offset | undefined {
    const head = this.#at(this.#passed);
    if (head?.state !== 'done') return undefined;
    head.state = 'passed';
    this.#passed++;
    this.#waiting.shift()?.();
    this.#watch();
    return head.offset;
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
    const { stuckAfterMs, now } = this.#rules;
    // What `setTimeout` cannot wait for is not waited for.
    if (this.#timer !== undefined || this.size === 0 || !head || number === this.#told || stuckAfterMs >= 2 ** 31) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        if (number === this.#passed) {
          this.#told = number;
          this.#blocked(head.offset);
        }
        this.#watch();
      },
      head.begunAt + stuckAfterMs - now(),
    );
    // A process with nothing left to do but to complain may end.
    if (typeof this.#timer === 'object') this.#timer.unref();
  }
}
