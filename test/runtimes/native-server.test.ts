import { connect } from 'node:net';
import { type Feed, InMemoryOffsetStore, Offset, OffsetTracker, resume, sse } from 'tidemark';
import { MemoryLog, serve } from 'tidemark/serve';
import { afterEach, expect, test } from 'vitest';
import { cutAfter } from './cut-after.ts';

type Handler = (request: Request) => Promise<Response>;

/** What runtimes other than Node serve with. */
declare const Bun: { serve(options: object): { port: number; stop(closeActive: boolean): unknown } } | undefined;
declare const Deno:
  | { serve(options: object, handler: Handler): { addr: { port: number }; shutdown(): Promise<void> } }
  | undefined;

const isBun = typeof Bun !== 'undefined';
const isDeno = typeof Deno !== 'undefined';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Gives the handler to the runtime's own server, as it is. @returns the port */
function listen(handler: Handler): number {
  if (isBun) {
    const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: handler });
    closing.push(() => server.stop(true));
    return server.port;
  }
  if (!isDeno) throw new Error('Node has no server that takes a handler of the Fetch API');
  const abort = new AbortController();
  const options = { port: 0, hostname: '127.0.0.1', signal: abort.signal, onListen: () => {} };
  const server = Deno.serve(options, handler);
  closing.push(() => abort.abort());
  return server.addr.port;
}

test.runIf(isBun || isDeno)(
  'the server of the runtime takes what `serve` returns, and gives each event once',
  async () => {
    const log = new MemoryLog<number>();
    for (let i = 1; i <= 100; i++) log.append(i);
    const handler = serve(log.feed, { retryMs: 1 });
    let requests = 0;
    const port = listen(async (request) => {
      requests++;
      const response = await handler(request);
      return requests > 2 ? response : new Response(cutAfter(response, 500), response);
    });
    const found: number[] = [];
    const feed = sse(`http://127.0.0.1:${port}/orders`, {
      parse: Number,
      offset: Offset.sequence,
      earliest: 'earliest',
    });
    for await (const { data } of resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', feed)) {
      found.push(data);
      if (data >= 100 && data < 300) log.append(data + 1);
      if (data === 300) break;
    }
    expect(found).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
    expect(requests).toBe(3);
  },
);

test.runIf(isBun || isDeno)('a client that takes nothing stops the feed, and is cut off', async () => {
  const most = 1_000_000;
  let asked = 0;
  let returned = 0;
  const feed: Feed<string> = () => ({
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        if (asked === most) return { done: true, value: 'end' };
        return { done: false, value: { offset: Offset.sequence(++asked), data: 'x'.repeat(1000) } };
      },
      return: async () => {
        returned++;
        return { done: true, value: undefined };
      },
    }),
  });
  const port = listen(serve(feed, { stallTimeoutMs: 500, onError: () => {} }));
  const client = connect(port, '127.0.0.1', () => client.write('GET /orders HTTP/1.1\r\nHost: localhost\r\n\r\n'));
  client.pause();
  client.on('error', () => {});
  closing.push(() => client.destroy());
  await expect.poll(() => returned).toBe(1);
  // What the sockets of both ends hold is some megabytes.
  expect(asked).toBeLessThan(30_000);
});
