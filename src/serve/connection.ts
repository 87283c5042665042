import { FeedError } from '../feeds/feed-error.ts';
import { longestTimeout } from '../feeds/pause.ts';
import {
  type Feed,
  type FeedEvent,
  type FeedItem,
  type FeedIterator,
  type FeedOpening,
  type FeedWarning,
  isFailure,
  isHeartbeat,
} from '../feeds/feed.ts';
import { FeedChangedError, quote } from '../errors.ts';
import { Offset, format } from '../offset.ts';
import { comment, eventBlock, idBlock } from './block.ts';

/** What a connection asks of the options of `serve`, the defaults filled in. */
export interface ConnectionOptions<T, E extends FeedEvent<T>> {
  readonly source: string;
  /** The id of an offset; undefined where it has none. */
  readonly id: (offset: Offset) => string | undefined;
  /** Whether an id, sent back by a client, is still that id. */
  readonly isFit: (id: string) => boolean;
  readonly stringify: (data: T) => string;
  readonly type: (event: E) => string | undefined;
  readonly heartbeatMs: number;
  readonly retryMs: number | undefined;
  readonly openingMs: number;
  readonly stallTimeoutMs: number;
  readonly maxBufferBytes: number;
  readonly onWarning: (code: FeedWarning, message: string) => void;
  /** Told once, why the stream ended before the feed did. */
  readonly onFailure: (error: unknown) => void;
}

/** Where a client stands: strictly after an offset, which it knows by an id. */
export interface Place {
  readonly from: Offset;
  /** As the client sent it; undefined where it sent none, or the word for 'earliest' or 'latest'. */
  readonly id: string | undefined;
}

/** At most this many characters of events that are at hand go into one chunk. */
const maxChunk = 16_384;

/**
 * One client's reading of a feed. It is opening until the feed stands, has refused or has ended; then it is a stream, as
 * fast as its client takes it; then it is over, once, whoever ends it: the feed, the client, a failure, or a client that
 * takes nothing any more.
 */
export class Connection<T, E extends FeedEvent<T>> {
  /** What the feed has told of itself. */
  about: FeedOpening = {};
  readonly #place: Place;
  readonly #options: ConnectionOptions<T, E>;
  readonly #abort = new AbortController();
  readonly #encoder = new TextEncoder();
  readonly #request: AbortSignal | undefined;
  #items: FeedIterator<FeedItem<T, E>> | undefined;
  /** What was asked for while opening. */
  #first: Promise<IteratorResult<FeedItem<T, E>, 'end' | void>> | undefined;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #isOver = false;
  /** Whether an item after the client's place has come: what a feed repeats, it repeats before that. */
  #isPast = false;
  #retryMs: number | undefined;
  /** What the stream begins with. */
  #beginning = '';
  /** The id that the client was sent last. */
  #id: string | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lastWrite = 0;
  /** Since when the client has left the buffer full. */
  #fullSince: number | undefined;

  constructor(place: Place, options: ConnectionOptions<T, E>, request: AbortSignal | undefined) {
    this.#place = place;
    this.#options = options;
    this.#request = request;
    this.#retryMs = options.retryMs;
  }

  /** Resolves with whether there is something to read; rejects with why the feed cannot be read from the client's place. */
  async open(feed: Feed<T, E>): Promise<boolean> {
    this.#request?.addEventListener('abort', this.#leave);
    if (this.#request?.aborted) this.#leave();
    if (this.#isOver) return false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      const result = await new Promise<IteratorResult<FeedItem<T, E>, 'end' | void> | undefined>((resolve, reject) => {
        const soon = (ms: number): void => {
          clearTimeout(timer);
          timer = setTimeout(() => resolve(undefined), ms);
        };
        soon(this.#options.openingMs);
        this.#abort.signal.addEventListener('abort', () => resolve(undefined));
        // A feed that refuses its place may say that it stands first, and does so in the same turn.
        this.#items = this.#iterate(feed, () => soon(0));
        this.#first = this.#items.next();
        this.#first.then(resolve, reject);
      });
      this.#refuseTheFuture();
      const hasEnded = this.#isOver || (result?.done === true && result.value === 'end');
      if (hasEnded) this.end();
      else this.#begin(result);
      return !hasEnded;
    } catch (error) {
      this.end();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The events as bytes. Its buffer is all that is kept for a client that is slower than the feed. */
  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
          this.#write(this.#beginning);
          this.#watch();
        },
        pull: () => this.#pull(),
        cancel: this.#leave,
      },
      { highWaterMark: this.#options.maxBufferBytes, size: (chunk) => chunk?.byteLength ?? 0 },
    );
  }

  /** Lets go of the feed. Calling it again changes nothing. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#request?.removeEventListener('abort', this.#leave);
    this.#abort.abort();
    // The feed was let go; what it still says is of no interest.
    this.#items?.return?.().catch(() => {});
  }

  readonly #leave = (): void => {
    if (this.#isOver) return;
    this.end();
    try {
      this.#controller?.close();
    } catch {
      // It was cancelled, which closes it.
    }
  };

  #iterate(feed: Feed<T, E>, onOpened: () => void): FeedIterator<FeedItem<T, E>> {
    const { source, onWarning } = this.#options;
    const opened = feed(this.#place.from, {
      source,
      signal: this.#abort.signal,
      openedBefore: false,
      opened: (about = {}) => {
        this.about = { ...this.about, ...about };
        onOpened();
      },
      // The client watches its own connection, by the heartbeats that it gets from here.
      alive: () => {},
      deadAfter: () => {},
      reopenAfter: (ms) => {
        this.#retryMs = Math.ceil(ms);
        if (this.#controller && !this.#isOver) this.#write(`retry: ${this.#retryMs}\n\n`);
      },
      onRecorded: () => {},
      warn: onWarning,
    });
    return opened[Symbol.asyncIterator]();
  }

  /** Where the feed tells its newest event, a client cannot have processed a later one. */
  #refuseTheFuture(): void {
    const { from } = this.#place;
    const { head, feedId } = this.about;
    if (from.kind === 'earliest' || from.kind === 'latest' || !head || (Offset.compare(from, head) ?? 0) <= 0) return;
    throw new FeedChangedError(
      `${format(from)} is past the newest event, ${format(head)}: it belongs to another log than this one`,
      { source: this.#options.source, found: feedId },
    );
  }

  /** A client knows its place before anything happens. */
  #begin(result: IteratorResult<FeedItem<T, E>, 'end' | void> | undefined): void {
    const { from, id } = this.#place;
    const { head } = this.about;
    this.#id = id ?? (from.kind === 'latest' && head ? this.#idOf(head) : undefined);
    const retry = this.#retryMs === undefined ? '' : `retry: ${this.#retryMs}\n`;
    this.#beginning = `${retry}${this.#id === undefined ? comment : idBlock(this.#id)}`;
    if (!result || result.done) return;
    this.#first = undefined;
    this.#beginning += this.#text(result.value);
  }

  async #pull(): Promise<void> {
    this.#fullSince = undefined;
    try {
      while (!this.#isOver) {
        const result = await (this.#first ?? this.#items?.next());
        this.#first = undefined;
        if (this.#isOver) return;
        if (!result || result.done) return this.#leave();
        if (this.#send(result.value)) return;
      }
    } catch (error) {
      if (this.#isOver) return;
      this.#leave();
      this.#options.onFailure(error);
    }
  }

  /** Sends an item, and what else is at hand. @returns whether there was something to send */
  #send(first: FeedItem<T, E>): boolean {
    let text = '';
    try {
      for (let item: FeedItem<T, E> | undefined = first; item; item = this.#items?.ready?.()) {
        text += this.#text(item);
        if (text.length >= maxChunk) break;
      }
    } finally {
      // What came before an event that cannot be sent is sent, so that the client does not come back for it.
      if (text !== '') this.#write(text);
    }
    return text !== '';
  }

  #text(item: FeedItem<T, E>): string {
    if (isFailure(item)) throw item.failed;
    const { offset } = item;
    if (offset && !this.#isPast) {
      const isHeard = !isHeartbeat(item) && (Offset.compare(offset, this.#place.from) ?? 1) <= 0;
      if (isHeard) return '';
      this.#isPast = !isHeartbeat(item);
    }
    const before = this.#id;
    const id = this.#idOf(offset);
    this.#id = id ?? before;
    if (!isHeartbeat(item)) return eventBlock(id, this.#options.type(item), this.#options.stringify(item.data));
    return id === undefined || id === before ? comment : idBlock(id);
  }

  #idOf(offset: Offset | undefined): string | undefined {
    const id = offset && this.#options.id(offset);
    if (id === undefined || id === '' || this.#options.isFit(id)) return id || undefined;
    throw new FeedError(
      `the id ${quote(id)} cannot be sent: it would not come back as it is. Give \`serve\` an \`id\` and an \`offset\` that spell it otherwise`,
      { retryable: false, offset },
    );
  }

  #write(text: string): void {
    const controller = this.#controller;
    if (!controller) return;
    controller.enqueue(this.#encoder.encode(text));
    this.#lastWrite = performance.now();
    if (!hasRoom(controller)) this.#fullSince ??= this.#lastWrite;
  }

  /** Sends heartbeats, and cuts off a client that takes nothing: what it holds on to may never be asked for. */
  readonly #watch = (): void => {
    const controller = this.#controller;
    if (!controller || this.#isOver) return;
    const { heartbeatMs, stallTimeoutMs } = this.#options;
    const now = performance.now();
    let dueIn = Math.min(heartbeatMs, stallTimeoutMs);
    if (hasRoom(controller)) {
      this.#fullSince = undefined;
      const idle = now - this.#lastWrite;
      if (idle >= heartbeatMs) this.#write(comment);
      else dueIn = Math.min(heartbeatMs - idle, stallTimeoutMs);
    } else {
      dueIn = (this.#fullSince ??= now) + stallTimeoutMs - now;
      if (dueIn <= 0) return this.#cutOff(controller);
    }
    this.#timer = setTimeout(this.#watch, Math.min(dueIn, longestTimeout));
  };

  #cutOff(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.end();
    controller.error(new FeedError(`the client took nothing for ${this.#options.stallTimeoutMs} ms and was cut off`));
  }
}

function hasRoom({ desiredSize }: ReadableStreamDefaultController<Uint8Array>): boolean {
  return desiredSize === null || desiredSize > 0;
}
