import type { IncomingMessage, ServerResponse } from 'node:http';
import { Connection, type ConnectionOptions } from './connection.ts';
import { type Control, HttpError, asControl, asCount, asRate } from './requests.ts';
import type { Feed } from './feed.ts';
import { Feeds, type FeedsOptions } from './feeds.ts';

export interface FeedServerOptions extends FeedsOptions, ConnectionOptions {}

/** What `GET /feed/status` and every control answer. */
export interface FeedStatus {
  readonly feed: string;
  readonly generation: string;
  readonly earliest: number;
  readonly head: number;
  readonly rate: number;
  readonly retention: number;
  readonly connections: number;
  /** The same by what their readers call themselves; those that are silenced count too. */
  readonly lanes: Readonly<Record<string, number>>;
  /** How long the feed will still answer 503, in ms. */
  readonly unavailableMs: number;
}

const dropping: ReadonlySet<Control['action']> = new Set(['drop', 'unavailable', 'restart']);

/**
 * A server of deterministic Server-Sent Events:
 *
 *     GET  /feed?feed=name[&rate=20][&retention=1000]   the events after Last-Event-ID, or from the earliest; a reader
 *                                                       may call itself something: &lane=tidemark
 *     GET  /feed/status?feed=name                       where the feed stands
 *     POST /feed/control?feed=name                      what goes wrong: see `Control`
 */
export class FeedServer {
  #feeds: Feeds;
  #connections = new Set<Connection>();
  #options: FeedServerOptions;
  #now: () => number;

  constructor(options: FeedServerOptions = {}) {
    this.#feeds = new Feeds(options);
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Answers a request for anything below /feed; hands others on to `next`, or answers 404. */
  readonly handle = (request: IncomingMessage, response: ServerResponse, next?: () => void): void => {
    const url = new URL(`http://feed${(request.url ?? '/').replace(/^\/*/, '/')}`);
    if (next && !/^\/feed(\/|$)/.test(url.pathname)) return next();
    this.#answer(url, request, response).catch((error: unknown) => {
      const status = error instanceof HttpError ? error.status : 500;
      if (response.headersSent) return void response.destroy();
      const headers = error instanceof HttpError ? error.headers : {};
      response.writeHead(status, {
        'content-type': 'text/plain; charset=utf-8',
        'cache-control': 'no-store',
        ...headers,
      });
      response.end(`${error instanceof Error ? error.message : String(error)}\n`);
    });
  };

  /** Ends all connections. */
  close(): void {
    for (const connection of this.#connections) connection.drop();
  }

  async #answer(url: URL, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const routes: Record<string, [method: string, answer: (feed: Feed) => void | Promise<void>]> = {
      '/feed': ['GET', (feed) => this.#open(feed, url, request, response)],
      '/feed/status': ['GET', (feed) => this.#tell(feed, response)],
      '/feed/control': ['POST', async (feed) => this.#control(feed, await asControl(request), response)],
    };
    const route = routes[url.pathname];
    if (!route) throw new HttpError(404, 'There is /feed, /feed/status and /feed/control.');
    const [method, answer] = route;
    if (request.method !== method) throw new HttpError(405, `${url.pathname} takes ${method} only.`, { allow: method });
    await answer(this.#feedOf(url.searchParams));
  }

  #feedOf(query: URLSearchParams): Feed {
    const name = query.get('feed') ?? 'demo';
    if (!/^[\w-]{1,64}$/.test(name)) throw new HttpError(400, 'feed= takes 1 to 64 letters, digits, _ and -.');
    const [rate, retention] = [query.get('rate'), query.get('retention')];
    return this.#feeds.get(name, {
      ...(rate !== null && { rate: asRate(rate) }),
      ...(retention !== null && { retention: asCount(retention, 'retention') }),
    });
  }

  #open(feed: Feed, url: URL, request: IncomingMessage, response: ServerResponse): void {
    const wait = feed.unavailableUntil - this.#now();
    if (wait > 0) {
      const seconds = String(Math.ceil(wait / 1000));
      throw new HttpError(503, `The feed ${feed.name} is down for maintenance.`, { 'retry-after': seconds });
    }
    const next = firstEvent(feed, url.searchParams, request.headers['last-event-id']);
    const lane = url.searchParams.get('lane') ?? '';
    const connection = new Connection(feed, lane, response, next, this.#options);
    this.#connections.add(connection);
    response.on('close', () => this.#connections.delete(connection));
  }

  #control(feed: Feed, control: Control, response: ServerResponse): void {
    switch (control.action) {
      case 'unavailable':
        feed.unavailableUntil = this.#now() + control.seconds * 1000;
        break;
      case 'restart':
        feed.restart();
        break;
      case 'break':
        feed.break();
        break;
      case 'burst':
        feed.burst(control.events);
        break;
      case 'rate':
        feed.setRate(control.rate);
        break;
      case 'retention':
        feed.setRetention(control.events);
        break;
    }
    this.#feeds.save(feed);
    const connections = this.#connectionsOf(feed);
    if (control.action === 'silence') for (const connection of connections) connection.silence();
    if (dropping.has(control.action)) for (const connection of connections) connection.drop();
    this.#tell(feed, response);
  }

  #connectionsOf(feed: Feed): Connection[] {
    return [...this.#connections].filter((connection) => connection.feed === feed);
  }

  #tell(feed: Feed, response: ServerResponse): void {
    const { generation, rate, retention } = feed.state;
    const connections = this.#connectionsOf(feed);
    const lanes: Record<string, number> = {};
    for (const { lane } of connections) lanes[lane] = (lanes[lane] ?? 0) + 1;
    const status: FeedStatus = {
      feed: feed.name,
      generation,
      earliest: feed.earliest,
      head: feed.head,
      rate,
      retention,
      connections: connections.length,
      lanes,
      unavailableMs: Math.max(0, feed.unavailableUntil - this.#now()),
    };
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    response.end(JSON.stringify(status));
  }
}

/** The number of the first event to send; undefined: the next that comes. */
function firstEvent(feed: Feed, query: URLSearchParams, header: string | string[] | undefined): number | undefined {
  const id = String(header ?? query.get('lastEventId') ?? '');
  if (id === '') return feed.earliest;
  if (id === 'latest') return undefined;
  const place = feed.placeOf(id);
  switch (place.kind) {
    case 'here':
      return place.next;
    case 'gone':
      throw new HttpError(410, `The feed ${feed.name} cannot go on there: ${place.why}.`);
    case 'malformed':
      throw new HttpError(400, `Last-Event-ID takes 'latest' or an id of this feed, such as ${feed.idOf(feed.head)}.`);
  }
}
