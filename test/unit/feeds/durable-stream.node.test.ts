import { DurableStreamTestServer } from '@durable-streams/server';
import { FeedChangedError, InMemoryOffsetStore, Offset, OffsetTracker, durableStream, resume } from 'tidemark';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { answering } from './answers.ts';
import { openOnce } from './opening.ts';

const server = new DurableStreamTestServer({ port: 0, host: '127.0.0.1', longPollTimeout: 200 });
beforeAll(() => server.start());
afterAll(() => server.stop());

let made = 0;

/** A stream of its own on the real server. */
async function stream(contentType = 'application/json') {
  const url = `${server.url}/streams/${++made}`;
  const send = async (method: string, body?: string, headers = {}): Promise<void> => {
    const init = { method, headers: { 'content-type': contentType, ...headers }, ...(body !== undefined && { body }) };
    const response = await fetch(url, init);
    if (!response.ok) throw new Error(`${method} answered ${response.status}: ${await response.text()}`);
  };
  await send('PUT');
  return {
    url,
    append: async (...messages: unknown[]) => {
      for (const message of messages) await send('POST', JSON.stringify(message));
    },
    write: (text: string) => send('POST', text),
    end: () => send('POST', undefined, { 'stream-closed': 'true' }),
    remove: () => send('DELETE'),
    create: () => send('PUT'),
  };
}

/** All numbers up to one, and where the reading stands then. */
async function readTo(last: number, url: string, live: 'long-poll' | 'sse', store = new InMemoryOffsetStore()) {
  const seen: number[] = [];
  const feed = durableStream<{ n: number }>(url, { live });
  for await (const { data } of resume(new OffsetTracker(store), 'orders', feed))
    if (seen.push(data.n) && data.n === last) break;
  return seen;
}

describe.each(['long-poll', 'sse'] as const)('a Durable Stream, with %s', (live) => {
  test('is read from its start, and then as it grows', async () => {
    const { url, append } = await stream();
    await append({ n: 1 }, { n: 2 });
    const reading = readTo(5, url, live);
    await append({ n: 3 }, { n: 4 }, { n: 5 });
    expect(await reading).toEqual([1, 2, 3, 4, 5]);
  });

  test('gives all messages of an answer one offset, on the last of them', async () => {
    const { url, append } = await stream();
    await append({ n: 1 }, { n: 2 }, { n: 3 });
    const { items, told } = await openOnce(durableStream(url, { live }), { count: 3 });
    expect(items.map(({ offset }) => offset?.kind)).toEqual([undefined, undefined, 'custom']);
    expect(items[2]).toMatchObject({ data: { n: 3 }, upToDate: true });
    expect(told[0]?.head).toEqual(items[2]?.offset);
  });

  test('is gone on with after the last answer that was processed whole', async () => {
    const { url, append } = await stream();
    await append({ n: 1 }, { n: 2 });
    const store = new InMemoryOffsetStore();
    expect(await readTo(2, url, live, store)).toEqual([1, 2]);
    await append({ n: 3 });
    // The loop was left at 2, so that its answer is not recorded.
    expect(await readTo(3, url, live, store)).toEqual([1, 2, 3]);
  });

  test('that starts at the end stands there before anything comes', async () => {
    const { url, append } = await stream();
    await append({ n: 1 });
    const { items } = await openOnce(durableStream(url, { live }), { from: Offset.latest, count: 1 });
    expect(items).toEqual([
      {
        heartbeat: true,
        offset: { kind: 'custom', value: expect.stringMatching(/^\d+_\d+$/) },
        head: items[0]?.offset,
        upToDate: true,
      },
    ]);
    await append({ n: 2 });
    const from = items[0]?.offset ?? Offset.earliest;
    const { events } = await openOnce(durableStream(url, { live }), { from, count: 1 });
    expect(events.map(({ data }) => data)).toEqual([{ n: 2 }]);
  });

  test('gives signs of life while nothing comes', async () => {
    const { url } = await stream();
    const { items } = await openOnce(durableStream(url, { live }), { count: 3 });
    expect(items.every((item) => 'heartbeat' in item && item.upToDate)).toBe(true);
  });

  test('ends where it is closed, whether that is known at first or comes later', async () => {
    const { url, append, end } = await stream();
    await append({ n: 1 });
    const { ended, events } = await openOnce(durableStream(url, { live }), {
      onItem: (count) => void (count === 1 && end()),
    });
    expect([ended, events.length]).toEqual(['end', 1]);
    const again = await openOnce(durableStream(url, { live }));
    expect([again.ended, again.events.length]).toEqual(['end', 1]);
    const from = again.events[0]?.offset ?? Offset.earliest;
    expect(await openOnce(durableStream(url, { live }), { from })).toMatchObject({ ended: 'end', events: [] });
  });

  test('that is deleted and made anew under its reader is told', async () => {
    const { url, append, remove, create } = await stream();
    await append({ n: 1 }, { n: 2 });
    const { items } = await openOnce(durableStream(url, { live }), { count: 2 });
    const from = items[1]?.offset ?? Offset.earliest;
    await remove();
    const first = await openOnce(durableStream(url, { live }), { from });
    expect(first.error).toMatchObject({ status: 404, retryable: false });
    const later = await openOnce(durableStream(url, { live }), { from, openedBefore: true });
    expect(later.error).toMatchObject({ status: 404, retryable: true });
    await create();
    const { error } = await openOnce(durableStream(url, { live }), { from });
    expect(error).toBeInstanceOf(FeedChangedError);
    expect(String(error)).toContain(from.kind === 'custom' ? from.value : '');
  });
});

test('a stream of text is read in pieces', async () => {
  const { url, write } = await stream('text/plain');
  await write('größe');
  const { events } = await openOnce(durableStream<string>(url), { count: 1 });
  expect(events.map(({ data }) => data)).toEqual(['größe']);
});

test('a stream of bytes is refused', async () => {
  const { url, write } = await stream('application/octet-stream');
  await write('x');
  expect((await openOnce(durableStream(url))).error).toMatchObject({ code: 'unsupported' });
});

test('without waiting for more, reading ends where all is read', async () => {
  const { url, append } = await stream();
  await append({ n: 1 });
  const { ended, events } = await openOnce(durableStream(url, { live: false }));
  expect([ended, events.length]).toEqual(['end', 1]);
});

test('a message that cannot be read stands in its place', async () => {
  const { url, append } = await stream();
  await append({ n: 1 }, 'x', { n: 3 });
  const parse = (message: unknown): number => {
    if (typeof message === 'object' && message !== null && 'n' in message) return Number(message.n);
    throw new TypeError('no number');
  };
  const { items } = await openOnce(durableStream(url, { parse }), { count: 3 });
  expect(items).toMatchObject([{ data: 1 }, { failed: { event: 'x', cause: expect.any(TypeError) } }, { data: 3 }]);
});

describe('an answer', () => {
  const ask = (response: Response, options = {}) =>
    openOnce(durableStream('/stream', answering(response)), { from: Offset.custom('7_7'), ...options });

  test('410 means that the next messages are gone', async () => {
    expect((await ask(new Response(null, { status: 410 }))).error).toMatchObject({ code: 'feed-expired' });
  });

  test('410 of another log says which', async () => {
    const response = new Response(null, { status: 410, headers: { 'feed-id': 'new' } });
    expect((await ask(response)).error).toMatchObject({ feedId: undefined });
    const again = new Response(null, { status: 410, headers: { 'feed-id': 'new' } });
    const feed = durableStream('/stream', { ...answering(again), feedId: 'feed-id' });
    expect((await openOnce(feed, { from: Offset.custom('7_7') })).error).toMatchObject({ feedId: 'new' });
  });

  test('that never says that it is up to date is asked for once a second where nothing comes', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    onTestFinished(() => void vi.useRealTimers());
    const page = () =>
      new Response('[]', { headers: { 'content-type': 'application/json', 'stream-next-offset': '1' } });
    const { fetch, asked } = answering(...Array.from({ length: 9 }, page));
    const stop = new AbortController();
    const done = openOnce(durableStream('/stream', { fetch }), { from: Offset.custom('0'), signal: stop.signal });
    await vi.advanceTimersByTimeAsync(900);
    expect(asked.length).toBe(2);
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked.length).toBe(3);
    stop.abort();
    await vi.advanceTimersByTimeAsync(0);
    await done;
  });

  test('of somebody else is no stream', async () => {
    const login = () => new Response('<html>', { headers: { 'content-type': 'text/html' } });
    expect((await ask(login())).error).toMatchObject({ code: 'feed', retryable: false });
    expect((await ask(login(), { openedBefore: true })).error).toMatchObject({ code: 'feed', retryable: true });
  });
});

test('the place, the cursor and the mode are told in the order of their names, beside what the URL has', async () => {
  const page = (next: string) =>
    new Response('[]', {
      headers: {
        'content-type': 'application/json',
        'stream-next-offset': next,
        'stream-cursor': 'c9',
        'stream-up-to-date': 'true',
      },
    });
  const { fetch, asked } = answering(page('7_8'), page('7_9'));
  await openOnce(durableStream('/stream?tenant=a&offset=5', { fetch }), { from: Offset.custom('7_7'), count: 2 });
  expect(asked.map(({ url }) => url)).toEqual([
    '/stream?tenant=a&offset=7_7',
    '/stream?tenant=a&cursor=c9&live=long-poll&offset=7_8',
  ]);
});
