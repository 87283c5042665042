import { type Feed, InMemoryOffsetStore, Offset, OffsetTracker, type PollOptions, poll, resume } from 'tidemark';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { serveForTest as serve } from './http-server.ts';
import { openOnce } from './opening.ts';

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

describe('a cursor', () => {
  const options: PollOptions<number, { items: number[]; cursor: number }> = {
    events: ({ items }) => items,
    next: ({ cursor }) => cursor,
  };

  test('may be a number, which is sent back as text', async () => {
    const { url, requests } = await serve((_request, response, { searchParams }) => {
      const from = Number(searchParams.get('cursor') ?? 0);
      response.end(JSON.stringify({ items: [from + 1], cursor: from + 1 }));
    });
    const { places } = await openOnce(poll(url, options), { count: 3 });
    expect([places, requests]).toEqual([
      ['custom:1', 'custom:2', 'custom:3'],
      ['/', '/?cursor=1', '/?cursor=2'],
    ]);
  });

  test.each(['{"after":"c1"}', 'true', '9007199254740993'])(
    '%s is none, and the error names `next`',
    async (cursor) => {
      const { url } = await serve((_request, response) => response.end(`{"items":[1],"cursor":${cursor}}`));
      const { error } = await openOnce(poll(url, options));
      expect(error).toMatchObject({ code: 'feed', retryable: false, message: expect.stringContaining('`next` gives') });
    },
  );
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

describe('a head that a header tells', () => {
  const options: PollOptions<number, number[]> = { events: (page) => page, head: 'x-head', intervalMs: 1 };
  const list = (head: string) =>
    serve((_request, response, { searchParams }) => {
      const from = searchParams.get('cursor') ?? '';
      response.setHeader('x-head', head);
      response.end(JSON.stringify([1, 2, 3].filter((n) => n > (Number(from) || Date.parse(from) || 0))));
    });

  test.each<[string, (n: number) => Offset, string]>([
    ['sequences', Offset.sequence, '3'],
    ['times', Offset.timestamp, '1970-01-01T00:00:00.003Z'],
    ['times in ms', Offset.timestamp, '3'],
    ['opaque ones', (n) => Offset.custom(String(n)), '3'],
  ])('is of the kind of the offsets: %s', async (_kind, offset, head) => {
    const { url } = await list(head);
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    const stop = new AbortController();
    const reading = resume(tracker, 'orders', poll(url, { ...options, offset }), {
      signal: stop.signal,
      handler: () => {},
    });
    await tracker.caughtUp('orders');
    expect(tracker.status('orders')).toMatchObject({ head: offset(3), recorded: offset(3), lag: 0, caughtUp: true });
    stop.abort();
    await reading;
  });

  test('before the place ends the reading: the log was restored', async () => {
    const { url } = await list('3');
    const store = new InMemoryOffsetStore([['orders', Offset.sequence(50)]]);
    const reading = readTo(0, poll(url, { ...options, offset: Offset.sequence }), store);
    await expect(reading).rejects.toMatchObject({
      code: 'feed-changed',
      message: expect.stringMatching(/seq:3.*seq:50/),
    });
  });

  test('and that is none of the offsets ends it too', async () => {
    const { url } = await list('x');
    const { error } = await openOnce(poll(url, { ...options, offset: Offset.sequence }), { from: Offset.sequence(1) });
    expect(error).toMatchObject({ retryable: false, message: expect.stringContaining('"x" is not a sequence') });
  });

  test("is not taken for the place of 'latest' where nothing says of which kind it is", async () => {
    const { url } = await serve((_request, response) => response.setHeader('x-head', '3').end('[]'));
    const feed = poll(url, { ...options, offset: Offset.sequence, latest: 'now' });
    const { told, places, warnings } = await openOnce(feed, { from: Offset.latest, count: 2 });
    expect([told[0], places, warnings]).toEqual([{ feedId: undefined }, ['-', '-'], ['latest-not-pinned']]);
  });
});
