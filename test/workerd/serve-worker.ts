import { DurableObject } from 'cloudflare:workers';
import { type Feed, InMemoryOffsetStore, Offset, OffsetTracker, resume, sse } from '../../src/index.ts';
import { MemoryLog, serve } from '../../src/serve/index.ts';

interface Env {
  readonly LOG: DurableObjectNamespace<{ fetch(request: Request): Promise<Response> }>;
}

/** A log in an object, and how many are reading it. */
export class Log extends DurableObject<Env> {
  readonly #log = new MemoryLog<number>({ maxEvents: 100 });
  #readers = 0;
  readonly #counted: Feed<number> = (from, context) => {
    const items = this.#log.feed(from, context)[Symbol.asyncIterator]();
    this.#readers++;
    context.signal.addEventListener('abort', () => this.#readers--);
    return { [Symbol.asyncIterator]: () => items };
  };
  // Now and then workerd takes nothing more for a client that is gone, and does not say so.
  readonly #read = serve(this.#counted, { heartbeatMs: 50, stallTimeoutMs: 5000 });

  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === '/feed') return this.#read(request);
    if (pathname === '/append') this.#log.append(Number(searchParams.get('n')));
    return Response.json({ size: this.#log.size, readers: this.#readers });
  }
}

export default {
  async fetch(request: Request, { LOG }: Env): Promise<Response> {
    const log = LOG.get(LOG.idFromName('numbers'));
    const { pathname, searchParams, origin } = new URL(request.url);
    if (pathname !== '/read') return log.fetch(request);
    // Of the Worker's own, from the object.
    const feed = sse(`${origin}/feed`, {
      parse: Number,
      offset: Offset.sequence,
      earliest: 'earliest',
      feedId: 'Feed-Id',
      fetch: (input, init) => log.fetch(new Request(input, init)),
    });
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    const found: number[] = [];
    for await (const { data } of resume(tracker, 'numbers', feed)) {
      found.push(data);
      if (found.length === Number(searchParams.get('count'))) break;
    }
    return Response.json(found);
  },
};
