import {
  type FeedResponse,
  InMemoryOffsetStore,
  Offset,
  OffsetTracker,
  type PollOptions,
  poll,
  resume,
} from 'tidemark';
import { describe, expect, test } from 'vitest';
import { serveForTest as serve } from './http-server.ts';
import { openOnce } from './opening.ts';

interface OrderPage {
  readonly orders: readonly { readonly n: number }[];
  readonly cursor?: string | undefined;
}

/** An API of cursors: two orders a page, and a cursor after each. */
const cursors = (log: number[]) =>
  serve((_request, response, url) => {
    const from = Number(url.searchParams.get('cursor')?.slice(1) ?? 0);
    const orders = log.slice(from, from + 2).map((n) => ({ n }));
    response.end(JSON.stringify({ orders, cursor: `c${from + orders.length}` } satisfies OrderPage));
  });
const pages = {
  events: ({ orders }: OrderPage) => orders,
  next: ({ cursor }: OrderPage) => cursor,
  intervalMs: 5,
};

describe('an API of pages with a cursor', () => {
  test('is read page after page, each recorded with its last event, and told as up to date at its end', async () => {
    const { url, requests } = await cursors([1, 2, 3]);
    const { items } = await openOnce(poll(`${url}/orders?limit=2`, pages), { count: 5 });
    expect(items).toEqual([
      { offset: undefined, data: { n: 1 } },
      { offset: Offset.custom('c2'), data: { n: 2 }, upToDate: false },
      { offset: Offset.custom('c3'), data: { n: 3 }, upToDate: false },
      { heartbeat: true, offset: Offset.custom('c3'), upToDate: true },
      { heartbeat: true, offset: Offset.custom('c3'), upToDate: true },
    ]);
    expect(requests).toEqual([
      '/orders?limit=2',
      '/orders?limit=2&cursor=c2',
      '/orders?limit=2&cursor=c3',
      '/orders?limit=2&cursor=c3',
    ]);
  });

  test('is gone on with after the last page whose events were all processed', async () => {
    const log = [1, 2, 3, 4];
    const { url } = await cursors(log);
    const store = new InMemoryOffsetStore();
    const read = async (until: number): Promise<number[]> => {
      const seen: number[] = [];
      for await (const { data } of resume(new OffsetTracker(store), 'orders', poll(url, pages)))
        if (seen.push(data.n) && data.n === until) break;
      return seen;
    };
    expect(await read(4)).toEqual([1, 2, 3, 4]);
    log.push(5);
    expect(await read(5)).toEqual([3, 4, 5]);
  });

  test('says itself whether there is more', async () => {
    const { url } = await cursors([1, 2, 3]);
    const more = ({ orders }: OrderPage): boolean => orders.length === 2;
    const { items } = await openOnce(poll(url, { ...pages, more }), { count: 3 });
    expect(items.map((item) => 'upToDate' in item && item.upToDate)).toEqual([false, false, true]);
  });

  test('is warned of where reading starts at the end, and the API has no word for it', async () => {
    const { url, requests } = await cursors([1]);
    const from = Offset.latest;
    expect((await openOnce(poll(url, pages), { from, count: 1 })).warnings).toEqual(['latest-not-told']);
    expect((await openOnce(poll(url, { ...pages, latest: 'c1' }), { from, count: 1 })).warnings).toEqual([]);
    expect(requests).toEqual(['/', '/?cursor=c1']);
  });
});

describe('an API of a list with an ETag', () => {
  test('is asked after the number of the last event, and not sent what it has sent', async () => {
    const log = [1, 2, 3];
    let notModified = 0;
    const { url, requests } = await serve((request, response, { searchParams }) => {
      const tag = `"${log.length}"`;
      response.setHeader('etag', tag);
      if (request.headers['if-none-match'] === tag) {
        if (++notModified === 3) log.push(4);
        return response.writeHead(304).end();
      }
      const after = Number(searchParams.get('since') ?? 0);
      return response.end(JSON.stringify(log.filter((n) => n > after)));
    });
    const feed = poll((from) => `${url}/list${from.kind === 'sequence' ? `?since=${from.value}` : ''}`, {
      events: (page: number[]) => page,
      offset: (n) => Offset.sequence(n),
      intervalMs: 1,
    });
    const seen: number[] = [];
    for await (const { data } of resume(new OffsetTracker(new InMemoryOffsetStore()), 'list', feed))
      if (seen.push(data) === 4) break;
    expect(seen).toEqual([1, 2, 3, 4]);
    expect(notModified).toBe(3);
    expect(new Set(requests)).toEqual(new Set(['/list', '/list?since=3']));
  });

  test('has each event recorded, and goes on after one that cannot be read', async () => {
    const { url } = await serve((_request, response) => response.end('[1,"x",3]'));
    const feed = poll(url, { events: (page: (number | string)[]) => page, offset: Offset.sequence });
    const { items, places } = await openOnce(feed, { count: 3 });
    expect(places).toEqual(['seq:1', '-', 'seq:3']);
    expect(items[1]).toMatchObject({ failed: { event: 'x', retryable: false, cause: { code: 'invalid-offset' } } });
  });
});

describe('a server that holds its answer until something happens', () => {
  test('is asked again at once, and its empty answers are signs of life', async () => {
    const answers = ['', '{"orders":[],"cursor":"c0"}', '{"orders":[{"n":1}],"cursor":"c1"}'];
    const { url } = await serve((_request, response) => {
      const answer = answers.shift();
      if (answer === undefined) return undefined;
      return setTimeout(() => response.writeHead(answer === '' ? 204 : 200).end(answer), 50);
    });
    const { items } = await openOnce(poll(url, { ...pages, intervalMs: 0 }), { count: 3 });
    expect(items).toEqual([
      { heartbeat: true, upToDate: true },
      { heartbeat: true, offset: Offset.custom('c0'), upToDate: true },
      { offset: Offset.custom('c1'), data: { n: 1 }, upToDate: false },
    ]);
  });

  test('is left where it never answers, and at once where nobody wants it any more', async () => {
    const { url, server } = await serve(() => {});
    const { error } = await openOnce(poll(url, { ...pages, timeoutMs: 30 }));
    expect(error).toMatchObject({ retryable: true, message: expect.stringContaining('silent for 30 ms') });
    const stop = new AbortController();
    server.once('request', () => stop.abort());
    expect((await openOnce(poll(url, pages), { signal: stop.signal })).error).toBeDefined();
  });

  test('is not waited for between two requests either', async () => {
    const { url } = await cursors([]);
    const stop = new AbortController();
    const onItem = (): void => stop.abort();
    const { items } = await openOnce(poll(url, { ...pages, intervalMs: 1e9 }), { signal: stop.signal, onItem });
    expect(items).toHaveLength(1);
  });
});

describe('an answer', () => {
  const ask = async (status: number, text = '', { headers = {}, openedBefore = false } = {}) => {
    const { url } = await serve((_request, response) => response.writeHead(status, headers).end(text));
    return openOnce(poll(url, pages), { from: Offset.custom('c7'), openedBefore, count: 1 });
  };

  test('410 means that the next events are gone', async () => {
    const { error } = await ask(410);
    expect(error).toMatchObject({ code: 'feed-expired', message: expect.stringContaining('"c7"') });
  });

  test.each([400, 401, 403, 404])('%i ends the reading', async (status) => {
    expect((await ask(status)).error).toMatchObject({ status, retryable: false });
  });

  test('that may pass is tried again, after the time that the server says', async () => {
    const { error } = await ask(429, '', { headers: { 'retry-after': '7' } });
    expect(error).toMatchObject({ status: 429, retryable: true, retryAfterMs: 7000 });
  });

  test.each(['<html>', '{', '{"orders":5}', '{}', 'null'])('%s is no page', async (text) => {
    expect((await ask(200, text)).error).toMatchObject({ code: 'feed', retryable: false });
    expect((await ask(200, text, { openedBefore: true })).error).toMatchObject({ code: 'feed', retryable: true });
  });

  test.each<[string, PollOptions<number, number[]>['read']]>([
    ['by itself', undefined],
    ['by `read`', async (response) => JSON.parse(await response.text())],
    ['by `read`, from the body', async ({ body }) => JSON.parse(await new Response(body as ReadableStream).text())],
  ])('that breaks off is asked for again, where its page is read %s', async (_how, read) => {
    const { url } = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': 40 }).write('[1', () => response.destroy());
    });
    const feed = poll(url, { events: (page) => page, offset: Offset.sequence, ...(read && { read }) });
    expect((await openOnce(feed)).error).toMatchObject({ code: 'feed', status: undefined, retryable: true });
  });

  test('that came whole ends the reading where `read` cannot read it', async () => {
    const { url } = await serve((_request, response) => response.end('[1]'));
    const read = async (response: FeedResponse): Promise<number[]> => {
      throw new TypeError(`${await response.text()} has no version`);
    };
    const { error } = await openOnce(poll(url, { events: (page) => page, offset: Offset.sequence, read }));
    expect(error).toMatchObject({ retryable: false, message: expect.stringContaining('[1] has no version') });
  });

  test('tells the log and its head', async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(200, { 'x-log': 'a1', 'x-head': 'c9' }).end('{"orders":[],"cursor":"c9"}');
    });
    const { told } = await openOnce(poll(url, { ...pages, feedId: 'x-log', head: 'x-head' }), { count: 1 });
    expect(told).toEqual([{ feedId: 'a1', head: Offset.custom('c9') }]);
  });
});

test('pages that do not say where to go on are refused', () => {
  expect(() => poll('/orders', { events: (page: number[]) => page })).toThrow(TypeError);
});
