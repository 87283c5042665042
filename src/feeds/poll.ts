import { quote } from '../errors.ts';
import { type Offset, equals, isConcrete, isOffset, order, sequence, timestamp } from '../offset.ts';
import { type Feed, type FeedContext, type FeedEvent, type FeedHeartbeat, type FeedItem, isFailure } from './feed.ts';
import { openingOf, refusal, retryAfterOf } from './http/answer.ts';
import { HttpConnection } from './http/connection.ts';
import type { FeedResponse, HttpOptions, LogOptions, WordOptions } from './http/options.ts';
import { custom, warnUntold, withQuery, wordOf } from './http/place.ts';
import { pause } from './pause.ts';
import { checkUrl } from './url.ts';
import { WholeBody } from './whole-body.ts';

/** Options of {@link poll}; `T` is an event, `P` a page as the server sends it. */
export interface PollOptions<T, P> extends HttpOptions, LogOptions, WordOptions {
  /** The events of a page, in order. */
  readonly events: (page: P) => readonly T[];
  /**
   * The place after a page: the next cursor, as text, a number or an offset; undefined, null or '' where the page tells none. The
   * last event of the page carries it, and a heartbeat does where the page has no events. A page of events needs a new one:
   * the same page is asked for again otherwise, and its events come again. Default: none, `offset` says it.
   */
  readonly next?: (page: P, response: FeedResponse) => Offset | string | number | undefined | null;
  /**
   * The place of one event, where each is one to go on from. Where it throws, the event is a {@link FeedFailure}.
   * Default: none, `next` says it.
   */
  readonly offset?: (event: T) => Offset | undefined;
  /**
   * Whether the next page can be asked for at once, if this one moves the place on. Default: where the page has events and
   * moves the place.
   */
  readonly more?: (page: P, response: FeedResponse) => boolean;
  /**
   * Makes a page of an answer. A SyntaxError, and what is thrown once the body has come whole by `text`, ends the reading;
   * anything else is tried again. Default: its JSON.
   */
  readonly read?: (response: FeedResponse) => Promise<P>;
  /** The query parameter for the place, which replaces what the URL has. Default 'cursor'. */
  readonly query?: string;
  /**
   * The least time between two requests while there is nothing new, or the place stays, in ms; default 5000. It counts from
   * the sending, so that a server that holds its answer until something happens ("long poll") is asked again at once; give
   * such a one 100, say.
   */
  readonly intervalMs?: number;
  /** How long an answer may take, in ms; default 60,000. 0: for ever. */
  readonly timeoutMs?: number;
}

/**
 * Pages of events, asked for by a cursor, as a feed. An `ETag` is sent back as `If-None-Match`, and a 304 or 204 is "nothing
 * new". What has been read to its end is told as up to date.
 *
 * By status: 410 is a FeedExpiredError. 408, 425, 429, 5xx and network errors are tried again, after `Retry-After`. Anything
 * else is a FeedError that ends the reading; but a 404 is tried again where the feed was open before.
 *
 * @param url with the place in a query parameter, or a function of the offset where it is told in another way. Nothing is
 * sent for 'earliest', where pages begin. For 'latest' give the option `latest`, or a function; and where a page without
 * events has no cursor, `head`, a function too: what comes before the first event would be skipped.
 * @throws TypeError where neither `next` nor `offset` says where to go on
 * @example
 * poll('https://api.example/orders', {
 *   events: (page: { items: Order[]; cursor: string }) => page.items,
 *   next: (page) => page.cursor,
 * });
 */
export function poll<T, P>(
  url: string | URL | ((from: Offset) => string | URL),
  options: PollOptions<T, P>,
): Feed<T, FeedEvent<T>> {
  if (!options?.next && !options?.offset)
    throw new TypeError('poll: give `next` or `offset`, which say where to go on');
  if (typeof url !== 'function') checkUrl('poll', url);
  const { query = 'cursor' } = options;
  const urlOf = (from: Offset): string => {
    if (typeof url === 'function') return String(url(from));
    const word = wordOf(from, options);
    return word ? withQuery(String(url), query, word) : String(url);
  };
  const isTold = (from: Offset): boolean =>
    typeof url === 'function' || from.kind !== 'latest' || options.latest !== undefined;
  return (from, context) => {
    if (!isTold(from)) warnUntold(from, context);
    return new Polling(options, urlOf, from, context).items();
  };
}

type Item<T> = FeedItem<T, FeedEvent<T>>;

interface Page<T> {
  readonly items: readonly Item<T>[];
  /** Whether the next page can be asked for at once. */
  readonly more: boolean;
}

/** One opening: page after page. */
class Polling<T, P> {
  readonly #options: PollOptions<T, P>;
  readonly #urlOf: (from: Offset) => string;
  readonly #context: FeedContext;
  readonly #http: HttpConnection;
  #place: Offset;
  #openedBefore: boolean;
  /** The tag of the page that was read last, and where it was read. */
  #known: { readonly url: string; readonly tag: string } | undefined;

  constructor(options: PollOptions<T, P>, urlOf: (from: Offset) => string, from: Offset, context: FeedContext) {
    this.#options = options;
    this.#urlOf = urlOf;
    this.#context = context;
    this.#http = new HttpConnection(urlOf(from), options, context, options.timeoutMs ?? 60_000);
    this.#place = from;
    this.#openedBefore = context.openedBefore;
  }

  async *items(): AsyncGenerator<Item<T>, void, void> {
    const { intervalMs = 5000 } = this.#options;
    const { signal, close } = this.#http;
    // Each request has a time limit of its own, and between two of them silence says nothing.
    this.#context.deadAfter(0);
    try {
      while (!signal.aborted) {
        const sentAt = Date.now();
        const response = await this.#ask();
        const { items, more }: Page<T> = this.#hasNothingNew(response) ? nothing : await this.#read(response);
        const head = this.#tell(response, items);
        for (const item of items) {
          this.#place = after(this.#place, item);
          yield item;
        }
        if (head) yield this.#pin(head);
        if (this.#place.kind === 'latest') this.#warnUnpinned();
        const waitMs = Math.max(sentAt + intervalMs - Date.now(), retryAfterOf(response) ?? 0);
        if (!more && waitMs > 0) await pause(waitMs, signal);
      }
    } finally {
      close();
    }
  }

  async #ask(): Promise<FeedResponse> {
    const { errors } = this.#http;
    const url = this.#urlOf(this.#place);
    const headers = this.#known?.url === url ? { 'if-none-match': this.#known.tag } : {};
    const response = await this.#http.ask({ url, accept: 'application/json', headers });
    if (!this.#hasNothingNew(response) && response.status !== 200) {
      const place = wordOf(this.#place, this.#options) ?? this.#place.kind;
      throw refusal(response, errors, { place, openedBefore: this.#openedBefore, log: this.#options });
    }
    const tag = response.headers.get('etag');
    if (response.status === 200) this.#known = tag === null ? undefined : { url, tag };
    return response;
  }

  /** Tells what an answer says of the log, before its items. @returns the head where it is to be told after them */
  #tell(response: FeedResponse, items: readonly Item<T>[]): Offset | undefined {
    const { errors } = this.#http;
    const known = [this.#place, ...items.map(({ offset }) => offset)].find((offset) => offset && isConcrete(offset));
    // Before the first event, nobody knows of which kind the offsets of events are.
    const kind = known?.kind ?? (this.#options.offset ? undefined : 'custom');
    const { feedId, head } = openingOf(response, this.#options, { offsetOf: (text) => offsetOf(text, kind), errors });
    const atLatest = this.#place.kind === 'latest';
    this.#context.opened(atLatest ? { feedId } : { feedId, head });
    // From 'latest' reading would go on at the head, and the items are not after it.
    return atLatest && head && isConcrete(head) ? head : undefined;
  }

  /** Goes on at the head where the items have no place. */
  #pin(head: Offset): FeedHeartbeat {
    if (this.#place.kind !== 'latest') return { heartbeat: true, head };
    this.#place = head;
    return { heartbeat: true, offset: head, head };
  }

  /** What comes between two requests from 'latest' is in neither. */
  #warnUnpinned(): void {
    this.#context.warn(
      'latest-not-pinned',
      `${quote(this.#context.source)} is read from 'latest', and an answer does not say where that is: what comes before ` +
        'the next request is skipped. Have the answers tell the newest offset (the option `head`, as a function), or a cursor (`next`)',
    );
  }

  #hasNothingNew({ status }: FeedResponse): boolean {
    return status === 304 || status === 204;
  }

  async #read(response: FeedResponse): Promise<Page<T>> {
    const { read = json, events, next, more } = this.#options;
    // A network that wants a login first may answer in the server's place.
    const retryable = this.#openedBefore;
    const body = new WholeBody(response);
    const page = await this.#http.inTime(async () => {
      try {
        return (await read(body.response)) as P;
      } catch (cause) {
        // What breaks off on its way may come whole the next time.
        if (!body.isUnreadable(cause)) throw cause;
        throw this.#http.errors.error(`its page cannot be read: ${cause}`, { cause, status: 200, retryable });
      }
    });
    try {
      const all = [...events(page)];
      const told = placeOf(next?.(page, response));
      // One event at the place that was asked after is the one that is known; of several, some are new.
      const offset = all.length > 1 && equals(told, this.#place) ? undefined : told;
      const items = all.map((data, i) => this.#item(data, i === all.length - 1 ? { offset } : {}));
      const moves = !equals(items.reduce(after, this.#place), this.#place);
      if (!moves && all.length > 0) this.#warnStays(items, told);
      const wantsMore = more?.(page, response) ?? moves;
      const end = { offset, upToDate: !wantsMore };
      const last = all.length === 0 ? { heartbeat: true as const, ...end } : this.#item(all[all.length - 1] as T, end);
      this.#openedBefore = true;
      return { items: [...items.slice(0, -1), last], more: wantsMore && moves };
    } catch (cause) {
      throw this.#http.errors.error(`its page cannot be read: ${cause}`, { cause, event: page, retryable });
    }
  }

  /** A page of events leaves the place where it was: it will be asked for again. */
  #warnStays(items: readonly Item<T>[], told: Offset | undefined): void {
    const source = quote(this.#context.source);
    if (items.some(isFailure)) return;
    if (told || items.some((item) => item.offset)) {
      this.#context.warn(
        'id-ignored',
        `a page of ${source} has events, and ends where the page before it does: the server does not begin after the ` +
          'place, or tells the cursor of the page instead of the next one. Have it answer strictly after the place',
      );
    } else {
      this.#context.warn(
        'no-ids',
        `a page of ${source} has events, and no place after them: it is asked for again, and they come again. Have the ` +
          'server send a cursor with its last page too, or read the place from each event by the option `offset`',
      );
    }
  }

  #item(data: T, about: { readonly offset?: Offset | undefined; readonly upToDate?: boolean }): Item<T> {
    try {
      return { data, ...about, offset: about.offset ?? this.#options.offset?.(data) };
    } catch (cause) {
      const failed = this.#http.errors.final(`the event ${quote(data)} cannot be read: ${cause}`, {
        cause,
        event: data,
      });
      return { failed, again: () => this.#item(data, about) };
    }
  }
}

/** The place that `next` tells. */
function placeOf(cursor: unknown): Offset | undefined {
  if (cursor === undefined || cursor === null || cursor === '') return undefined;
  if (typeof cursor === 'string') return custom(cursor);
  // A number past 2^53 may have been rounded.
  if (typeof cursor === 'number' && Math.abs(cursor) <= Number.MAX_SAFE_INTEGER) return custom(String(cursor));
  if (isOffset(cursor)) return cursor;
  throw new TypeError(
    `\`next\` gives ${quote(cursor)}, which is no cursor: give text, a number up to 2^53 or an offset`,
  );
}

/** What a header says of a place, as the feed's other offsets are. */
function offsetOf(text: string, kind: Offset['kind'] | undefined): Offset | undefined {
  if (kind === 'sequence') return sequence(text);
  if (kind === 'timestamp') return timestamp(/^\d+$/.test(text) ? Number(text) : text);
  return kind && custom(text);
}

/** The place after an item: offsets that have an order only go forward. */
function after(place: Offset, { offset = place }: { readonly offset?: Offset | undefined }): Offset {
  return offset.kind === place.kind && order(offset, place) < 0 ? place : offset;
}

const nothing: Page<never> = { items: [{ heartbeat: true, upToDate: true }], more: false };

async function json(response: FeedResponse): Promise<unknown> {
  return JSON.parse(await response.text());
}
