import { getEventListeners } from 'node:events';
import {
  type Feed,
  type FeedEvent,
  type FeedItem,
  type FeedIterator,
  InMemoryOffsetStore,
  Offset,
  OffsetTracker,
  resume,
  sse,
} from 'tidemark';
import { MemoryLog, type ServeOptions, serve } from 'tidemark/serve';
import { describe, expect, test } from 'vitest';
import { swift } from '../resume/feeds.ts';

function filled<T>(texts: readonly T[]): MemoryLog<T> {
  const log = new MemoryLog<T>({ maxEvents: texts.length });
  for (const text of texts) log.append(text);
  return log;
}

/** A feed with what is asked of it and how often it is let go. */
function watched<T, E extends FeedEvent<T>>(feed: Feed<T, E>) {
  const seen = { events: 0, opened: 0, returned: 0 };
  const watching: Feed<T, E> = (from, context) => {
    const items: FeedIterator<FeedItem<T, E>> = feed(from, context)[Symbol.asyncIterator]();
    seen.opened++;
    return {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          const result = await items.next();
          if (!result.done && 'data' in result.value) seen.events++;
          return result;
        },
        ready: () => {
          const item = items.ready?.();
          if (item && 'data' in item) seen.events++;
          return item;
        },
        return: async () => {
          seen.returned++;
          return (await items.return?.()) ?? { done: true, value: undefined };
        },
      }),
    };
  };
  return { feed: watching, seen };
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('a slow client of a long replay', () => {
  const count = 50_000;
  const padding = 'x'.repeat(200);
  const texts = Array.from({ length: count }, (_, i) => `${i + 1} ${padding}`);
  /** `id: 50000`, `data: 50000 x…`, and an empty line. */
  const longest = 9 + 1 + 12 + 200 + 2;

  test.each([1, 10_000, 65_536, 200_000])(
    'has no more waiting for it than a buffer of %i bytes and one chunk',
    async (maxBufferBytes) => {
      const { feed, seen } = watched(filled(texts).feed);
      const { body } = await serve(feed, { maxBufferBytes })(new Request('http://localhost/orders'));
      let taken = 0;
      let most = 0;
      for await (const chunk of body ?? []) {
        taken += new TextDecoder().decode(chunk).split('data: ').length - 1;
        // Whatever the feed can do meanwhile, it does.
        for (let i = 0; i < 5; i++) await turn();
        most = Math.max(most, seen.events - taken);
        if (seen.events === count) break;
      }
      // A chunk ends with the event that makes it 16,384 characters or more.
      expect(most * (longest - 10)).toBeLessThan(maxBufferBytes + 16_384 + 2 * longest);
      expect(taken).toBeGreaterThan(count / 2);
      expect(seen).toMatchObject({ events: count, returned: 1 });
    },
  );
});

describe('a request that is aborted', () => {
  const ask = (feed: Feed<string>, signal: AbortSignal) =>
    serve(feed)(new Request('http://localhost/orders', { signal }));

  test('before it is answered opens no feed', async () => {
    const { feed, seen } = watched(filled(['a']).feed);
    const response = await ask(feed, AbortSignal.abort());
    expect([response.status, seen.opened]).toEqual([204, 0]);
  });

  test('while the feed opens is answered at once, and lets go of the feed', async () => {
    let isLetGo = false;
    const abort = new AbortController();
    const feed: Feed<string> = (_from, { signal }) => {
      signal.addEventListener('abort', () => (isLetGo = true));
      setImmediate(() => abort.abort());
      return { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) };
    };
    const { status } = await ask(feed, abort.signal);
    expect([status, isLetGo]).toEqual([204, true]);
  });

  test('while it is read ends the stream and the iteration', async () => {
    const { feed, seen } = watched(filled(['a', 'b']).feed);
    const abort = new AbortController();
    let text = '';
    for await (const chunk of (await ask(feed, abort.signal)).body ?? []) {
      text += new TextDecoder().decode(chunk);
      if (text.includes('data: b')) abort.abort();
    }
    expect(text.match(/data: .*/g)).toEqual(['data: a', 'data: b']);
    expect(seen).toMatchObject({ opened: 1, returned: 1 });
  });

  test('after it was read to the end is not listened to any more', async () => {
    const log = filled(['a']);
    log.close();
    const { signal } = new AbortController();
    const request = { method: 'GET', url: '/orders', headers: new Headers(), signal };
    expect(await (await serve(log.feed)(request)).text()).toContain('data: a');
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('a page of another origin', () => {
  const asked = async (cors: ServeOptions<string>['cors'], origin: string, method = 'GET') => {
    const log = filled(['a']);
    log.close();
    const request = new Request('http://localhost/orders', { method, headers: { origin } });
    const { headers } = await serve(log.feed, { ...(cors !== undefined && { cors }) })(request);
    return {
      origin: headers.get('access-control-allow-origin'),
      credentials: headers.get('access-control-allow-credentials'),
      vary: headers.get('vary'),
    };
  };
  const app = 'https://app.example';
  const denied = { origin: null, credentials: null, vary: 'Origin' };

  test.each(['GET', 'OPTIONS'])('is let in where it is named, with its cookies, by %s', async (method) => {
    const allowed = { origin: app, credentials: 'true', vary: 'Origin' };
    const named = { origin: ['https://other.example', app], credentials: true };
    expect(await asked(named, app, method)).toEqual(allowed);
    expect(await asked({ origin: app, credentials: true }, app, method)).toEqual(allowed);
    expect(await asked({ origin: (origin) => origin.endsWith('.example'), credentials: true }, app, method)).toEqual(
      allowed,
    );
  });

  test.each(['https://app.example.evil.test', 'https://app.exampl', 'http://app.example', 'null', '*', ''])(
    'is not let in where another one is named: %j',
    async (origin) => {
      for (const method of ['GET', 'OPTIONS']) {
        expect(await asked({ origin: app, credentials: true }, origin, method)).toEqual(denied);
        expect(await asked({ origin: [app], credentials: true }, origin, method)).toEqual(denied);
      }
    },
  );

  test('is let in without cookies where none is named, and not at all where there are no rules', async () => {
    expect(await asked(undefined, app)).toEqual({ origin: '*', credentials: null, vary: null });
    expect(await asked({ origin: ['*'] }, app)).toEqual({ origin: '*', credentials: null, vary: null });
    expect(await asked(false, app)).toEqual({ origin: null, credentials: null, vary: null });
  });

  test('cannot be let in with cookies where all are', () => {
    for (const cors of [{}, { origin: '*' }, { origin: ['*', app] }]) {
      expect(() => serve(filled(['a']).feed, { cors: { ...cors, credentials: true } })).toThrow('name the origins');
    }
  });
});

describe('a served log', () => {
  test('is read whole and once, at whichever byte its connection breaks', async () => {
    const texts = ['plain', 'größe 漢字 😀', 'two\nlines\n', '', ' a space', '{"a":1}', 'é'];
    const log = filled(texts);
    log.close();
    const handler = serve(log.feed, { retryMs: 0 });
    const whole = new Uint8Array(await (await handler(new Request('http://localhost/orders'))).arrayBuffer());
    for (let cut = 0; cut <= whole.length; cut++) {
      let connections = 0;
      const fetchCut = async (url: string | URL | Request, init?: RequestInit): Promise<Response> => {
        const { status, headers, body } = await handler(new Request(url, init));
        const isCut = ++connections === 1;
        if (isCut) await body?.cancel();
        return new Response(isCut ? broken(whole.slice(0, cut)) : body, { status, headers });
      };
      const feed = sse('http://localhost/orders', { offset: Offset.sequence, earliest: 'earliest', fetch: fetchCut });
      const found: string[] = [];
      for await (const { data } of resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', feed, swift)) {
        found.push(data);
      }
      expect(found, `cut at ${cut}`).toEqual(texts);
      expect(connections).toBeGreaterThan(1);
    }
    expect(whole.length).toBeGreaterThan(150);
  });
});

/** A stream of these bytes that fails after the last. */
function broken(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let isRead = false;
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (isRead || bytes.length === 0) return controller.error(new TypeError('the connection broke'));
      isRead = true;
      controller.enqueue(bytes);
    },
  });
}
