import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  InMemoryOffsetStore,
  Offset,
  OffsetTracker,
  resume,
  type FeedState,
  type FeedStateDetail,
  type ResumeOptions,
  sse,
  type SseOptions,
} from 'tidemark';
import { afterEach, describe, expect, test } from 'vitest';
import { swift } from '../resume/feeds.ts';
import { lastRecordedId, recordedAfter, recordedData } from './recorded.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(() => Promise.all(closing.splice(0).map((close) => close())));

type Answer = (response: ServerResponse, id: string, request: IncomingMessage) => void;

/** A real HTTP server on a port of its own. */
async function serve(answer: Answer) {
  const ids: string[] = [];
  const server = createServer((request, response) => {
    const id = Buffer.from(String(request.headers['last-event-id'] ?? ''), 'latin1').toString();
    ids.push(id);
    answer(response, id, request);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { url: `http://127.0.0.1:${address.port}/feed`, ids };
}

const stream = (response: ServerResponse): ServerResponse =>
  response.writeHead(200, { 'content-type': 'text/event-stream' });
const event = (id: number): string => `id: ${id}\ndata: ${id}\n\n`;

async function read(url: string, options: SseOptions = {}) {
  const store = new InMemoryOffsetStore();
  const waits: FeedStateDetail[] = [];
  const onState = (state: FeedState, detail: FeedStateDetail): void => {
    if (state === 'retrying') waits.push(detail);
  };
  const data: string[] = [];
  const feed = sse(url, options);
  for await (const item of resume(new OffsetTracker(store), 'orders', feed, { ...swift, onState }))
    data.push(item.data);
  return { data, waits, committed: (await store.get('orders'))?.offset };
}

describe('a real server', () => {
  test('that drops its connections is gone on with after the last event, until it says that the feed has ended', async () => {
    const { url, ids } = await serve((response, id) => {
      if (id === '9') return response.writeHead(204).end();
      const next = Number(id) + 1;
      stream(response).write([next, next + 1, next + 2].map(event).join(''));
      if (next === 4) response.end();
      else response.write(': cut off in the middle\nid: 99\nda', () => response.destroy());
    });
    const { data, committed } = await read(url);
    expect(data).toEqual(['1', '2', '3', '4', '5', '6', '7', '8', '9']);
    // Where a connection breaks, Bun drops what it has not handed out yet, and asks for it again.
    expect([...new Set(ids)]).toEqual(['', '3', '6', '9']);
    expect(committed).toEqual(Offset.custom('9'));
  });

  test.each([408, 425, 429, 500, 502, 503])(
    'that answers %i is asked again after the time that it says',
    async (status) => {
      const { url, ids } = await serve((response) => {
        if (ids.length === 1) return response.writeHead(status, { 'retry-after': '0' }).end('busy');
        if (ids.length === 2) return response.writeHead(status, { 'retry-after': new Date(1000).toUTCString() }).end();
        return response.writeHead(204).end();
      });
      const { waits } = await read(url);
      expect(waits.map(({ error, retryInMs }) => [error, retryInMs])).toEqual([
        [expect.objectContaining({ code: 'feed', status, retryable: true, retryAfterMs: 0, source: 'orders' }), 0],
        [expect.objectContaining({ retryAfterMs: 0 }), 0],
      ]);
    },
  );

  test('that asks for patience is given it', async () => {
    const { url } = await serve((response) => {
      response.writeHead(503, { 'retry-after': '120' }).end();
    });
    const stop = new AbortController();
    const waits: (number | undefined)[] = [];
    const onState = (state: FeedState, { retryInMs }: FeedStateDetail): void => {
      if (state !== 'retrying') return;
      waits.push(retryInMs);
      stop.abort();
    };
    const options = { ...swift, onState, signal: stop.signal };
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    for await (const _ of resume(tracker, 'orders', sse(url), options));
    expect(waits).toEqual([120_000]);
  });

  test.each([400, 401, 403, 404, 206])(
    'that answers %i ends the reading at once, with the status in the error',
    async (status) => {
      const { url, ids } = await serve((response) => {
        response.writeHead(status).end();
      });
      await expect(read(url)).rejects.toMatchObject({ code: 'feed', status, retryable: false, source: 'orders' });
      expect(ids).toHaveLength(1);
    },
  );

  test('whose events have expired (410) is read where onExpired says', async () => {
    const { url, ids } = await serve((response, id) => {
      if (id === '2') response.writeHead(410).end();
      else if (id === '51') response.writeHead(204).end();
      else stream(response).end(event(51));
    });
    const store = new InMemoryOffsetStore([['orders', Offset.custom('2')]]);
    const loop = async (options: ResumeOptions) => {
      for await (const _ of resume(new OffsetTracker(store), 'orders', sse(url), options));
    };
    await expect(loop(swift)).rejects.toMatchObject({ code: 'feed-expired', source: 'orders' });
    await loop({ ...swift, onExpired: 'earliest' });
    expect(ids).toEqual(['2', '2', '', '51']);
    expect(await store.get('orders')).toMatchObject({ offset: Offset.custom('51') });
  });

  test('that is away for a while is found again', async () => {
    const { url, ids } = await serve((response) => {
      if (ids.length < 4) response.destroy();
      else if (ids.length === 4) stream(response).end(event(1));
      else response.writeHead(204).end();
    });
    const { data, waits } = await read(url);
    expect(data).toEqual(['1']);
    expect(waits.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 1]);
    expect(waits[0]?.error).toMatchObject({ code: 'feed', retryable: true });
  });

  test('that says `retry:` is given that time before each reopening', async () => {
    const { url, ids } = await serve((response) => {
      if (ids.length === 1) stream(response).end(`retry: 7\n\n${event(1)}`);
      else if (ids.length === 2) stream(response).end('retry: soon\n\n');
      else response.writeHead(204).end();
    });
    expect((await read(url)).waits.map(({ retryInMs }) => retryInMs)).toEqual([7, 7]);
  });

  test('is not read further than the loop has got, however much it has', async () => {
    let sent = 0;
    let closed = false;
    const { url } = await serve((response) => {
      stream(response).on('close', () => (closed = true));
      const more = (): void => {
        while (response.write(`id: ${++sent}\ndata: ${'x'.repeat(10_000)}\n\n`));
        response.once('drain', more);
      };
      more();
    });
    const events = resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', sse(url));
    await events.next();
    let before = -1;
    // What the sockets hold is sent; then it must stop.
    await expect.poll(() => before === (before = sent), { interval: 100, timeout: 10_000 }).toBe(true);
    expect(sent).toBeLessThan(5000);
    await events.return();
    await expect.poll(() => closed).toBe(true);
  });
});

describe('a recorded feed', () => {
  test.each([
    ['breaks', (response: ServerResponse) => response.destroy()],
    ['ends', (response: ServerResponse) => response.end()],
  ])('is read whole and once, at whichever byte its connection %s', { timeout: 120_000 }, async (_how, cutOff) => {
    const uncut = new Set<string>();
    const { url } = await serve((response, id, request) => {
      const query = new URL(String(request.url), 'http://localhost').search;
      if (id === lastRecordedId) return response.writeHead(204).end();
      const rest = recordedAfter(id, 'mixed');
      if (!uncut.delete(query)) return stream(response).end(rest);
      stream(response).flushHeaders();
      response.write(rest.slice(0, Number(query.slice(1))), () => cutOff(response));
    });
    const wrong: unknown[] = [];
    const tryOut = async (cut: number) => {
      uncut.add(`?${cut}`);
      const { data, committed } = await read(`${url}?${cut}`);
      if (JSON.stringify(data) !== JSON.stringify(recordedData)) wrong.push({ cut, data });
      if (committed?.kind !== 'custom' || committed.value !== lastRecordedId) wrong.push({ cut, committed });
    };
    const { length } = recordedAfter('', 'mixed');
    const cuts = Array.from({ length: length + 1 }, (_, cut) => cut);
    while (cuts.length > 0) await Promise.all(cuts.splice(0, 20).map(tryOut));
    expect(wrong).toEqual([]);
    expect(uncut.size).toBe(0);
    expect(length).toBeGreaterThan(300);
  });
});
