import type { FeedEvent } from '../feeds/feed.ts';
import { isConcrete } from '../offset.ts';
import type { Delivery } from './delivery.ts';

/** An item that was read, and the work on it that may be done ahead. */
export interface Slot<E extends FeedEvent<unknown>, R> {
  readonly delivery: Delivery<E>;
  readonly ready: Promise<R>;
}

/** What waits in the middle, in the order of the feed, until it makes a batch. One puts, and one takes. */
export class Queue<E extends FeedEvent<unknown>, R> {
  readonly #size: number;
  readonly #intervalMs: number;
  readonly #capacity: number;
  #slots: Slot<E, R>[] = [];
  /** How many of them have an offset, and where the last of those ends. */
  #placed = 0;
  #end = 0;
  /** When the first of them came, in ms. */
  #since = 0;
  #ended = false;
  #abandoned = false;
  #wakeTaker: (() => void) | undefined;
  #wakePutter: (() => void) | undefined;

  /**
   * @param size how many offsets make a batch
   * @param intervalMs after which a batch is taken that is not full
   * @param capacity how many offsets may wait
   */
  constructor(size: number, intervalMs: number, capacity: number) {
    this.#size = size;
    this.#intervalMs = intervalMs;
    this.#capacity = capacity;
  }

  /** Items that came after the last offset: nothing can be stored for them yet. */
  get placeless(): number {
    return this.#slots.length - this.#end;
  }

  /** Resolves when there is room for another. */
  async put(slot: Slot<E, R>): Promise<void> {
    const [before] = this.#slots.slice(-1);
    // A feed that was opened anew sends again what had no place to go on from.
    const isRepeated = before && before.delivery.opening !== slot.delivery.opening;
    if (isRepeated) this.#slots.length = this.#end;
    if (this.#slots.length === 0) this.#since = performance.now();
    this.#slots.push(slot);
    this.#count(slot);
    this.#wakeTaker?.();
    while (!this.#abandoned && this.#placed >= this.#capacity) {
      await new Promise<void>((resolve) => (this.#wakePutter = resolve));
    }
  }

  /** No more is put. */
  end(): void {
    this.#ended = true;
    this.#wakeTaker?.();
  }

  /** No more is taken. */
  abandon(): void {
    this.#abandoned = true;
    this.#wakePutter?.();
  }

  /** The next batch, which ends with an offset; undefined at the end. */
  async take(): Promise<readonly Slot<E, R>[] | undefined> {
    for (;;) {
      const count = this.#due();
      if (count > 0) return this.#cut(count);
      if (this.#ended) return undefined;
      await this.#more();
    }
  }

  /** How many slots make the batch that is to be taken now. */
  #due(): number {
    // What is void comes first: what a new reading reads comes after it.
    if (this.#slots[0]?.delivery.signal.aborted)
      this.#keep(this.#slots.filter((slot) => !slot.delivery.signal.aborted));
    const isDue = this.#ended || this.#placed >= this.#size || performance.now() - this.#since >= this.#intervalMs;
    if (!isDue) return 0;
    if (this.#placed <= this.#size) return this.#end;
    let left = this.#size;
    return this.#slots.findIndex((slot) => isPlaced(slot) && --left === 0) + 1;
  }

  #cut(count: number): readonly Slot<E, R>[] {
    const batch = this.#slots.slice(0, count);
    this.#keep(this.#slots.slice(count));
    this.#since = performance.now();
    this.#wakePutter?.();
    return batch;
  }

  #keep(slots: Slot<E, R>[]): void {
    this.#slots = [];
    this.#placed = this.#end = 0;
    for (const slot of slots) {
      this.#slots.push(slot);
      this.#count(slot);
    }
  }

  /** The last slot is new. */
  #count(slot: Slot<E, R>): void {
    if (!isPlaced(slot)) return;
    this.#placed++;
    this.#end = this.#slots.length;
  }

  /** Resolves when something has come, or the time of what waits. */
  async #more(): Promise<void> {
    this.#wakePutter?.();
    const leftMs = this.#since + this.#intervalMs - performance.now();
    const isTimed = this.#placed > 0 && leftMs < 2 ** 31;
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.#wakeTaker = resolve;
      if (isTimed) timer = setTimeout(resolve, Math.max(0, leftMs));
    });
    clearTimeout(timer);
  }
}

function isPlaced({ delivery }: Slot<FeedEvent<unknown>, unknown>): boolean {
  const { offset } = delivery.item;
  return offset !== undefined && isConcrete(offset);
}
