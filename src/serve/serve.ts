import { FeedError } from '../feeds/feed-error.ts';
import type { Feed, FeedEvent, FeedWarning } from '../feeds/feed.ts';
import { InvalidOffsetError, quote } from '../errors.ts';
import { Offset, isOffset } from '../offset.ts';
import { isFit } from './block.ts';
import { Connection, type ConnectionOptions, type Place } from './connection.ts';
import { Cors, type CorsOptions } from './cors.ts';

/** What `serve` asks of a request: that of the Fetch API, or one of its shape. */
export interface FeedRequest {
  /** GET or POST; OPTIONS where a browser asks first. */
  readonly method: string;
  /** The address, with its query. */
  readonly url: string;
  /** The request's headers, by any case of their names. */
  readonly headers: { get(name: string): string | null };
  /** Aborted when the client is gone, where the platform tells. */
  readonly signal?: AbortSignal | null | undefined;
}

/** Options of {@link serve}. */
export interface ServeOptions<T, E extends FeedEvent<T> = FeedEvent<T>> {
  /**
   * The offset that an id stands for. What it throws is answered with 410. Default `Offset.custom`, which a MemoryLog
   * understands; where a feed takes sequences only, `Offset.sequence`.
   */
  readonly offset?: (id: string) => Offset;
  /**
   * The id of an offset; undefined: none. Default: the value of a custom offset, the digits of a sequence, the ISO 8601
   * text of a timestamp.
   */
  readonly id?: (offset: Offset) => string | undefined;
  /** What clients send for 'earliest', in the place of an id; default 'earliest'. */
  readonly earliest?: string;
  /** What clients send for 'latest'; default 'latest'. */
  readonly latest?: string;
  /** Where a client starts that sends no id; default 'earliest'. */
  readonly start?: 'earliest' | 'latest';
  /**
   * The query parameter for the id, for clients that cannot send a header. The header `Last-Event-ID` goes before it, since
   * `EventSource` sends that with the same URL when it reconnects. Default 'lastEventId'.
   */
  readonly query?: string;
  /** Makes the text of an event's data. Default: a string as it is, anything else by `JSON.stringify`. */
  readonly stringify?: (data: T) => string;
  /** The name of an event; undefined or 'message': none. Default: the event's own `type`, where it has one that is text. */
  readonly type?: (event: E) => string | undefined;
  /** A comment is sent after this long without anything else, in ms; 0: never. Default 15,000. */
  readonly heartbeatMs?: number;
  /** What clients are told to wait before they reconnect, in ms; default 1000. */
  readonly retryMs?: number;
  /**
   * How long a feed that says nothing, not even that it is open, holds up the answer, in ms; then the answer is 200, and a
   * refusal can only end it. Default 3000.
   */
  readonly openingMs?: number;
  /** How much is buffered for a client that is slower than the feed, in bytes; the feed waits meanwhile. Default 65,536. */
  readonly maxBufferBytes?: number;
  /** How long a client may leave that buffer full before its connection is cut, in ms; 0: for ever. Default 60,000. */
  readonly stallTimeoutMs?: number;
  /** The response header that says which log the ids belong to, where the feed knows; default 'Feed-Id'. */
  readonly feedIdHeader?: string;
  /** Which pages of other origins may read; false: none. Default: all, without cookies. */
  readonly cors?: CorsOptions | false;
  /** What the feed's errors call it; default: the path of the URL. */
  readonly source?: string;
  /** Told when the feed fails, not when it refuses a client's id. Default `console.error`. */
  readonly onError?: (error: unknown) => void;
  /** Told what the feed warns of. Default: none. */
  readonly onWarning?: (code: FeedWarning, message: string) => void;
}

const methods = 'GET, POST, OPTIONS';

/**
 * Serves a feed as Server-Sent Events (HTML Standard, section 9.2), to any number of clients, on any platform that answers
 * a `Request` with a `Response`.
 *
 * A client says with `Last-Event-ID`, or with a query parameter, which event it has processed last, or 'earliest' or
 * 'latest'; it gets what comes after it, then what happens from then on. Each client has an iteration of the feed of its
 * own, which is asked for the next event only when the client takes it.
 *
 * By status: 204 where the feed has ended, 400 for an id that no client can have been sent, 410 for one that is too old,
 * from the future or unknown, the status of a FeedError where it has one, 405, 500 and 503. What an id is refused for is
 * the text of a 400 and a 410; any other error goes to `onError`, and the client is told its status.
 *
 * @throws UnsupportedError for `cors` that no browser takes
 * @example
 * const log = new MemoryLog<Order>();
 * export default { fetch: serve(log.feed) };
 */
export function serve<T, E extends FeedEvent<T> = FeedEvent<T>>(
  feed: Feed<T, E>,
  options: ServeOptions<T, E> = {},
): (request: FeedRequest) => Promise<Response> {
  if (typeof feed !== 'function')
    throw new TypeError(`serve: ${quote(feed)} is no feed: give a function, like that of a MemoryLog`);
  const server = new Server(feed, options);
  return (request) => server.answer(request);
}

class Server<T, E extends FeedEvent<T>> {
  readonly #feed: Feed<T, E>;
  readonly #options: ServeOptions<T, E>;
  readonly #words: Readonly<Record<'earliest' | 'latest', string>>;
  readonly #feedIdHeader: string;
  readonly #cors: Cors | undefined;

  constructor(feed: Feed<T, E>, options: ServeOptions<T, E>) {
    const { earliest = 'earliest', latest = 'latest', feedIdHeader = 'Feed-Id', cors = {} } = options;
    this.#feed = feed;
    this.#options = options;
    this.#words = { earliest, latest };
    this.#feedIdHeader = feedIdHeader;
    // Those that a client of feeds reads: how long to wait, by whose clock.
    this.#cors = cors === false ? undefined : new Cors(cors, [feedIdHeader, 'Retry-After', 'Date']);
  }

  async answer(request: FeedRequest): Promise<Response> {
    const headers = new Headers({ 'cache-control': 'no-store, no-transform' });
    this.#cors?.allow(request.headers.get('origin'), headers);
    if (request.method === 'OPTIONS') {
      this.#cors?.allowRequest(headers, methods);
      headers.set('allow', methods);
      return new Response(null, { status: 204, headers });
    }
    if (request.method !== 'GET' && request.method !== 'POST') {
      headers.set('allow', methods);
      return text(405, `${request.method} reads no feed: use GET.`, headers);
    }
    return this.#open(request, headers);
  }

  async #open(request: FeedRequest, headers: Headers): Promise<Response> {
    const url = urlOf(request);
    // A server of Node hands on any path that a client sends, '//' too.
    if (!url) return text(400, `${quote(request.url)} is no URL.`, headers);
    let connection: Connection<T, E> | undefined;
    try {
      const place = this.#placeOf(request, url);
      connection = new Connection(place, this.#settings(url), request.signal ?? undefined);
      const isOpen = await connection.open(this.#feed);
      this.#identify(connection, headers);
      if (!isOpen) return new Response(null, { status: 204, headers });
      headers.set('content-type', 'text/event-stream');
      // nginx and its kin buffer otherwise.
      headers.set('x-accel-buffering', 'no');
      return new Response(connection.stream(), { headers });
    } catch (error) {
      connection?.end();
      return this.#refuse(error, connection, headers);
    }
  }

  /** @throws InvalidOffsetError, or what the option `offset` throws, for an id that is none */
  #placeOf({ headers }: FeedRequest, { searchParams }: URL): Place {
    const { offset = Offset.custom, query = 'lastEventId', start = 'earliest' } = this.#options;
    const id = inText(headers.get('last-event-id') ?? '') || (searchParams.get(query) ?? '');
    if (id === '') return { from: Offset[start], id: undefined };
    if (id === this.#words.earliest) return { from: Offset.earliest, id: undefined };
    if (id === this.#words.latest) return { from: Offset.latest, id: undefined };
    if (!this.#isFit(id)) {
      throw new FeedError(`${quote(id)} is no id of this feed: no client can have been sent it`, { status: 400 });
    }
    try {
      const from = offset(id);
      if (isOffset(from)) return { from, id };
    } catch (cause) {
      throw new InvalidOffsetError(`${quote(id)} is no id of this feed: ${messageOf(cause)}`, { cause });
    }
    throw new TypeError(`the option offset has made no offset of ${quote(id)}`);
  }

  #settings({ pathname }: URL): ConnectionOptions<T, E> {
    const {
      source = pathname,
      id = idOf,
      stringify = inJson,
      type = typeOf,
      heartbeatMs = 15_000,
      retryMs = 1000,
      openingMs = 3000,
      maxBufferBytes = 65_536,
      stallTimeoutMs = 60_000,
      onWarning = () => {},
    } = this.#options;
    return {
      source,
      id,
      isFit: (value) => this.#isFit(value),
      stringify,
      type,
      heartbeatMs: heartbeatMs || Infinity,
      retryMs,
      openingMs,
      // Without any room nobody could be told from a client that takes nothing.
      maxBufferBytes: Math.max(1, maxBufferBytes),
      stallTimeoutMs: stallTimeoutMs || Infinity,
      onWarning,
      onFailure: (error) => {
        // What a client learns when it comes back.
        if (!isRefusal(error)) this.#tell(error);
      },
    };
  }

  #isFit(id: string): boolean {
    return isFit(id) && id !== this.#words.earliest && id !== this.#words.latest;
  }

  #identify(connection: Connection<T, E> | undefined, headers: Headers): void {
    const { feedId } = connection?.about ?? {};
    if (feedId !== undefined) headers.set(this.#feedIdHeader, feedId);
  }

  #refuse(error: unknown, connection: Connection<T, E> | undefined, headers: Headers): Response {
    const status = statusOf(error);
    const { retryAfterMs, source } = Object(error) as Partial<FeedError>;
    if (retryAfterMs !== undefined) headers.set('retry-after', String(Math.ceil(retryAfterMs / 1000)));
    if (status < 500) {
      this.#identify(connection, headers);
      if ((status === 400 && source === undefined) || isRefusal(error)) return text(status, messageOf(error), headers);
    }
    // The error may say what is nobody else's business.
    this.#tell(error);
    return text(status, 'The feed cannot be read now.', headers);
  }

  #tell(error: unknown): void {
    const { onError = console.error } = this.#options;
    onError(error);
  }
}

function urlOf({ url }: FeedRequest): URL | undefined {
  try {
    return new URL(url, 'http://localhost');
  } catch {
    return undefined;
  }
}

/** Whether the client's place is refused, by the code, which is the same whichever copy of this library made the error. */
function isRefusal(error: unknown): boolean {
  return ['invalid-offset', 'feed-changed', 'feed-expired'].some((code) => code === codeOf(error));
}

function statusOf(error: unknown): number {
  if (isRefusal(error)) return 410;
  const { status, retryable } = Object(error) as Partial<FeedError>;
  if (codeOf(error) !== 'feed') return 500;
  if (status !== undefined && status >= 400 && status <= 599) return status;
  return retryable ? 503 : 500;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function text(status: number, message: string, headers: Headers): Response {
  headers.set('content-type', 'text/plain; charset=utf-8');
  return new Response(`${message}\n`, { status, headers });
}

/** A header holds bytes, and clients send an id in UTF-8. Some platforms have read it as that already. */
function inText(header: string): string {
  const bytes = Uint8Array.from(header, (character) => character.charCodeAt(0));
  try {
    const isText = header.split('').some((character) => character > '\xff');
    return isText ? header : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return header;
  }
}

function idOf(offset: Offset): string | undefined {
  if (offset.kind === 'timestamp') return offset.value.toISOString();
  return 'value' in offset ? String(offset.value) : undefined;
}

function inJson(data: unknown): string {
  return typeof data === 'string' ? data : JSON.stringify(data);
}

function typeOf(event: object): string | undefined {
  return 'type' in event && typeof event.type === 'string' ? event.type : undefined;
}
