import { quote } from '../../errors.ts';
import type { Offset } from '../../offset.ts';
import type { Feed, FeedContext, FeedIterator } from '../feed.ts';
import { longestRetryAfterMs, openingOf } from '../http/answer.ts';
import { type BodyReader, readerOf } from '../http/body.ts';
import { HttpConnection } from '../http/connection.ts';
import type { FeedResponse } from '../http/options.ts';
import { warnUntold } from '../http/place.ts';
import { checkUrl } from '../url.ts';
import { EventStream } from './event-stream.ts';
import { Items, type Seen, type SseItem } from './items.ts';
import type { SseEvent, SseOptions } from './options.ts';
import { check, corsAdvice, idOf, questionOf } from './request.ts';

/**
 * Server-Sent Events (HTML Standard, section 9.2) as a feed. The offset is sent as `Last-Event-ID` on every request, the
 * first one too. An event's id becomes its offset; a block of an id alone is a heartbeat that moves the position on. An
 * event without an id has no offset, and cannot be recorded: give every event one. An empty id takes the last one back:
 * the event's `id` is empty, its offset is `Offset.custom('')`, and the next request sends no id; where the option
 * `offset` makes offsets of ids, an empty one has none, and reading goes on after the last that has. `retry:` and
 * `Retry-After` are waited for, up to 10 minutes.
 *
 * By status: 204 ends the feed. 410 is a FeedExpiredError. 408, 425, 429, 5xx and network errors are tried again. Anything
 * else but a 200 of type text/event-stream is a FeedError that ends the reading; but where the feed was open before, a
 * 404 and a 200 of another type are tried again, since proxies and networks that want a login answer so for a while.
 *
 * @example
 * sse('/feed', { parse: JSON.parse, offset: Offset.sequence });
 */
export function sse(url: string | URL, options?: SseOptions): Feed<string, SseEvent<string>>;
export function sse<T>(
  url: string | URL,
  options: SseOptions<T> & Required<Pick<SseOptions<T>, 'parse'>>,
): Feed<T, SseEvent<T>>;
export function sse<T>(url: string | URL, options: SseOptions<T> = {}): Feed<T | string, SseEvent<T | string>> {
  checkUrl('sse', url);
  const found: Found = { without: 0 };
  return (from, context) => ({
    [Symbol.asyncIterator]: () => new Connection(String(url), options, from, { context, found }),
  });
}

/** What is known of the server from earlier openings. */
interface Found extends Seen {
  /** What to do about its refusing `Last-Event-ID`. */
  advice?: string | undefined;
}

type Result<T> = IteratorResult<SseItem<T | string>, 'end' | void>;

/** One opening of the feed. What one chunk brings is handed on without waiting. */
class Connection<T> implements FeedIterator<SseItem<T | string>> {
  readonly #url: string;
  readonly #options: SseOptions<T>;
  readonly #from: Offset;
  readonly #context: FeedContext;
  readonly #found: Found;
  /** The id to send; undefined where there is none to say the offset by. */
  readonly #id: string | undefined;
  readonly #http: HttpConnection;
  readonly #items: Items<T>;
  readonly #stream: EventStream;
  #bytes: BodyReader | undefined;
  #closed = false;

  constructor(
    url: string,
    options: SseOptions<T>,
    from: Offset,
    { context, found }: { readonly context: FeedContext; readonly found: Found },
  ) {
    const { idleTimeoutMs, maxEventLength = 2 ** 24 } = options;
    this.#url = url;
    this.#options = options;
    this.#from = from;
    this.#context = context;
    this.#found = found;
    this.#id = idOf(from, options);
    this.#http = new HttpConnection(url, options, context, idleTimeoutMs ?? 0);
    this.#items = new Items(options, { context, errors: this.#http.errors, seen: found }, this.#id ?? '');
    this.#stream = new EventStream(maxEventLength, (ms) => context.reopenAfter(Math.min(ms, longestRetryAfterMs)));
    context.opening?.();
    // It watches its silence itself then.
    if (idleTimeoutMs !== undefined) context.deadAfter(0);
  }

  next(): Promise<Result<T>> {
    const value = this.ready();
    return value ? Promise.resolve({ done: false, value }) : this.#more();
  }

  ready(): SseItem<T | string> | undefined {
    return this.#http.signal.aborted ? undefined : this.#items.take();
  }

  async return(): Promise<Result<T>> {
    this.#closed = true;
    this.#http.close();
    return { done: true, value: undefined };
  }

  async #more(): Promise<Result<T>> {
    if (this.#closed) return this.return();
    try {
      this.#bytes ??= await this.#open();
      const value = this.#bytes && (await this.#read(this.#bytes));
      if (value) return { done: false, value };
      await this.return();
      return { done: true, value: this.#bytes ? undefined : 'end' };
    } catch (error) {
      await this.return();
      throw error;
    }
  }

  async #read(bytes: BodyReader): Promise<SseItem<T | string> | undefined> {
    for (;;) {
      if (this.#stream.overflow) {
        const { lastEventId } = this.#items;
        throw this.#http.errors.final(`the event after ${quote(lastEventId)} is longer than maxEventLength`);
      }
      const chunk = await this.#http.inTime(() => bytes.read());
      if (chunk === undefined) return undefined;
      this.#items.add(this.#stream.blocks(chunk));
      const item = this.#items.take();
      if (item) return item;
      this.#context.alive();
    }
  }

  /** @returns undefined where the feed has ended */
  async #open(): Promise<BodyReader | undefined> {
    const { errors, signal } = this.#http;
    if (this.#id === undefined && typeof this.#options.body !== 'function') warnUntold(this.#from, this.#context);
    const response = await this.#ask();
    check(response, errors, this.#id ?? '', this.#context, this.#options);
    if (response.status === 204) return undefined;
    const bytes = readerOf(response.body, signal, errors);
    const offsetOf = (id: string) => this.#items.offsetOf(id, { id, type: 'message', data: '' });
    this.#context.opened(openingOf(response, this.#options, { offsetOf, errors }));
    return bytes;
  }

  async #ask(): Promise<FeedResponse> {
    const { errors, signal } = this.#http;
    const question = questionOf(this.#url, this.#options, { from: this.#from, id: this.#id ?? '', errors });
    try {
      const response = await this.#http.ask(question);
      this.#found.advice = undefined;
      return response;
    } catch (error) {
      if (!question.headers) throw error;
      this.#found.advice ??= await corsAdvice({ ...question, signal }, this.#options, errors);
      const { advice } = this.#found;
      if (advice === undefined) throw error;
      this.#context.warn('cors-last-event-id', advice);
      throw errors.error(advice, { cause: error });
    }
  }
}
