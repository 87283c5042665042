import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { EventSource } from 'eventsource';
import { InMemoryOffsetStore, Offset, OffsetTracker, resume, sse } from 'tidemark';
import { MemoryLog, type ServeOptions, serve } from 'tidemark/serve';
import { afterEach, describe, expect, test } from 'vitest';
import { findNginx, startNginx } from '../../nginx/server.ts';
import { swift } from '../resume/feeds.ts';
import { listenerOf } from './listener.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (let cleanup = cleanups.pop(); cleanup; cleanup = cleanups.pop()) await cleanup();
});

const program = findNginx();
/** What a proxy is like that nobody has set up for feeds, and that cuts off what is silent for 2 s. */
const proxied = ['proxy_http_version 1.1', 'proxy_buffering on', 'proxy_read_timeout 2s'];

/** A log behind a server behind nginx. */
async function start(settings: readonly string[], options: ServeOptions<string>) {
  const log = new MemoryLog<string>();
  const server = createServer(listenerOf(serve(log.feed, { retryMs: 1, ...options })));
  let connections = 0;
  server.on('request', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const nginx = await startNginx(program ?? '', [`proxy_pass http://127.0.0.1:${port}`, ...settings]);
  cleanups.push(nginx.stop);
  return { log, url: `${nginx.url}/orders`, connections: () => connections };
}

function readByResume(url: string): string[] {
  const found: string[] = [];
  const stop = new AbortController();
  const feed = sse(url, { offset: Offset.sequence, earliest: 'earliest', feedId: 'Feed-Id' });
  const done = resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', feed, {
    signal: stop.signal,
    ...swift,
    handler: ({ data }) => void found.push(data),
  });
  cleanups.push(() => {
    stop.abort();
    return done;
  });
  return found;
}

/** It shows what comes as it comes: what the server repeats is there twice. */
function readByEventSource(url: string): string[] {
  const found: string[] = [];
  const source = new EventSource(url);
  source.addEventListener('message', ({ data }) => found.push(data));
  cleanups.push(() => source.close());
  return found;
}

// Where nginx is not installed (apt-get install nginx-light) the summary says that these were skipped.
describe.skipIf(program === undefined)('behind nginx, which buffers and cuts off what is silent for 2 s,', () => {
  test.each([
    ['and hears that a feed is not to be buffered', []],
    ['and buffers it all the same', ['proxy_ignore_headers X-Accel-Buffering']],
  ])('%s, each event is read once', async (_how, more: string[]) => {
    const { log, url, connections } = await start([...proxied, ...more], {});
    const readers = [readByResume(url), readByEventSource(url)];
    const all: string[] = [];
    for (const round of [1, 2, 3]) {
      // Short ones, then more than its buffers hold.
      const texts = Array.from({ length: 300 }, (_, i) => `${round}.${i} ${'größe 漢字 😀'.repeat(i % 50)}`);
      for (const text of texts) log.append(text);
      all.push(...texts);
      await expect.poll(() => readers.map(({ length }) => length)).toEqual([all.length, all.length]);
      const before = connections();
      await expect.poll(connections).toBeGreaterThanOrEqual(before + readers.length);
    }
    const repeats = readers.map((found) => found.length - new Set(found).size);
    expect(repeats).toEqual([0, 0]);
    expect(readers).toEqual([all, all]);
  });

  test('heartbeats keep a connection, and events come through it at once', async () => {
    const { log, url, connections } = await start(proxied, { heartbeatMs: 250 });
    const found = readByResume(url);
    for (const text of ['before', 'after']) {
      log.append(text);
      await expect.poll(() => found.at(-1)).toBe(text);
      // A silence of more than twice what cuts off.
      if (text === 'before') await delay(5000);
    }
    expect(connections()).toBe(1);
  });
});
