import { OffsetError, quote } from '../../errors.ts';
import type { Offset } from '../../offset.ts';
import type { Feed, FeedContext, FeedIterator } from '../feed.ts';
import { FeedErrors } from '../feed-errors.ts';
import { openingOf } from '../http/answer.ts';
import { ask } from '../http/ask.ts';
import { type BodyReader, readerOf } from '../http/body.ts';
import type { FeedResponse } from '../http/options.ts';
import { warnUntold } from '../http/place.ts';
import { inTime, Silence } from '../silence.ts';
import { EventStream } from './event-stream.ts';
import { Items, type SseItem } from './items.ts';
import type { SseEvent, SseOptions } from './options.ts';
import { check, corsAdvice, idOf, questionOf } from './request.ts';

/**
 * Server-Sent Events (HTML Standard, section 9.2) as a feed. The offset is sent as `Last-Event-ID` on every request, the
 * first one too. An event's id becomes its offset; a block of an id alone is a heartbeat that moves the position on. An
 * event without an id has no offset, and cannot be recorded: give every event one. An empty id takes the last one back:
 * the event's `id` is empty, its offset is `Offset.custom('')`, and the next request sends no id; where the option
 * `offset` makes offsets of ids, an empty one has none, and reading goes on after the last that has. `retry:` and
 * `Retry-After` (of up to 10 minutes) are waited for.
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
  return (from, context) => ({
    [Symbol.asyncIterator]: () => new Connection(String(url), options, from, context),
  });
}

type Result<T> = IteratorResult<SseItem<T | string>, 'end' | void>;

/** One opening of the feed. What one chunk brings is handed on without waiting. */
class Connection<T> implements FeedIterator<SseItem<T | string>> {
  readonly #url: string;
  readonly #options: SseOptions<T>;
  readonly #from: Offset;
  readonly #context: FeedContext;
  readonly #errors: FeedErrors;
  readonly #abort = new AbortController();
  /** The id to send; undefined where there is none to say the offset by. */
  readonly #id: string | undefined;
  readonly #items: Items<T>;
  readonly #stream: EventStream;
  #bytes: BodyReader | undefined;
  #closed = false;

  constructor(url: string, options: SseOptions<T>, from: Offset, context: FeedContext) {
    this.#url = url;
    this.#options = options;
    this.#from = from;
    this.#context = context;
    this.#errors = new FeedErrors(context.source, url);
    this.#id = idOf(from, options);
    this.#items = new Items(options, context, this.#errors, this.#id ?? '');
    this.#stream = new EventStream(options.maxEventLength ?? 2 ** 24, (ms) => context.reopenAfter(ms));
    if (options.idleTimeoutMs !== undefined) context.deadAfter(0);
    if (context.signal.aborted) this.#close();
    context.signal.addEventListener('abort', this.#close);
  }

  next(): Promise<Result<T>> {
    const value = this.ready();
    return value ? Promise.resolve({ done: false, value }) : this.#more();
  }

  ready(): SseItem<T | string> | undefined {
    return this.#closed ? undefined : this.#items.take();
  }

  async return(): Promise<Result<T>> {
    this.#close();
    return { done: true, value: undefined };
  }

  async #more(): Promise<Result<T>> {
    if (this.#closed) return this.return();
    try {
      this.#bytes ??= await this.#open();
      if (this.#closed) this.#stop();
      const value = this.#bytes && (await this.#read(this.#bytes));
      if (value) return { done: false, value };
    } catch (error) {
      this.#close();
      throw error;
    }
    this.#close();
    return { done: true, value: this.#bytes ? undefined : 'end' };
  }

  async #read(bytes: BodyReader): Promise<SseItem<T | string> | undefined> {
    for (;;) {
      if (this.#stream.overflow) {
        throw this.#errors.final(`the event after ${quote(this.#items.lastEventId)} is longer than maxEventLength`);
      }
      const chunk = await this.#inTime(() => bytes.read());
      if (chunk === undefined) return undefined;
      this.#items.add(this.#stream.blocks(chunk));
      const item = this.#items.take();
      if (item) return item;
      this.#context.alive();
    }
  }

  /** @returns undefined where the feed has ended */
  async #open(): Promise<BodyReader | undefined> {
    const response = await this.#ask();
    check(response, this.#errors, this.#id ?? '', this.#context);
    if (response.status === 204) return undefined;
    const bytes = readerOf(response.body, this.#errors);
    this.#context.opened(this.#opening(response));
    if (this.#id === undefined && typeof this.#options.body !== 'function') warnUntold(this.#from, this.#context);
    return bytes;
  }

  #opening(response: FeedResponse): ReturnType<typeof openingOf> {
    const offsetOf = (id: string) => this.#items.offsetOf(id, { id, type: 'message', data: '' });
    try {
      return openingOf(response, this.#options, offsetOf);
    } catch (cause) {
      throw this.#errors.final(`what it says of its log cannot be read: ${cause}`, { cause });
    }
  }

  async #ask(): Promise<FeedResponse> {
    const about = { from: this.#from, id: this.#id ?? '', signal: this.#abort.signal, errors: this.#errors };
    const question = questionOf(this.#url, this.#options, about);
    try {
      return await this.#inTime(() => ask(this.#options, question, this.#errors));
    } catch (error) {
      const advice = await corsAdvice(question, this.#options, this.#errors);
      if (advice === undefined) throw error;
      this.#context.warn('cors-last-event-id', advice);
      throw this.#errors.error(advice, { cause: error });
    }
  }

  /** Network errors and a silence that lasts too long may pass. */
  async #inTime<R>(wait: () => Promise<R>): Promise<R> {
    try {
      return await inTime(this.#options.idleTimeoutMs ?? 0, this.#stop, wait);
    } catch (cause) {
      if (cause instanceof OffsetError) throw cause;
      throw this.#errors.error(cause instanceof Silence ? cause.message : String(cause), { cause });
    }
  }

  readonly #stop = (): void => {
    this.#abort.abort();
    this.#bytes?.cancel();
  };

  readonly #close = (): void => {
    this.#closed = true;
    this.#context.signal.removeEventListener('abort', this.#close);
    this.#stop();
  };
}
