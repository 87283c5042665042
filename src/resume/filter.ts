import { type CompareCustom, compareCustoms } from '../checkpoint.ts';
import { type FeedEvent, type FeedItem, type FeedWarning, isHeartbeat } from '../feeds/feed.ts';
import { type Offset, equals, format, order } from '../offset.ts';

/** How many opaque offsets are remembered. */
const memory = 256;

/**
 * Leaves out what a feed sends although it is at or before the place: exactly where offsets have an order; opaque ones
 * where they come first after an opening and are among the last 256.
 */
export class Filter {
  readonly #compare: ((a: string, b: string) => number) | undefined;
  readonly #warn: (code: FeedWarning, message: string) => void;
  #place: Offset;
  /** The last opaque offsets, in a ring: one is added for each event, and looked for only after an opening. */
  readonly #seen: string[] = [];
  #added = 0;
  #openedBefore = false;
  /** Whether nothing new has come since the server was asked. */
  #first = true;
  /** The opaque offset that the server was asked after. */
  #asked: string | undefined;
  /** The opaque offset of the first new event that came then, or the last time. */
  #start: string | undefined;

  constructor(
    from: Offset,
    source: string,
    compare: CompareCustom | undefined,
    warn: (code: FeedWarning, message: string) => void,
  ) {
    this.#place = from;
    this.#compare = compare && ((a, b) => compareCustoms(a, b, source, compare));
    this.#warn = warn;
    if (from.kind === 'custom') this.#remember(from.value);
  }

  /** Where to open the feed. */
  get place(): Offset {
    return this.#place;
  }

  /** Whether the place is after a feed's newest event, which cannot be. */
  isBehind(head: Offset): boolean {
    const compared = this.#order(head);
    return compared !== undefined && compared < 0;
  }

  opened(): void {
    if (this.#place.kind === 'latest' && this.#openedBefore) {
      this.#warn(
        'latest-not-pinned',
        "the feed starts at 'latest' and dropped before it said where that is: what came meanwhile is skipped. Have it " +
          'tell its newest offset as it opens, or send a heartbeat with an offset',
      );
    }
    this.#openedBefore = true;
    this.asked();
  }

  /** The server was asked after the place, which a feed of pages does again and again: what comes first may repeat. */
  asked(): this {
    this.#first = true;
    this.#asked = this.#place.kind === 'custom' ? this.#place.value : undefined;
    return this;
  }

  /** Whether an item is after the place, which it moves then. */
  takes<E extends FeedEvent<unknown>>(item: FeedItem<unknown, E>): boolean {
    const { offset } = item;
    if (isHeartbeat(item)) return offset !== undefined && this.moves(offset);
    return offset === undefined || this.#isNew(offset);
  }

  /** Whether a heartbeat's offset moves the place. */
  moves(offset: Offset): boolean {
    const compared = this.#order(offset);
    const isNew =
      compared === undefined ? !(offset.kind === 'custom' && this.#seen.includes(offset.value)) : compared > 0;
    if (isNew) this.#move(offset);
    return isNew;
  }

  /** Whether an event at an offset is new. */
  #isNew(offset: Offset): boolean {
    const compared = this.#order(offset);
    if (compared === undefined) return this.#isNewOpaque(offset);
    if (compared < 0 || (compared === 0 && this.#first)) {
      if (this.#first) this.#repeats(offset);
      else this.#warn('offset-goes-back', `'${format(offset)}' comes after '${format(this.#place)}': left out`);
      return false;
    }
    if (equals(offset, this.#place)) {
      this.#warn('shared-offset', `two events share '${format(offset)}': a reading that stops between them skips one`);
    }
    this.#move(offset);
    return true;
  }

  #isNewOpaque(offset: Offset): boolean {
    const value = offset.kind === 'custom' ? offset.value : undefined;
    if (value !== undefined && this.#first && this.#seen.includes(value)) {
      this.#repeats(offset);
      return false;
    }
    if (value !== undefined) this.#watch(value);
    this.#move(offset);
    return true;
  }

  /** Notices a server that begins before the place, further back than is remembered. */
  #watch(value: string): void {
    const isAgain = value === this.#asked || (this.#first && value === this.#start);
    if (this.#first) this.#start = value;
    this.#remember(value);
    if (!isAgain) return;
    this.#warn(
      'id-ignored',
      `the feed sends '${value}' again, though it was asked to go on after '${this.#asked}': it begins before that, and ` +
        'what it repeats is processed again. Have it answer strictly after the place',
    );
  }

  #remember(value: string): void {
    this.#seen[this.#added++ % memory] = value;
  }

  #move(offset: Offset): void {
    this.#place = offset;
    this.#first = false;
  }

  #repeats(offset: Offset): void {
    this.#warn(
      'id-ignored',
      `the feed sends '${format(offset)}' again, which is not after '${format(this.#place)}': left out`,
    );
  }

  #order(offset: Offset): number | undefined {
    const place = this.#place;
    if (place.kind !== offset.kind) return undefined;
    if (offset.kind === 'custom' && place.kind === 'custom') return this.#compare?.(offset.value, place.value);
    return order(offset, place);
  }
}
