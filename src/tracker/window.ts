import type { Offset } from '../offset.ts';

const open = 0;
const done = 1;
const abandoned = 2;

/** What the windows of one tracker have in common. */
export interface WindowRules {
  /** Tickets from the oldest unfinished to the newest. */
  readonly maxInFlight: number;
  /** Ms after which a ticket that holds the watermark up is reported, once. */
  readonly stuckAfterMs: number;
  /** The clock, in ms. */
  readonly now: () => number;
}

/**
 * The tickets of one reading of a source: a power-of-two ring indexed by a dense ticket number, so that begin and finish
 * cost amortised O(1) whatever the order, and finishing allocates nothing.
 */
export class Window {
  /** Tickets begun and not finished. */
  open = 0;
  readonly #rules: WindowRules;
  readonly #blocked: (offset: Offset) => void;
  #offsets: (Offset | undefined)[] = Array.from({ length: 16 });
  #marks = new Uint8Array(16);
  #begunAt = new Float64Array(16);
  /** The oldest ticket that the watermark has not passed, and the next to begin. */
  #head = 0;
  #tail = 0;
  #reported = -1;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Those who wait for room, in order. */
  readonly #waiting: (() => void)[] = [];

  constructor(rules: WindowRules, blocked: (offset: Offset) => void) {
    this.#rules = rules;
    this.#blocked = blocked;
  }

  get size(): number {
    return this.#tail - this.#head;
  }

  get full(): boolean {
    return this.size >= this.#rules.maxInFlight;
  }

  /** Resolves when there is room for one more. */
  async room(): Promise<void> {
    if (this.full) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  begin(offset: Offset): number {
    if (this.size === this.#marks.length) this.#grow();
    const at = this.#at(this.#tail);
    this.#offsets[at] = offset;
    this.#marks[at] = open;
    this.#begunAt[at] = this.#rules.now();
    this.open++;
    this.#watch();
    return this.#tail++;
  }

  /** @returns false where the ticket has been finished before */
  finish(ticket: number, processed: boolean): boolean {
    const at = this.#at(ticket);
    if (ticket < this.#head || this.#marks[at] !== open) return false;
    this.#marks[at] = processed ? done : abandoned;
    this.open--;
    return true;
  }

  /** Moves the watermark over the next processed event. @returns its offset; undefined where the head is not done */
  advance(): Offset | undefined {
    const at = this.#at(this.#head);
    if (this.size === 0 || this.#marks[at] !== done) return undefined;
    const offset = this.#offsets[at];
    this.#offsets[at] = undefined;
    this.#head++;
    this.#waiting.shift()?.();
    if (this.size > 0) this.#watch();
    return offset;
  }

  /** Reading starts again without these tickets: nobody waits for room here, or for the head. */
  drop(): void {
    clearTimeout(this.#timer);
    for (const wake of this.#waiting) wake();
  }

  #at(ticket: number): number {
    return ticket & (this.#marks.length - 1);
  }

  /** Looks at the head when it has had its time; a younger one has taken its place by then, or it is stuck. */
  #watch(): void {
    if (this.#timer !== undefined || this.#reported === this.#head) return;
    const head = this.#head;
    const { stuckAfterMs, now } = this.#rules;
    const age = now() - (this.#begunAt[this.#at(head)] ?? 0);
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        const offset = this.#offsets[this.#at(head)];
        if (head === this.#head && offset) {
          this.#reported = head;
          this.#blocked(offset);
        } else if (this.size > 0) this.#watch();
      },
      Math.max(0, stuckAfterMs - age),
    );
    // A process with nothing left to do but to complain may end.
    if (typeof this.#timer === 'object') this.#timer.unref();
  }

  #grow(): void {
    const [offsets, marks, begunAt] = [this.#offsets, this.#marks, this.#begunAt];
    const old = marks.length;
    this.#offsets = Array.from({ length: old * 2 });
    this.#marks = new Uint8Array(old * 2);
    this.#begunAt = new Float64Array(old * 2);
    for (let ticket = this.#head; ticket < this.#tail; ticket++) {
      const [from, to] = [ticket & (old - 1), this.#at(ticket)];
      this.#offsets[to] = offsets[from];
      this.#marks[to] = marks[from] ?? open;
      this.#begunAt[to] = begunAt[from] ?? 0;
    }
  }
}
