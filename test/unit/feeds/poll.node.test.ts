import {
  type Feed,
  type FeedResponse,
  InMemoryOffsetStore,
  Offset,
  OffsetTracker,
  type PollOptions,
  poll,
  resume,
} from 'tidemark';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { serveHttp } from './http-server.ts';
import { openOnce } from './opening.ts';

const closing: (() => void)[] = [];
afterEach(() => closing.splice(0).forEach((close) => close()));

async function serve(...args: Parameters<typeof serveHttp>) {
  const server = await serveHttp(...args);
  closing.push(server.close);
  return server;
}

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

/** Reads a feed of numbers to the last of them, and tells what was delivered and what was warned of. */
async function readTo<T>(last: T, feed: Feed<T>, store = new InMemoryOffsetStore()) {
  const tracker = new OffsetTracker(store);
  const seen: T[] = [];
  const warnings: (string | undefined)[] = [];
  tracker.subscribe(({ type, code }) => type === 'warning' && void warnings.push(code));
  for await (const { data } of resume(tracker, 'orders', feed)) if (seen.push(data) && data === last) break;
  return { seen, warnings };
}

describe('a page of events that leaves the place where it was', () => {
  afterEach(() => void vi.useRealTimers());

  /** Answers by the cursor, in simulated time; `asked` are the ms since the first request. */
  function answering<P>(page: (cursor: string | null) => P) {
    const start = Date.now();
    const asked: number[] = [];
    const fetch: NonNullable<PollOptions<unknown, P>['fetch']> = async (url) => {
      asked.push(Date.now() - start);
      return Response.json(page(new URL(url, 'http://localhost').searchParams.get('cursor')));
    };
    return { fetch, asked };
  }

  test.each([
    ['null', null, 'no-ids'],
    ['empty', '', 'no-ids'],
    ['the same', 'c1', 'id-ignored'],
  ])('is asked for again after the interval, and warned of: the cursor is %s', async (_what, last, code) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    const page = (cursor: string | null) =>
      cursor === 'c1' ? { orders: [3, 4], cursor: last } : { orders: [1, 2], cursor: 'c1' };
    const { fetch, asked } = answering(page);
    const feed = poll('/orders', {
      fetch,
      events: ({ orders }: ReturnType<typeof page>) => orders,
      next: (p) => p.cursor,
    });
    const opening = openOnce(feed, { count: 7 });
    await vi.advanceTimersByTimeAsync(10_000);
    const { events, places, warnings } = await opening;
    expect(asked).toEqual([0, 0, 5000, 10_000]);
    expect(events.map(({ data }) => data)).toEqual([1, 2, 3, 4, 3, 4, 3]);
    expect(places).toEqual(['-', 'custom:c1', '-', '-', '-', '-', '-']);
    expect(new Set(warnings)).toEqual(new Set([code]));
  });

  test('is asked for again after the interval, also where more is said to come', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    const { fetch, asked } = answering(() => [3]);
    const feed = poll('/orders', {
      fetch,
      events: (page: number[]) => page,
      offset: Offset.sequence,
      more: () => true,
    });
    const opening = openOnce(feed, { from: Offset.sequence(3), count: 2 });
    await vi.advanceTimersByTimeAsync(5000);
    expect([(await opening).warnings, asked]).toEqual([
      ['id-ignored', 'id-ignored'],
      [0, 5000],
    ]);
  });

  test('is not warned of where an event cannot be read', async () => {
    const { fetch } = answering(() => ['x']);
    const feed = poll('/orders', { fetch, events: (page: string[]) => page, offset: Offset.sequence });
    expect((await openOnce(feed, { count: 1 })).warnings).toEqual([]);
  });

  /** Begins at the place, not after it, and gets a new event once it has been asked several times in vain. */
  const inclusive = () => {
    const log = [1, 2, 3];
    let askedAt3 = 0;
    return serve((_request, response, { searchParams }) => {
      const from = Number(searchParams.get('cursor') ?? 1);
      if (from === 3 && ++askedAt3 === 4) log.push(4, 5);
      response.end(JSON.stringify(log.filter((n) => n >= from)));
    });
  };
  const options = { events: (page: number[]) => page, intervalMs: 1 };

  test.each<[string, PollOptions<number, number[]>]>([
    ['ordered', { ...options, offset: Offset.sequence }],
    ['opaque', { ...options, offset: (n) => Offset.custom(String(n)) }],
  ])('repeats no event where a server begins at the place: %s', async (_kind, how) => {
    const { url } = await inclusive();
    expect(await readTo(5, poll(url, how))).toEqual({ seen: [1, 2, 3, 4, 5], warnings: ['id-ignored'] });
  });

  test('repeats the event at the place only with newer ones, where a server begins there and only pages have a place', async () => {
    const { url } = await inclusive();
    const feed = poll(url, { ...options, next: (page) => String(page.at(-1)) });
    expect(await readTo(5, feed)).toEqual({ seen: [1, 2, 3, 3, 4, 5], warnings: ['id-ignored'] });
  });

  test('says that all has been read where it brings nothing new', async () => {
    const { url } = await inclusive();
    const { items } = await openOnce(poll(url, { ...options, offset: Offset.sequence }), { count: 4 });
    expect(items.map((item) => 'upToDate' in item && item.upToDate)).toEqual([false, false, false, true]);
  });
});

describe("reading from 'latest'", () => {
  /** Numbers, of which one more comes after each answer. */
  const growing = (status = 200) => {
    const log = [1, 2, 3];
    return serve((_request, response, { searchParams }) => {
      const cursor = searchParams.get('cursor');
      const items = log.filter((n) => n > (cursor === 'now' ? log.length : Number(cursor)));
      response.setHeader('x-head', log.length);
      if (items.length === 0) response.writeHead(status);
      response.end(status === 200 || items.length > 0 ? JSON.stringify(items) : undefined);
      log.push(log.length + 1);
    });
  };
  const options: PollOptions<number, number[]> = {
    events: (page) => page,
    offset: Offset.sequence,
    latest: 'now',
    intervalMs: 1,
    head: ({ headers }) => Offset.sequence(headers.get('x-head') ?? ''),
  };
  const atLatest = async () => {
    const store = new InMemoryOffsetStore();
    await new OffsetTracker(store).reset('orders', Offset.latest);
    return store;
  };

  test.each([200, 204])('skips nothing that comes after an answer %i that tells its head', async (status) => {
    const { url, requests } = await growing(status);
    const read = await readTo(6, poll(url, options), await atLatest());
    expect(read).toEqual({ seen: [4, 5, 6], warnings: [] });
    expect(requests.slice(0, 2)).toEqual(['/?cursor=now', '/?cursor=3']);
  });

  test('delivers what comes with the first head, as where an answer was held until something came', async () => {
    const { url } = await serve((_request, response, { searchParams }) => {
      const cursor = searchParams.get('cursor');
      response.setHeader('x-head', '6');
      response.end(cursor === 'now' ? '[4,5]' : cursor === '5' ? '[6]' : '[]');
    });
    const tracker = new OffsetTracker(await atLatest());
    const events = resume(tracker, 'orders', poll(url, options));
    for (const data of [4, 5, 6]) expect(await events.next()).toMatchObject({ value: { data } });
    const caughtUp = tracker.caughtUp('orders');
    void events.next();
    await caughtUp;
    expect(tracker.status('orders')).toMatchObject({ head: Offset.sequence(6), lag: 0 });
    await events.return();
  });

  test('is warned of where neither a head nor an offset comes', async () => {
    const { url, requests } = await growing();
    const { warnings } = await openOnce(poll(url, { ...options, head: () => undefined }), {
      from: Offset.latest,
      count: 2,
    });
    expect([warnings, requests]).toEqual([['latest-not-pinned'], ['/?cursor=now', '/?cursor=now']]);
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
