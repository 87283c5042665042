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
  state: 'open' | 'done' | 'abandoned';
}

/**
 * The tickets of one reading of a source, in a power-of-two ring: begin and finish cost amortised O(1) whatever the
 * order, and finishing allocates nothing.
 */
export class Window {
  /** Tickets begun and not finished. */
  open = 0;
  readonly #rules: WindowRules;
  readonly #blocked: (offset: Offset) => void;
  #ring: (Entry | undefined)[] = Array.from({ length: 16 });
  /** The oldest that the watermark has not passed, and how many there are from it on. */
  #head = 0;
  #size = 0;
  #reported: Entry | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Those who wait for room, in order. */
  readonly #waiting: (() => void)[] = [];

  constructor(rules: WindowRules, blocked: (offset: Offset) => void) {
    this.#rules = rules;
    this.#blocked = blocked;
  }

  get size(): number {
    return this.#size;
  }

  get full(): boolean {
    return this.#size >= this.#rules.maxInFlight;
  }

  /** The last begun that the watermark has not passed. */
  get newest(): Offset | undefined {
    return this.#at(this.#size - 1)?.offset;
  }

  /** Resolves when there is room for one more. */
  async room(): Promise<void> {
    if (this.full) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  begin(offset: Offset): Entry {
    const { length } = this.#ring;
    if (this.#size === length) {
      this.#ring = Array.from({ length: 2 * length }, (_, i) => (i < length ? this.#at(i) : undefined));
      this.#head = 0;
    }
    const entry: Entry = { offset, begunAt: this.#rules.now(), state: 'open' };
    this.#ring[(this.#head + this.#size++) & (this.#ring.length - 1)] = entry;
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
    const head = this.#at(0);
    if (head?.state !== 'done') return undefined;
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#size--;
    this.#waiting.shift()?.();
    this.#watch();
    return head.offset;
  }

  /** Reading starts again without these tickets: nobody waits for room here, or for the head. */
  drop(): void {
    clearTimeout(this.#timer);
    for (const wake of this.#waiting) wake();
  }

  #at(place: number): Entry | undefined {
    return this.#ring[(this.#head + place) & (this.#ring.length - 1)];
  }

  /** Looks at the head when it has had its time; a younger one has taken its place by then, or it is stuck. */
  #watch(): void {
    const head = this.#at(0);
    if (this.#timer !== undefined || !head || head === this.#reported) return;
    const { stuckAfterMs, now } = this.#rules;
    // What `setTimeout` cannot wait for is not waited for.
    if (stuckAfterMs >= 2 ** 31) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        if (head !== this.#at(0)) return this.#watch();
        this.#reported = head;
        this.#blocked(head.offset);
      },
      head.begunAt + stuckAfterMs - now(),
    );
    // A process with nothing left to do but to complain may end.
    if (typeof this.#timer === 'object') this.#timer.unref();
  }
}
