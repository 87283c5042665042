import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { EventSource } from 'eventsource';
import { type Feed, FeedError, InMemoryOffsetStore, Offset, OffsetTracker, resume, sse } from 'tidemark';
import { MemoryLog, serve } from 'tidemark/serve';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type Handler, listenerOf } from './listener.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (let cleanup = cleanups.pop(); cleanup; cleanup = cleanups.pop()) await cleanup();
});

/** A handler behind a real server. */
async function listen(handler: Handler): Promise<{ url: string; server: Server }> {
  const server = createServer(listenerOf(handler));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/orders`, server };
}

function filled(count: number, options?: ConstructorParameters<typeof MemoryLog>[0]): MemoryLog<number> {
  const log = new MemoryLog<number>(options);
  for (let i = 1; i <= count; i++) log.append(i);
  return log;
}

function ask(handler: Handler, headers: Record<string, string> = {}, url = '/orders', method = 'GET') {
  return handler({ method, url, headers: new Headers(headers) });
}

/** The text of an answer until it has what is awaited. */
async function textUntil(response: Response, awaited: string): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes(awaited)) break;
  }
  return text;
}

describe('a served log', () => {
  test('begins with the time to wait and an id, before the first event', async () => {
    const handler = serve(filled(2).feed);
    const response = await ask(handler);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(await textUntil(response, 'data: 2')).toBe(
      'retry: 1000\n:\n\nid: 0\n\nid: 1\ndata: 1\n\nid: 2\ndata: 2\n\n',
    );
    expect(await textUntil(await ask(handler, {}, '/orders?lastEventId=latest'), 'id:')).toContain('id: 2\n\n');
  });

  test.each([
    ['the header', { 'last-event-id': '3' }, '/orders'],
    ['the query', {}, '/orders?lastEventId=3'],
    ['the header rather than the query', { 'last-event-id': '3' }, '/orders?lastEventId=1'],
  ])('goes on strictly after the id in %s', async (_name, headers: Record<string, string>, url) => {
    const text = await textUntil(await ask(serve(filled(5).feed), headers, url), 'data: 5');
    expect(text.match(/data: .*/g)).toEqual(['data: 4', 'data: 5']);
  });

  test.each([
    ['too old', '5', 410],
    ['from the future', '101', 410],
    ['unknown', 'abc', 410],
    ['no number as it is written', '0099', 410],
    ['not to be sent in an event stream', 'a\u0001b', 400],
  ])('answers an id that is %s, %j, with %i and a sentence', async (_name, id, status) => {
    const log = filled(100, { maxEvents: 10 });
    const response = await ask(serve(log.feed), {}, `/orders?lastEventId=${encodeURIComponent(id)}`);
    expect(response.status).toBe(status);
    expect(await response.text()).not.toBe('');
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
  });

  test('says which log the ids belong to', async () => {
    const log = filled(1);
    const response = await ask(serve(log.feed));
    await textUntil(response, 'data: 1');
    expect(response.headers.get('feed-id')).toBe(log.feedId);
    expect(response.headers.get('access-control-expose-headers')).toContain('Feed-Id');
  });

  test('allows in a preflight what the clients of other origins send', async () => {
    const response = await ask(serve(filled(1).feed), { origin: 'https://app.example' }, '/orders', 'OPTIONS');
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-headers')?.split(', ')).toContain('Last-Event-ID');
    expect((await ask(serve(filled(1).feed), {}, '/orders', 'DELETE')).status).toBe(405);
  });

  test('is told that a path like // is no URL, and does not end the server', async () => {
    const { url } = await listen(serve(filled(1).feed));
    for (const path of ['//', '///', 'http://[']) {
      const asked = await promisify(execFile)('curl', ['-s', '--path-as-is', '--request-target', path, url]);
      expect(asked.stdout).toBe(`"${path}" is no URL.\n`);
    }
  });

  test('from an origin that is none is not allowed by a function either', async () => {
    const headers = { get: (name: string) => (name === 'origin' ? 'https://ü\u2028' : null) };
    const handler = serve(filled(1).feed, { cors: { origin: () => true } });
    const response = await handler({ method: 'OPTIONS', url: '/orders', headers });
    expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([204, null]);
  });

  test('sends heartbeats while nothing happens', async () => {
    const text = await textUntil(await ask(serve(filled(1).feed, { heartbeatMs: 10 })), 'data: 1\n\n:\n\n:\n\n');
    expect(text).toContain('data: 1\n\n:\n\n:\n\n');
  });

  test('splits data of several lines, so that it arrives as it was', async () => {
    const log = new MemoryLog<string>();
    log.append('one\ntwo\n');
    const { url } = await listen(serve(log.feed));
    for await (const { data } of resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', sse(url))) {
      expect(data).toBe('one\ntwo\n');
      break;
    }
  });
});

describe('a client that goes away or is slow', () => {
  test('ends the iteration of the feed when it disconnects', async () => {
    let returned = 0;
    const log = filled(1);
    const feed: Feed<number> = (from, context) => ({
      [Symbol.asyncIterator]() {
        const iterator = log.feed(from, context)[Symbol.asyncIterator]();
        return {
          next: () => iterator.next(),
          return: () => {
            returned++;
            return iterator.return?.() ?? Promise.resolve({ done: true, value: undefined });
          },
        };
      },
    });
    const { url } = await listen(serve(feed));
    const abort = new AbortController();
    const response = await fetch(url, { signal: abort.signal });
    expect(returned).toBe(0);
    expect(response.status).toBe(200);
    abort.abort();
    await expect.poll(() => returned).toBe(1);
  });

  test('takes no more of the feed than its buffer holds, and is cut off when it takes nothing', async () => {
    let asked = 0;
    let returned = 0;
    const feed: Feed<string> = () => ({
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          const offset = Offset.sequence(++asked);
          return { done: false, value: { offset, data: 'x'.repeat(1000) } };
        },
        return: async () => {
          returned++;
          return { done: true, value: undefined };
        },
      }),
    });
    const response = await ask(serve(feed, { maxBufferBytes: 10_000, stallTimeoutMs: 100 }));
    await expect.poll(() => returned).toBe(1);
    expect(asked).toBeLessThan(20);
    await expect(response.text()).rejects.toThrow('took nothing for 100 ms');
  });

  test('gets a million events without a buffer of them', async () => {
    const count = 1_000_000;
    let most = 0;
    let asked = 0;
    let taken = 0;
    const feed: Feed<string> = () => ({
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          if (asked === count) return { done: true, value: 'end' };
          most = Math.max(most, ++asked - taken);
          return { done: false, value: { offset: Offset.sequence(asked), data: String(asked) } };
        },
      }),
    });
    const { url } = await listen(serve(feed));
    const decoder = new TextDecoder();
    for await (const chunk of (await fetch(url)).body ?? []) {
      // A chunk may end anywhere: this letter stands in each event once, in `id`.
      taken += decoder.decode(chunk).split('i').length - 1;
    }
    expect([asked, taken]).toEqual([count, count]);
    // The buffers of both ends and of the socket, of some megabytes; an event is 30 bytes here.
    expect(most).toBeLessThan(count / 2);
  });
});

describe('the readers of a served log', () => {
  test('by resume get each event once while it is appended to and the connection breaks', async () => {
    const log = filled(100);
    const { url, server } = await listen(serve(log.feed, { retryMs: 1 }));
    const found: number[] = [];
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    const feed = sse(url, { parse: Number, offset: Offset.sequence, feedId: 'Feed-Id', earliest: 'earliest' });
    for await (const { data } of resume(tracker, 'orders', feed)) {
      found.push(data);
      if (data < 300) log.append(log.size + 1);
      if (data % 50 === 0) server.closeAllConnections();
      if (data === 300) break;
    }
    expect(found).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
  });

  test('by npm eventsource get each event once, also after a break', async () => {
    const log = filled(3);
    const { url, server } = await listen(serve(log.feed, { retryMs: 1 }));
    const source = new EventSource(url);
    cleanups.push(() => source.close());
    const found: string[] = [];
    source.addEventListener('message', ({ data }) => found.push(data));
    await expect.poll(() => found).toEqual(['1', '2', '3']);
    server.closeAllConnections();
    log.append(4);
    await expect.poll(() => found).toEqual(['1', '2', '3', '4']);
  });

  test('by curl get the events and the end', async () => {
    const log = filled(3);
    const { url } = await listen(serve(log.feed));
    const asked = promisify(execFile)('curl', ['-sN', '-H', 'Last-Event-ID: 1', url]);
    setTimeout(() => log.close(), 0);
    // Where the end came before the request, the log answers what is left all the same.
    expect((await asked).stdout.match(/data: .*/g)).toEqual(['data: 2', 'data: 3']);
  });
});

test('what is no feed is refused where it is served, with what to give', () => {
  const message = 'serve: {"append":1} is no feed: give a function, like that of a MemoryLog';
  expect(() => serve({ append: 1 } as never)).toThrow(new TypeError(message));
});

test('what a feed is refused by its own server is told to onError, and not to the client', async () => {
  const errors: unknown[] = [];
  const refused = new FeedError('"orders" from "http://10.0.0.7/tenant-42": the server answered 403', { status: 403 });
  // oxlint-disable-next-line require-yield
  const feed: Feed<number> = async function* () {
    throw refused;
  };
  const response = await ask(serve(feed, { onError: (error) => void errors.push(error) }));
  expect([response.status, await response.text()]).toEqual([403, 'The feed cannot be read now.\n']);
  expect(errors).toEqual([refused]);
});

test('a log that begins anew refuses an old place as that of another log, which onFeedChanged answers', async () => {
  const store = new InMemoryOffsetStore();
  const readAll = async (log: MemoryLog<number>, onFeedChanged: 'stop' | 'earliest', count: number) => {
    const handler = serve(log.feed);
    const fetch = (url: string, init: RequestInit) => handler(new Request(url, init));
    const feed = sse('http://localhost/orders', { fetch: fetch as never, feedId: 'Feed-Id', offset: Offset.sequence });
    const seen: string[] = [];
    for await (const { data } of resume(new OffsetTracker(store), 'orders', feed, { onFeedChanged }))
      if (seen.push(data) === count) break;
    return seen;
  };
  expect(await readAll(filled(5, { feedId: 'first' }), 'stop', 5)).toHaveLength(5);
  const second = filled(2, { feedId: 'second' });
  await expect(readAll(second, 'stop', 1)).rejects.toMatchObject({ code: 'feed-changed', found: 'second' });
  expect(await readAll(second, 'earliest', 2)).toEqual(['1', '2']);
});

test('a buffer of nothing is one of little: a client that waits is sent signs of life', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
  cleanups.push(() => vi.useRealTimers());
  const response = await ask(serve(filled(0).feed, { maxBufferBytes: 0, heartbeatMs: 1000, stallTimeoutMs: 5000 }));
  const reader = response.body?.getReader();
  let text = '';
  const reading = (async () => {
    for (let chunk = await reader?.read(); chunk?.value; chunk = await reader?.read()) {
      text += new TextDecoder().decode(chunk.value);
    }
  })();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(text.match(/^:$/gm)?.length).toBeGreaterThan(5);
  await reader?.cancel();
  await reading;
});
