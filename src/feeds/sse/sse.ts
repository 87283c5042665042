import { FeedExpiredError, UnsupportedError, quote } from '../../errors.ts';
import type { Offset } from '../../offset.ts';
import { type Block, EventStream } from './event-stream.ts';
import {
  type Feed,
  type FeedContext,
  FeedError,
  type FeedErrorOptions,
  type FeedEvent,
  type FeedItem,
} from '../feed.ts';

/** An event of a Server-Sent Events feed. */
export interface SseEvent<T> extends FeedEvent<T> {
  /** The last event id: this event's, or the one before it where it has none; empty before the first. */
  readonly id: string;
  /** The event's name; 'message' where it has none. */
  readonly type: string;
}

/** Headers as `fetch` takes them. The name that browsers have for this type is not one of Node's. */
export type SseHeaders = NonNullable<RequestInit['headers']>;

/** Options of {@link sse}. */
export interface SseOptions<T = string> {
  /** Makes the data of an event, for example `JSON.parse`. What it throws ends the reading. Default: the text as it is. */
  readonly parse?: (data: string) => T;
  /**
   * The offset that an event id stands for. What it throws ends the reading. Default `Offset.custom`; where ids are
   * numbers, `Offset.sequence` orders them.
   */
  readonly offset?: (id: string) => Offset;
  /**
   * The last event id to send for an offset; undefined: as by default, which is the value of a custom offset, the digits
   * of a sequence, the ISO 8601 text of a timestamp, and nothing for 'earliest' and 'latest', for which the protocol has
   * no word: a server that is sent no id decides where to begin.
   */
  readonly id?: (offset: Offset) => string | undefined;
  /**
   * How the server is told: by the `Last-Event-ID` header, or by a query parameter. The header makes a request to another
   * origin preflighted, and its `Access-Control-Allow-Headers` has to name it. Default 'header'.
   */
  readonly lastEventId?: 'header' | { readonly query: string };
  /** Headers of the request; a function is called at each opening, for example for a fresh token. */
  readonly headers?: SseHeaders | (() => SseHeaders | Promise<SseHeaders>);
  /** Whether cookies are sent to other origins, as `fetch` has it. */
  readonly credentials?: 'omit' | 'same-origin' | 'include';
  /** Default: the global `fetch`. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /**
   * How long the server may send nothing, not even a comment, before the connection is taken for dead and opened again,
   * in ms; give two or three times the interval of the server's heartbeat. Default 0: for ever.
   */
  readonly idleTimeoutMs?: number;
  /** The longest event that is buffered while it arrives, in characters; a longer one ends the reading. Default 2^24. */
  readonly maxEventLength?: number;
}

/**
 * Server-Sent Events (HTML Standard, section 9.2) as a feed. The offset is sent as `Last-Event-ID` on every request, the
 * first one too. An event's id becomes its offset; a block of an id alone is a heartbeat that moves the position on. An
 * event without an id stands at the position before it, which is all that can be recorded of it: give every event one.
 * `retry:` and `Retry-After` are waited for.
 *
 * By status: 204 ends the feed. 410 is a FeedExpiredError. 408, 425, 429, 5xx and network errors are tried again. Anything
 * else but a 200 of type text/event-stream is a FeedError that ends the reading.
 */
export function sse(url: string | URL, options?: SseOptions): Feed<string, SseEvent<string>>;
export function sse<T>(
  url: string | URL,
  options: SseOptions<T> & Required<Pick<SseOptions<T>, 'parse'>>,
): Feed<T, SseEvent<T>>;
export function sse<T>(url: string | URL, options: SseOptions<T> = {}): Feed<T | string, SseEvent<T | string>> {
  return (from, context) => new Connection(String(url), options, from, context).items();
}

/** One opening of the feed. */
class Connection<T> {
  readonly #url: string;
  readonly #options: SseOptions<T>;
  readonly #context: FeedContext;
  readonly #abort = new AbortController();
  #offset: Offset;
  /** The last event id. */
  #id: string;

  constructor(url: string, options: SseOptions<T>, from: Offset, context: FeedContext) {
    this.#url = url;
    this.#options = options;
    this.#context = context;
    this.#offset = from;
    this.#id = options.id?.(from) ?? idOf(from);
  }

  async *items(): AsyncGenerator<FeedItem<T | string, SseEvent<T | string>>, 'end' | void, void> {
    const { signal } = this.#context;
    const abort = (): void => this.#abort.abort();
    signal.addEventListener('abort', abort);
    try {
      const response = await this.#response();
      if (response.status === 204) return 'end';
      if (!response.body)
        throw new UnsupportedError(`this fetch does not stream: its response to ${this.#name} has no body`);
      this.#context.opened();
      const bytes = response.body.getReader();
      // For a fetch that does not heed its signal.
      this.#abort.signal.addEventListener('abort', () => void bytes.cancel().catch(() => {}));
      yield* this.#read(bytes);
    } finally {
      signal.removeEventListener('abort', abort);
      abort();
    }
  }

  async *#read(
    bytes: ReadableStreamDefaultReader<Uint8Array>,
  ): AsyncGenerator<FeedItem<T | string, SseEvent<T | string>>, void, void> {
    const stream = new EventStream(this.#options.maxEventLength ?? 2 ** 24, (ms) => this.#context.reopenAfter(ms));
    for (;;) {
      const { done, value } = await this.#inTime(() => bytes.read());
      if (done) return;
      for (const block of stream.blocks(value)) {
        const item = this.#item(block);
        if (item) yield item;
      }
      if (stream.overflow) throw this.#final(`the event after ${quote(this.#id)} is longer than maxEventLength`);
    }
  }

  /** What cannot be converted now cannot be converted later either. */
  #item({ id, event }: Block): FeedItem<T | string, SseEvent<T | string>> | undefined {
    const { offset = custom, parse } = this.#options;
    try {
      this.#id = id ?? this.#id;
      if (id) this.#offset = offset(id);
      if (!event) return id ? { heartbeat: true, offset: this.#offset } : undefined;
      const about = { id: this.#id, type: event.type };
      return { offset: this.#offset, ...about, data: parse ? parse(event.data) : event.data };
    } catch (cause) {
      throw this.#final(`the event ${quote(this.#id)} cannot be read: ${cause}`, { cause });
    }
  }

  async #response(): Promise<Response> {
    const { headers: given } = this.#options;
    const headers = typeof given === 'function' ? await given() : given;
    const response = await this.#inTime(this.#request(headers));
    const { status } = response;
    const type = response.headers.get('content-type') ?? 'no content type';
    if (status === 204 || (status === 200 && /^text\/event-stream *(;|$)/i.test(type))) return response;
    if (status === 200) throw this.#final(`found ${type} where text/event-stream is needed`, { status });
    if (status === 410) {
      const { source } = this.#context;
      throw new FeedExpiredError(this.#about(`the events after ${quote(this.#id)} are gone (410): give an onExpired`), {
        source,
      });
    }
    throw this.#error(`the server answered ${status} ${response.statusText}`.trimEnd(), {
      status,
      retryable: status >= 500 || [408, 425, 429].includes(status),
      retryAfterMs: delayOf(response.headers.get('retry-after')),
    });
  }

  /** @throws FeedError for what no fetch can send */
  #request(given: SseHeaders | undefined): () => Promise<Response> {
    const { lastEventId = 'header', credentials, fetch } = this.#options;
    try {
      const headers = new Headers(given);
      if (!headers.has('accept')) headers.set('accept', 'text/event-stream');
      let url = this.#url;
      if (this.#id !== '') {
        if (lastEventId === 'header') headers.set('last-event-id', inBytes(this.#id));
        else url = withQuery(url, lastEventId.query, this.#id);
      }
      const init: RequestInit = { headers, signal: this.#abort.signal };
      if (credentials !== undefined) init.credentials = credentials;
      // Some Workers refuse the property.
      if ('cache' in Request.prototype) init.cache = 'no-store';
      if (fetch) return () => fetch(url, init);
      const request = new Request(url, init);
      return () => globalThis.fetch(request);
    } catch (cause) {
      throw this.#final(`it cannot be asked for: ${cause}`, { cause });
    }
  }

  /** Network errors and a silence that lasts too long may pass. */
  async #inTime<R>(wait: () => Promise<R>): Promise<R> {
    const { idleTimeoutMs = 0 } = this.#options;
    let silent = false;
    const silence = (): void => {
      silent = true;
      this.#abort.abort();
    };
    const timer = idleTimeoutMs > 0 ? setTimeout(silence, idleTimeoutMs) : undefined;
    try {
      return await wait();
    } catch (cause) {
      throw this.#error(silent ? `silent for ${idleTimeoutMs} ms` : String(cause), { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  #final(message: string, options?: FeedErrorOptions): FeedError {
    return this.#error(message, { ...options, retryable: false });
  }

  #error(message: string, options: FeedErrorOptions): FeedError {
    return new FeedError(this.#about(message), { ...options, source: this.#context.source });
  }

  #about(message: string): string {
    return `${quote(this.#context.source)} from ${this.#name}: ${message}`;
  }

  /** Without the query, which may hold a secret. */
  get #name(): string {
    return quote(this.#url.replace(/[?#].*/, ''));
  }
}

/** As `Offset.custom`, which brings its siblings along. */
function custom(value: string): Offset {
  return Object.freeze({ kind: 'custom', value });
}

function idOf(offset: Offset): string {
  if (offset.kind === 'timestamp') return offset.value.toISOString();
  return 'value' in offset ? String(offset.value) : '';
}

/** A header holds bytes, and the HTML Standard sends the id in UTF-8. */
function inBytes(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

function withQuery(url: string, key: string, value: string): string {
  const path = url.replace(/#.*/, '');
  return `${path}${path.includes('?') ? '&' : '?'}${new URLSearchParams([[key, value]])}`;
}

/** Retry-After is a number of seconds or a date (RFC 9110, section 10.2.3). */
function delayOf(retryAfter: string | null): number | undefined {
  if (retryAfter === null) return undefined;
  if (/^\d+$/.test(retryAfter)) return Number(retryAfter) * 1000;
  const at = Date.parse(retryAfter);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}
