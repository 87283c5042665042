import { FeedChangedError, UnsupportedError, quote } from '../errors.ts';
import type { Offset } from '../offset.ts';
import type { Feed, FeedContext, FeedEvent, FeedItem } from './feed.ts';
import { openingOf, refusal } from './http/answer.ts';
import { readerOf } from './http/body.ts';
import { HttpConnection } from './http/connection.ts';
import type { FeedResponse, HttpOptions, LogOptions } from './http/options.ts';
import { custom, withQuery, wordOf } from './http/place.ts';
import { pause } from './pause.ts';
import { EventStream } from './sse/event-stream.ts';
import { checkUrl } from './url.ts';

/** Options of {@link durableStream}. */
export interface DurableStreamOptions<T> extends HttpOptions, Pick<LogOptions, 'feedId'> {
  /**
   * Makes the data of a message: a value of JSON, or the text. Where it throws, the message is a {@link FeedFailure}.
   * Default: the message as it is.
   */
  readonly parse?: (message: unknown) => T;
  /**
   * How new messages are waited for once all have been read: by requests that the server answers late, or by Server-Sent
   * Events. False: the feed ends there. Default 'long-poll'.
   */
  readonly live?: 'long-poll' | 'sse' | false;
  /** How long the server may say nothing, in ms; default 90,000, since servers hold their answers for up to a minute. */
  readonly timeoutMs?: number;
}

/** What goes with the messages of an answer. */
interface Control {
  readonly next: string;
  readonly cursor?: string | undefined;
  readonly upToDate: boolean;
  readonly closed: boolean;
}

/**
 * A Durable Stream (the Durable Streams protocol) of JSON or text as a feed. What an answer brings has one offset, which its
 * last message carries. A stream that is closed ends the feed once all has been read.
 *
 * 410 is a FeedExpiredError. A stream whose end is before the offset was recreated: a FeedChangedError. One that was
 * recreated and has grown past the offset again can be told by the option `feedId` alone. A 404 ends the reading at first;
 * where the feed was open before it is asked for again until it is there.
 *
 * @example
 * durableStream<Change>('https://streams.example/orders');
 */
export function durableStream<T = unknown>(
  url: string | URL,
  options: DurableStreamOptions<T> = {},
): Feed<T, FeedEvent<T>> {
  checkUrl('durableStream', url);
  return (from, context) => new Reading(String(url), options, from, context).items();
}

type Item<T> = FeedItem<T, FeedEvent<T>>;

/** The least time between two answers that bring nothing, in ms. */
const restMs = 1000;

/** One opening: what the stream has, then what comes. */
class Reading<T> {
  readonly #url: string;
  readonly #options: DurableStreamOptions<T>;
  readonly #context: FeedContext;
  readonly #http: HttpConnection;
  /** The offset to send. */
  #offset: string;
  /** Whether that is one of the stream, and no word for an end of it. */
  #concrete: boolean;
  #cursor: string | undefined;
  /** The content type of the stream's messages. */
  #type = '';
  #openedBefore: boolean;
  #last: Pick<Control, 'upToDate' | 'closed'> = { upToDate: false, closed: false };

  constructor(url: string, options: DurableStreamOptions<T>, from: Offset, context: FeedContext) {
    this.#url = url;
    this.#options = options;
    this.#context = context;
    this.#http = new HttpConnection(url, options, context, options.timeoutMs ?? 90_000);
    this.#offset = wordOf(from, { earliest: '-1', latest: 'now' }) ?? '-1';
    this.#concrete = from.kind !== 'earliest' && from.kind !== 'latest';
    this.#openedBefore = context.openedBefore;
  }

  async *items(): AsyncGenerator<Item<T>, 'end' | void, void> {
    const { live = 'long-poll' } = this.#options;
    const { signal, close } = this.#http;
    this.#context.deadAfter(0);
    try {
      while (!signal.aborted) {
        const sentAt = Date.now();
        const mode = this.#last.upToDate && live;
        const before = this.#offset;
        const response = await this.#ask(mode);
        yield* mode === 'sse' ? this.#events(response) : await this.#page(response);
        if (this.#last.closed || (this.#last.upToDate && live === false)) return 'end';
        // Where nothing has come. What has not been read yet is asked for at once.
        if (before === this.#offset && (mode || !this.#last.upToDate))
          await pause(sentAt + restMs - Date.now(), signal);
      }
      return undefined;
    } finally {
      close();
    }
  }

  async #ask(live: 'long-poll' | 'sse' | false): Promise<FeedResponse> {
    let url = this.#url;
    // In the order of their names, as caches want it.
    if (live && this.#cursor !== undefined) url = withQuery(url, 'cursor', this.#cursor);
    if (live) url = withQuery(url, 'live', live);
    const accept = live === 'sse' ? 'text/event-stream' : '*/*';
    const response = await this.#http.ask({ url: withQuery(url, 'offset', this.#offset), accept });
    const { status } = response;
    if (status === 200 || status === 204) return response;
    throw refusal(response, this.#http.errors, {
      place: this.#offset,
      openedBefore: this.#openedBefore,
      log: this.#options,
    });
  }

  /** What a whole answer brings. */
  async #page(response: FeedResponse): Promise<Item<T>[]> {
    const { headers } = response;
    const next = headers.get('stream-next-offset');
    // A network that wants a login first may answer in the server's place.
    const about = { status: response.status, retryable: this.#openedBefore };
    if (next === null) {
      const hint =
        'to another origin, the server has to name it in Access-Control-Expose-Headers, beside Stream-Up-To-Date, Stream-Cursor and Stream-Closed';
      throw this.#http.errors.error(`found no Stream-Next-Offset, which a Durable Stream sends (${hint})`, about);
    }
    const text = response.status === 204 ? '' : await this.#http.inTime(() => response.text());
    this.#type = headers.get('content-type') ?? this.#type;
    const messages = text === '' ? [] : this.#messages(text);
    return this.#batch(messages, response, {
      next,
      cursor: headers.get('stream-cursor') ?? undefined,
      upToDate: headers.get('stream-up-to-date') === 'true' || response.status === 204,
      closed: headers.get('stream-closed') === 'true',
    });
  }

  /** What an event stream brings, until the server ends it, as it does about once a minute. */
  async *#events(response: FeedResponse): AsyncGenerator<Item<T>, void, void> {
    const { errors, signal } = this.#http;
    if (response.headers.get('stream-sse-data-encoding')) throw this.#unreadable('bytes');
    const bytes = readerOf(response.body, signal, errors);
    const stream = new EventStream(2 ** 24, (ms) => this.#context.reopenAfter(ms));
    let messages: readonly unknown[] = [];
    for (;;) {
      if (stream.overflow)
        throw errors.final(`the messages after ${quote(this.#offset)} are longer than 2^24 characters`);
      const chunk = await this.#http.inTime(() => bytes.read());
      if (chunk === undefined) return;
      this.#context.alive();
      for (const { type, data = '' } of stream.blocks(chunk)) {
        if (type === 'data') messages = messages.concat(this.#messages(data));
        if (type !== 'control') continue;
        yield* this.#batch(messages, response, this.#control(data));
        messages = [];
      }
    }
  }

  #messages(text: string): readonly unknown[] {
    if (/^text\//i.test(this.#type)) return [text];
    if (!/^application\/json\b/i.test(this.#type)) throw this.#unreadable(this.#type || 'no content type');
    const messages: unknown = this.#parsed(text);
    return Array.isArray(messages) ? messages : [messages];
  }

  #control(text: string): Control {
    const { streamNextOffset, streamCursor, upToDate, streamClosed } = Object(this.#parsed(text));
    if (typeof streamNextOffset !== 'string') throw this.#broken(text, 'no streamNextOffset');
    const closed = streamClosed === true;
    const cursor = typeof streamCursor === 'string' ? streamCursor : undefined;
    return { next: streamNextOffset, cursor, upToDate: upToDate === true || closed, closed };
  }

  /** Hands on what came, once it is sure that it is of the same log. */
  #batch(messages: readonly unknown[], response: FeedResponse, control: Control): Item<T>[] {
    const { next, upToDate } = control;
    const head = upToDate ? custom(next) : undefined;
    const about = openingOf(
      response,
      { ...this.#options, head: () => head },
      { offsetOf: custom, errors: this.#http.errors },
    );
    // Offsets of one stream are ordered as texts are, and only grow.
    if (this.#concrete && next < this.#offset) throw this.#changed(next, about.feedId);
    this.#offset = next;
    this.#concrete = true;
    this.#cursor = control.cursor ?? this.#cursor;
    this.#last = control;
    this.#openedBefore = true;
    this.#context.opened(about);
    const end = { offset: custom(next), upToDate };
    if (messages.length === 0) return [{ heartbeat: true, head, ...end }];
    return messages.map((message, i) => this.#item(message, i === messages.length - 1 ? end : {}));
  }

  #item(message: unknown, about: { readonly offset?: Offset; readonly upToDate?: boolean }): Item<T> {
    const { parse } = this.#options;
    try {
      // Without `parse` the caller says what the messages are.
      return { data: parse ? parse(message) : (message as T), ...about };
    } catch (cause) {
      const { offset } = about;
      const text = `the message ${quote(message)} cannot be read: ${cause}`;
      const failed = this.#http.errors.final(text, { cause, event: message, offset });
      return { failed, offset, again: () => this.#item(message, about) };
    }
  }

  #parsed(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw this.#broken(text, cause);
    }
  }

  #broken(text: string, cause: unknown): Error {
    const retryable = this.#openedBefore;
    return this.#http.errors.error(`what is after ${quote(this.#offset)} cannot be read: ${cause}`, {
      cause,
      event: text,
      retryable,
    });
  }

  #unreadable(found: string): UnsupportedError {
    const wanted = 'streams of application/json and of text are read';
    return new UnsupportedError(this.#http.errors.about(`it is a stream of ${found}, and ${wanted}`));
  }

  #changed(end: string, feedId: string | undefined): FeedChangedError {
    const { source } = this.#context;
    const what = `it ends at ${quote(end)}, before the offset ${quote(this.#offset)}: it was deleted and made anew`;
    return new FeedChangedError(this.#http.errors.about(what), { source, expected: feedId, found: feedId });
  }
}
