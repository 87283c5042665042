import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { type ChangePage, bookAfter, canonical, change } from './changes.ts';
import { HttpError, asCount } from './requests.ts';

/** How many changes there are of a feed that nobody has added to. */
const firstHead = 10_000;
const mostChanges = 100_000;
/** One page of changes goes out in so many ms, so that a rate is even. */
const pageMs = 50;
/** How long a request for what is not there yet is held, in ms. */
const holdMs = 20_000;

/**
 * The changes of a harbour book, and the book itself:
 *
 *     GET  /changes?feed=name&after=n[&rate=2000]   a page of the changes after n; held while there are none
 *     POST /changes?feed=name&count=100             so many more changes
 *     GET  /changes/book?feed=name[&at=n]           the book after n changes, or after all
 */
export class ChangeServer {
  readonly #folder: string | undefined;
  readonly #heads = new Map<string, number>();
  readonly #waiting = new Set<() => void>();

  /** @param folder where it is kept how many changes there are, so that a server started again goes on */
  constructor(folder?: string) {
    this.#folder = folder;
  }

  /** Answers a request for anything below /changes; hands others on to `next`, or answers 404. */
  readonly handle = (request: IncomingMessage, response: ServerResponse, next?: () => void): void => {
    const url = new URL(`http://changes${(request.url ?? '/').replace(/^\/*/, '/')}`);
    if (next && !/^\/changes(\/|$)/.test(url.pathname)) return next();
    this.#answer(url, request, response).catch((error: unknown) => {
      if (response.headersSent) return void response.destroy();
      response.writeHead(error instanceof HttpError ? error.status : 500, {
        'content-type': 'text/plain; charset=utf-8',
        'cache-control': 'no-store',
      });
      response.end(`${error instanceof Error ? error.message : String(error)}\n`);
    });
  };

  async #answer({ pathname, searchParams }: URL, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const feed = searchParams.get('feed') ?? 'demo';
    if (!/^[\w-]{1,64}$/.test(feed)) throw new HttpError(400, 'feed= takes 1 to 64 letters, digits, _ and -.');
    const number = (name: string, otherwise: number): number =>
      asCount(searchParams.get(name) ?? otherwise, name, name === 'after' || name === 'at' ? 0 : 1);
    switch (`${request.method} ${pathname}`) {
      case 'GET /changes':
        return this.#page(feed, number('after', 0), number('rate', 2000), response);
      case 'POST /changes':
        // A form of another site may not send this type.
        if (request.headers['content-type'] !== 'application/json')
          throw new HttpError(415, 'Changes are asked for as application/json.');
        this.#add(feed, number('count', 100));
        return send(response, JSON.stringify({ head: this.#head(feed) }));
      case 'GET /changes/book':
        return send(response, canonical(bookAfter(Math.min(number('at', this.#head(feed)), this.#head(feed)))));
      default:
        throw new HttpError(404, 'There is GET and POST /changes, and GET /changes/book.');
    }
  }

  async #page(feed: string, after: number, rate: number, response: ServerResponse): Promise<void> {
    if (after >= this.#head(feed)) await this.#news(response);
    else await new Promise((resolve) => setTimeout(resolve, pageMs));
    const head = this.#head(feed);
    const count = Math.min(Math.ceil((rate * pageMs) / 1000), Math.max(0, head - after));
    const page: ChangePage = { changes: Array.from({ length: count }, (_, i) => change(after + 1 + i)), head };
    send(response, JSON.stringify(page));
  }

  /** Resolves when changes were added, when it has been held for long enough, and when nobody waits any more. */
  #news(response: ServerResponse): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, holdMs);
      this.#waiting.add(done);
      response.on('close', done);
    });
  }

  #add(feed: string, count: number): void {
    const head = this.#head(feed) + count;
    if (head > mostChanges) throw new HttpError(400, `A feed has at most ${mostChanges} changes.`);
    this.#heads.set(feed, head);
    if (this.#folder !== undefined) {
      mkdirSync(this.#folder, { recursive: true });
      writeFileSync(join(this.#folder, feed), String(head));
    }
    for (const done of this.#waiting) done();
  }

  #head(feed: string): number {
    const head = this.#heads.get(feed) ?? this.#kept(feed) ?? firstHead;
    this.#heads.set(feed, head);
    return head;
  }

  #kept(feed: string): number | undefined {
    if (this.#folder === undefined) return undefined;
    try {
      return Number(readFileSync(join(this.#folder, feed), 'utf8')) || undefined;
    } catch {
      return undefined; // Nobody has added to it.
    }
  }
}

function send(response: ServerResponse, json: string): void {
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(json);
}
