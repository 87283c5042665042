import type { Offset } from '../offset.ts';

const open = 0;
const done = 1;
const abandoned = 2;

/**
 * The tickets of one reading of a source: a power-of-two ring indexed by a dense ticket number, so that begin and finish
 * cost amortised O(1) whatever the order, and finishing allocates nothing.
 */
export class Window {
  #offsets: (Offset | undefined)[] = Array.from({ length: 16 });
  #marks = new Uint8Array(16);
  #begunAt = new Float64Array(16);
  /** The oldest ticket that the watermark has not passed. */
  head = 0;
  /** The next ticket. */
  tail = 0;
  /** Tickets begun and not finished. */
  open = 0;
  /** The head ticket that has been reported to hold the watermark up. */
  blocked = -1;
  /** Those who wait for room, in order. */
  readonly waiting: (() => void)[] = [];

  get size(): number {
    return this.tail - this.head;
  }

  begin(offset: Offset, now: number): number {
    if (this.size === this.#offsets.length) this.#grow();
    const at = this.tail & (this.#offsets.length - 1);
    this.#offsets[at] = offset;
    this.#marks[at] = open;
    this.#begunAt[at] = now;
    this.open++;
    return this.tail++;
  }

  /** @returns false where the ticket has been finished before */
  finish(ticket: number, processed: boolean): boolean {
    const at = ticket & (this.#offsets.length - 1);
    if (ticket < this.head || this.#marks[at] !== open) return false;
    this.#marks[at] = processed ? done : abandoned;
    this.open--;
    return true;
  }

  /** Moves the watermark over the next processed event. @returns its offset; undefined where the head is not done */
  advance(): Offset | undefined {
    const at = this.head & (this.#offsets.length - 1);
    if (this.size === 0 || this.#marks[at] !== done) return undefined;
    const offset = this.#offsets[at];
    this.#offsets[at] = undefined;
    this.head++;
    this.waiting.shift()?.();
    return offset;
  }

  /** The event that holds the watermark up, and since when (ms). */
  oldest(): { readonly offset: Offset; readonly begunAt: number } | undefined {
    const at = this.head & (this.#offsets.length - 1);
    const offset = this.size === 0 ? undefined : this.#offsets[at];
    return offset && { offset, begunAt: this.#begunAt[at] ?? 0 };
  }

  #grow(): void {
    const [offsets, marks, begunAt] = [this.#offsets, this.#marks, this.#begunAt];
    const old = offsets.length;
    this.#offsets = Array.from({ length: old * 2 });
    this.#marks = new Uint8Array(old * 2);
    this.#begunAt = new Float64Array(old * 2);
    for (let ticket = this.head; ticket < this.tail; ticket++) {
      const [from, to] = [ticket & (old - 1), ticket & (old * 2 - 1)];
      this.#offsets[to] = offsets[from];
      this.#marks[to] = marks[from] ?? open;
      this.#begunAt[to] = begunAt[from] ?? 0;
    }
  }
}
