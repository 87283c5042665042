import { quote } from '../../errors.ts';
import type { Offset } from '../../offset.ts';
import type { FeedContext, FeedItem } from '../feed.ts';
import type { FeedErrors } from '../feed-errors.ts';
import { custom } from '../http/place.ts';
import type { Block } from './event-stream.ts';
import type { SseEvent, SseMessage, SseOptions } from './options.ts';

export type SseItem<T> = FeedItem<T, SseEvent<T>>;

/** What all openings of a feed have in common. */
export interface Seen {
  /** Events so far, where none has an id. */
  without: number;
}

/** After so many events without an id it is said that nothing can be recorded. */
const enough = 10;

/** Makes items of the blocks of one opening. */
export class Items<T> {
  readonly #options: SseOptions<T>;
  readonly #context: FeedContext;
  readonly #errors: FeedErrors;
  #blocks: readonly Block[] = [];
  #taken = 0;
  /** The last event id. */
  #id: string;
  /** The id of the last event that has one. */
  #eventId: string | undefined;
  /** Whether an event of that id has carried its offset. */
  #carried = false;
  /** What the events of that id stand for where they share it, until another id shows that all have come. */
  #shared: Offset | undefined;
  readonly #seen: Seen;

  /** @param id the last event id that the server was sent */
  constructor(
    options: SseOptions<T>,
    { context, errors, seen }: { readonly context: FeedContext; readonly errors: FeedErrors; readonly seen: Seen },
    id: string,
  ) {
    this.#options = options;
    this.#context = context;
    this.#errors = errors;
    this.#seen = seen;
    this.#id = id;
  }

  get lastEventId(): string {
    return this.#id;
  }

  /** Adds the blocks of a chunk, once those before have been taken. */
  add(blocks: readonly Block[]): void {
    this.#blocks = blocks;
    this.#taken = 0;
  }

  take(): SseItem<T | string> | undefined {
    const block = this.#blocks[this.#taken];
    if (!block) return undefined;
    const { id } = block;
    if (this.#shared && id !== undefined && id !== this.#eventId) {
      const offset = this.#shared;
      this.#shared = undefined;
      return { heartbeat: true, offset };
    }
    this.#taken++;
    const carries = this.#carries(block);
    if (id !== undefined) this.#id = id;
    return this.#read(block, this.#id, carries);
  }

  /** Whether a block's offset is one to go on from: the last of the events of one id carries it. */
  #carries({ id, data }: Block): boolean {
    if (!id) {
      if (data !== undefined) this.#count();
      // An empty id takes the last one back, once.
      return id === undefined || this.#id !== '';
    }
    this.#seen.without = -Infinity;
    const { sharedIds = false } = this.#options;
    const again = id === this.#eventId;
    if (data === undefined) return !(sharedIds && again);
    if (!again) this.#carried = false;
    else if (!sharedIds) this.#warnShared(id);
    this.#eventId = id;
    const next = this.#blocks[this.#taken];
    if (sharedIds || this.#carried || (next?.id === id && next.data !== undefined)) return false;
    this.#carried = true;
    return true;
  }

  #count(): void {
    if (++this.#seen.without !== enough) return;
    this.#context.warn(
      'no-ids',
      `the events of ${quote(this.#context.source)} have no ids: no place can be recorded, and all come again. Have the ` +
        'server send an `id:` with each event, or read the place from the event by the option `offset`',
    );
  }

  #warnShared(id: string): void {
    this.#context.warn(
      'shared-offset',
      `two events of ${quote(this.#context.source)} have the id ${quote(id)}: where reading stops between them, the ` +
        'second may be skipped. Give each event an id of its own, or set `sharedIds`',
    );
  }

  #read(block: Block, id: string, carries: boolean): SseItem<T | string> {
    const { type, data } = block;
    const { parse, sharedIds } = this.#options;
    let offset: Offset | undefined;
    try {
      const place = this.#placeOf(block, id);
      if (carries) offset = place;
      else if (sharedIds && block.id) this.#shared = place;
      if (data === undefined) return { heartbeat: true, offset };
      return { offset, id, type, data: parse ? parse(data) : data };
    } catch (cause) {
      if (offset && data === '') return { heartbeat: true, offset };
      const event: SseMessage = { id, type, data: data ?? '' };
      const failed = this.#errors.final(`the event ${quote(id)} cannot be read: ${cause}`, { cause, event, offset });
      return { failed, offset, again: () => this.#read(block, id, carries) };
    }
  }

  #placeOf({ id, type, data = '' }: Block, lastId: string): Offset | undefined {
    // Most events take this way, and need no message of their own.
    if (!this.#options.offset) return id === undefined ? undefined : custom(id);
    const place = this.offsetOf(id, { id: lastId, type, data });
    if (place) this.#seen.without = -Infinity;
    return place;
  }

  /** The offset of an id, an event's own; of an event without one where a function reads events. */
  offsetOf(id: string | undefined, message: SseMessage): Offset | undefined {
    const { offset } = this.#options;
    if (offset && (id || offset.length > 1)) return offset(id ?? '', message);
    return offset || id === undefined ? undefined : custom(id);
  }
}
