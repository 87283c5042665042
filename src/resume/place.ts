import { type CompareCustom, compareCustoms } from '../checkpoint.ts';
import { type Offset, equals, format, isConcrete, order } from '../offset.ts';
import type { Place } from '../tabs/relay.ts';

/** How many places a viewer remembers, by which it knows what it has seen where offsets have no order. */
const memory = 4096;

/** Numbers the items of a feed that is opened at an offset. Every tab that reads the feed comes to the same places. */
export class Placer {
  place: Place;

  constructor(from: Offset) {
    this.place = { offset: from, index: 0 };
  }

  /** The feed is opened anew at its last offset: what follows it without one comes again. */
  reopened(): void {
    this.place = { offset: this.place.offset, index: 0 };
  }

  /** @param offset of the next item */
  next(offset: Offset | undefined): { readonly after: Place; readonly place: Place } {
    const after = this.place;
    const isNew = offset !== undefined && isConcrete(offset) && !equals(offset, after.offset);
    this.place = isNew ? { offset, index: 0 } : { offset: after.offset, index: after.index + 1 };
    return { after, place: this.place };
  }
}

/** Up to where a tab has seen a feed. */
export class Sight {
  place: Place;
  readonly #compare: ((a: string, b: string) => number) | undefined;
  readonly #keys = new Set<string>();

  constructor(place: Place, source: string, compare: CompareCustom | undefined) {
    this.#compare = compare && ((a, b) => compareCustoms(a, b, source, compare));
    this.place = place;
    this.move(place);
  }

  move(place: Place): void {
    this.place = place;
    this.#keys.add(keyOf(place));
    const [oldest] = this.#keys;
    if (this.#keys.size > memory && oldest !== undefined) this.#keys.delete(oldest);
  }

  /** Whether a place is at or before this one, as far as that can be told. */
  has(place: Place): boolean {
    if (this.#keys.has(keyOf(place))) return true;
    const compared = this.#order(place.offset);
    return compared !== undefined && (compared < 0 || (compared === 0 && place.index <= this.place.index));
  }

  #order(offset: Offset): number | undefined {
    const mine = this.place.offset;
    if (equals(offset, mine)) return 0;
    const isOrdered = mine.kind !== 'custom' || this.#compare !== undefined;
    if (offset.kind === 'earliest') return isConcrete(mine) && isOrdered ? -1 : undefined;
    if (offset.kind !== mine.kind) return undefined;
    if (offset.kind === 'custom' && mine.kind === 'custom') return this.#compare?.(offset.value, mine.value);
    return order(offset, mine);
  }
}

/** The same text for the same place. */
export function keyOf({ offset, index }: Place): string {
  return `${index} ${format(offset)}`;
}
