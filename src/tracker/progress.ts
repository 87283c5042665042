import { type CompareCustom, compareCustoms } from '../checkpoint.ts';
import { type Offset, equals, isConcrete, order } from '../offset.ts';

/** What a feed tells of how far it is. */
export interface Told {
  /** The position of its newest event. */
  readonly head?: Offset | undefined;
  /** Whether it has nothing after `place`; undefined where it does not say. */
  readonly upToDate?: boolean | undefined;
  /** How far it has been read, which need not be recorded yet; default: what is recorded. */
  readonly place?: Offset | undefined;
}

/** How far the feed of a source is, as it says itself, and whether all of that is recorded. */
export class Progress {
  readonly #compare: ((a: string, b: string) => number) | undefined;
  /** The last event that the feed is known to have. */
  head: Offset | undefined;
  /** Whether all that the feed had when it last said so is recorded; once it is, it stays so until the feed says more. */
  caughtUp: boolean | undefined;
  /** Where the feed ended when it last said so. */
  #end: Offset | undefined;

  constructor(source: string, compare: CompareCustom | undefined) {
    this.#compare = compare && ((a, b) => compareCustoms(a, b, source, compare));
  }

  /** @returns whether that is news */
  told({ head, upToDate, place }: Told, recorded: Offset | undefined): boolean {
    const before = this.caughtUp;
    const isKnown = head ?? (this.#end && equals(this.#end, this.head));
    if (head) this.head = this.#end = head;
    if (upToDate) this.#end = place ?? recorded ?? { kind: 'earliest' };
    // There is more; where the head is known, that says when all has come.
    else if (upToDate === false && !isKnown) this.#end = undefined;
    if (!head && upToDate === undefined) return false;
    this.caughtUp = this.#end !== undefined && this.#isReached(recorded);
    return head !== undefined || upToDate === true || this.caughtUp !== before;
  }

  /** An offset is recorded. @returns whether the source is caught up with thereby */
  reaches(offset: Offset | undefined): boolean {
    if (this.caughtUp !== false || !this.#end || !this.#isReached(offset)) return false;
    this.caughtUp = true;
    return true;
  }

  /** From an offset to the head: events for sequences, ms for timestamps; of opaque ones only whether they are one. */
  lagOf(recorded: Offset | undefined): number | undefined {
    const { head } = this;
    if (!recorded || !head) return undefined;
    if (recorded.kind === 'sequence' && head.kind === 'sequence')
      return Math.max(0, Number(head.value - recorded.value));
    if (recorded.kind === 'timestamp' && head.kind === 'timestamp') return Math.max(0, +head.value - +recorded.value);
    return equals(recorded, head) ? 0 : undefined;
  }

  #isReached(offset: Offset | undefined): boolean {
    const end = this.#end;
    // Before the first event there is nothing that could be recorded.
    if (!end || !isConcrete(end)) return true;
    if (offset?.kind !== end.kind) return false;
    if (end.kind !== 'custom' || offset.kind !== 'custom') return order(offset, end) >= 0;
    return this.#compare ? this.#compare(offset.value, end.value) >= 0 : offset.value === end.value;
  }
}
