import { FeedError, Offset, UnsupportedError, sse, type FeedResponse, type SseOptions } from 'tidemark';
import { describe, expect, test, vi } from 'vitest';
import { answering, streamOf } from './answers.ts';
import { openOnce, quietContext } from './opening.ts';

const at7 = { from: Offset.custom('7') };
const status = (code: number, headers = {}): Response => new Response(null, { status: code, headers });

describe('the place in the URL', () => {
  test.each([
    ['http://x/feed?topic=t&lastEventID=0', 'http://x/feed?topic=t&lastEventID=7'],
    ['/feed?lastEventID=0&topic=t&lastEventID=1#top', '/feed?topic=t&lastEventID=7'],
    ['feed', 'feed?lastEventID=7'],
    ['?', '?lastEventID=7'],
    ['/feed?sig=a%2Fb+c&flag&x=?', '/feed?sig=a%2Fb+c&flag&x=?&lastEventID=7'],
    ['/feed?last%45ventID=0', '/feed?lastEventID=7'],
    ['/feed?lastEventIDs=0', '/feed?lastEventIDs=0&lastEventID=7'],
  ])('of %s replaces the one that it has, and nothing else', async (url, expected) => {
    const { fetch, asked } = answering();
    await openOnce(sse(url, { fetch, lastEventId: { query: 'lastEventID' } }), at7);
    expect(asked.map((request) => request.url)).toEqual([expected]);
  });
});

describe('an id that no header can carry', () => {
  test.each(['a\u0001b', 'a\u007fb', 'a\nb'])(
    'ends the reading with an error that says the way out: %j',
    async (id) => {
      const { fetch, asked } = answering();
      const from = Offset.custom(id);
      const { error } = await openOnce(sse('/feed', { fetch }), { from });
      expect(error).toBeInstanceOf(FeedError);
      expect(error).toMatchObject({ retryable: false, source: 'orders' });
      expect(String(error)).toContain(JSON.stringify(id));
      expect(String(error)).toContain('lastEventId');
      expect(asked).toEqual([]);
      await openOnce(sse('/feed', { fetch, lastEventId: { query: 'after' } }), { from });
      expect(new URLSearchParams(asked[0]?.url.split('?')[1]).get('after')).toBe(id);
    },
  );
});

describe('the ends of a log', () => {
  const open = async (from: Offset, options: SseOptions) => {
    const { fetch, asked } = answering(['id: 1\ndata: x\n\n']);
    const { warnings } = await openOnce(sse('/feed', { fetch, ...options }), { from });
    return [asked[0]?.id, warnings];
  };

  test('are told in the words of the server', async () => {
    const words = { earliest: '0-0', latest: '$' };
    expect(await open(Offset.earliest, words)).toEqual(['0-0', []]);
    expect(await open(Offset.latest, words)).toEqual(['$', []]);
    const id = (offset: Offset): string | undefined => (offset.kind === 'earliest' ? 'start' : undefined);
    expect(await open(Offset.earliest, { id })).toEqual(['start', []]);
  });

  test('that the server is not told of are warned of', async () => {
    expect(await open(Offset.earliest, {})).toEqual([null, ['earliest-not-told']]);
    expect(await open(Offset.latest, {})).toEqual([null, ['latest-not-told']]);
    expect(await open(Offset.earliest, { latest: '$' })).toEqual([null, ['earliest-not-told']]);
    expect(await open(Offset.custom('7'), {})).toEqual(['7', []]);
  });

  test('need no word where the server is known to start there, or the body says it', async () => {
    expect(await open(Offset.earliest, { earliest: '' })).toEqual([null, []]);
    const body = ({ kind }: Offset): string => JSON.stringify({ kind });
    expect(await open(Offset.earliest, { method: 'POST', body })).toEqual([null, []]);
  });
});

test('a server that streams its answer to a POST is sent one', async () => {
  const { fetch, asked } = answering();
  const headers = { 'content-type': 'application/json' };
  const body = (from: Offset): string => JSON.stringify({ after: Offset.format(from) });
  await openOnce(sse('/feed', { fetch, method: 'POST', body, headers }), at7);
  expect(asked[0]?.init).toMatchObject({ method: 'POST', body: '{"after":"custom:7"}' });
  expect(asked[0]?.init.headers.get('content-type')).toBe('application/json');
});

describe('a 401', () => {
  const tokens = () => {
    let token = 0;
    return () => ({ authorization: `Bearer ${++token}` });
  };

  test('is asked once more with fresh headers', async () => {
    const { fetch, asked } = answering(status(401), ['id: 8\ndata: x\n\n']);
    const { places } = await openOnce(sse('/feed', { fetch, headers: tokens() }), at7);
    expect(places).toEqual(['custom:8']);
    expect(asked.map(({ id, init }) => [id, init.headers.get('authorization')])).toEqual([
      ['7', 'Bearer 1'],
      ['7', 'Bearer 2'],
    ]);
  });

  test('twice in a row ends the reading', async () => {
    const { fetch, asked } = answering(status(401), status(401));
    const { error } = await openOnce(sse('/feed', { fetch, headers: tokens() }), at7);
    expect(error).toMatchObject({ status: 401, retryable: false });
    expect(asked).toHaveLength(2);
  });

  test('of headers that do not change ends the reading', async () => {
    const { fetch, asked } = answering(status(401));
    const { error } = await openOnce(sse('/feed', { fetch, headers: { authorization: 'x' } }), at7);
    expect([error, asked.length]).toEqual([expect.objectContaining({ status: 401, retryable: false }), 1]);
  });
});

describe('what is no feed', () => {
  const login = () => new Response('<html>', { headers: { 'content-type': 'text/html' } });

  test.each([
    ['a page', login],
    ['a 404', () => status(404)],
  ])('as %s, ends the reading at first, and may pass where the feed was open before', async (_what, answer) => {
    const open = async (openedBefore: boolean) =>
      openOnce(sse('/feed', answering(answer())), { ...at7, openedBefore }).then(({ error }) => error);
    expect(await open(false)).toMatchObject({ code: 'feed', retryable: false });
    expect(await open(true)).toMatchObject({ code: 'feed', retryable: true });
  });

  test('as a 403, ends the reading whenever it comes', async () => {
    const { error } = await openOnce(sse('/feed', answering(status(403))), { ...at7, openedBefore: true });
    expect(error).toMatchObject({ status: 403, retryable: false });
  });
});

describe('Retry-After', () => {
  const date = Date.UTC(2020, 0, 1);
  const at = (ms: number): string => new Date(ms).toUTCString();
  test.each<[string, Record<string, string>, number | undefined]>([
    ['seconds', { 'retry-after': '3' }, 3000],
    ['a date, read by the clock of the server', { 'retry-after': at(date + 2000), date: at(date) }, 2000],
    ['a date that has passed', { 'retry-after': at(date - 2000), date: at(date) }, 0],
    ['a date, where the server tells no time', { 'retry-after': at(date) }, 0],
    ['days', { 'retry-after': '864000' }, 600_000],
    ['a date in days', { 'retry-after': at(date + 864_000_000), date: at(date) }, 600_000],
    ['words', { 'retry-after': 'soon' }, undefined],
  ])('as %s', async (_what, headers, retryAfterMs) => {
    const { error } = await openOnce(sse('/feed', answering(status(503, headers))), at7);
    expect(error).toMatchObject({ status: 503, retryable: true, retryAfterMs });
  });
});

describe('what the server tells of its log', () => {
  const open = (options: SseOptions, headers = {}) =>
    openOnce(sse('/feed', { ...answering(streamOf([], headers)), ...options }), at7);

  test('is read from headers of the user’s choice', async () => {
    const options = { feedId: 'x-feed-id', head: 'x-head', offset: Offset.sequence };
    const { told } = await open(options, { 'x-feed-id': 'log-1', 'x-head': '42' });
    expect(told).toEqual([{ feedId: 'log-1', head: Offset.sequence(42) }]);
    expect((await open(options)).told).toEqual([{ feedId: undefined, head: undefined }]);
  });

  test('is read by functions of the answer', async () => {
    const feedId = ({ headers }: FeedResponse) => headers.get('server') ?? undefined;
    const { told } = await open({ feedId, head: () => Offset.custom('9') }, { server: 'log-2' });
    expect(told).toEqual([{ feedId: 'log-2', head: Offset.custom('9') }]);
  });

  test('ends the reading where it cannot be read', async () => {
    const { error } = await open({ head: 'x-head', offset: Offset.sequence }, { 'x-head': 'x' });
    expect(error).toMatchObject({ retryable: false, cause: { code: 'invalid-offset' } });
  });
});

describe('the body of an answer', () => {
  const answer = (body: unknown): FeedResponse => ({
    status: 200,
    headers: new Headers({ 'content-type': 'text/event-stream' }),
    body,
    text: async () => '',
  });

  test('may be an async iterable of bytes or text', async () => {
    async function* body() {
      yield new TextEncoder().encode('id: 8\nda');
      yield 'ta: x\n\n';
    }
    const { events } = await openOnce(sse('/feed', answering(answer(body()))), at7);
    expect(events.map(({ id, data }) => [id, data])).toEqual([['8', 'x']]);
  });

  test('that is an async iterable is left at once, also while it is silent', async () => {
    async function* body() {
      yield 'id: 8\ndata: x\n\n';
      await new Promise(() => {});
    }
    const { error } = await openOnce(sse('/feed', { ...answering(answer(body())), idleTimeoutMs: 20 }), at7);
    expect(error).toMatchObject({ retryable: true, message: expect.stringContaining('silent for 20 ms') });
  });

  test.each([null, 'id: 8\n\n', 42])('that is neither is refused at once: %j', async (body) => {
    const { error, told } = await openOnce(sse('/feed', answering(answer(body))), at7);
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(told).toEqual([]);
  });
});

test('a time that no timer can wait for is waited for as long as one can', async () => {
  const opening = await openOnce(sse('/feed', { ...answering(['id: 8\ndata: x\n\n']), idleTimeoutMs: Infinity }), at7);
  expect([opening.error, opening.events.length]).toEqual([undefined, 1]);
  const { events } = await openOnce(
    sse('/feed', { ...answering(['id: 8\ndata: x\n\n']), idleTimeoutMs: 2 ** 40 }),
    at7,
  );
  expect(events.length).toBe(1);
  const { delays } = await openOnce(sse('/feed', answering(['retry: 9999999999\n\n'])), at7);
  expect(delays).toEqual([600_000]);
});

test('an error names neither the query nor the user of the URL, which may be secrets', async () => {
  for (const url of ['/feed?token=s3cret', 'http://user:s3cret@localhost:1/feed', 'http://[s3cret/feed?a=s3cret']) {
    const { error } = await openOnce(sse(url, answering(new Response(null, { status: 500 }))), at7);
    expect(String(error)).not.toContain('s3cret@');
    expect(String(error)).not.toContain('=s3cret');
  }
  const url = 'http://user:s3cret@localhost/feed?token=s3cret';
  const fetch = (asked: string): Promise<never> => Promise.reject(new TypeError(`request to ${asked} failed`));
  const failed = await openOnce(sse(url, { fetch }), at7);
  expect(String(failed.error)).toContain('request to http://localhost/feed failed');
});

test('an error of a URL that no request can have names no secret of it either', async () => {
  vi.stubGlobal('Request', function Request(url: string): never {
    throw new TypeError(`Request cannot be constructed from a URL that includes credentials: ${url}`);
  });
  const { error } = await openOnce(sse('http://user:s3cret@localhost/feed?token=s3cret'), at7);
  vi.unstubAllGlobals();
  expect(error).toMatchObject({
    code: 'feed',
    retryable: false,
    message: expect.stringContaining('includes credentials'),
  });
  expect(`${String(error)} ${String(Object(error).cause)}`).not.toContain('s3cret');
});

test('comments are signs of life', async () => {
  const opening = await openOnce(sse('/feed', answering([': a\n\n', ': b\n', 'id: 8\nda', 'ta: x\n\n', ':\n'])), at7);
  expect([opening.alive, opening.events.length]).toEqual([4, 1]);
});

test('events that have arrived are at hand without waiting', async () => {
  const { fetch } = answering([Array.from({ length: 5 }, (_, i) => `id: ${i}\ndata: x\n\n`).join('')]);
  const items = sse('/feed', { fetch })(Offset.custom('0'), quietContext(false))[Symbol.asyncIterator]();
  if (!('ready' in items) || typeof items.ready !== 'function') throw new Error('it has no `ready`');
  expect(items.ready()).toBeUndefined();
  await items.next();
  const ids: string[] = [];
  for (let item = items.ready(); item; item = items.ready()) ids.push(item.id);
  expect(ids).toEqual(['1', '2', '3', '4']);
  await items.return?.();
  expect(items.ready()).toBeUndefined();
});
