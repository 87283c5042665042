import { once } from 'node:events';
import { FeedExpiredError, InMemoryOffsetStore, Offset, OffsetTracker, resume, webSocket } from 'tidemark';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { openOnce, quietContext } from './opening.ts';

const closing: (() => void)[] = [];
afterEach(() => closing.splice(0).forEach((close) => close()));

/** A real server of WebSockets; `received` is what clients sent. */
async function serve(connected: (socket: WebSocket, send: (n: number) => void, opening: number) => void) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const received: string[] = [];
  let openings = 0;
  server.on('connection', (socket) => {
    socket.on('message', (message) => void received.push(String(message)));
    connected(socket, (n) => socket.send(JSON.stringify({ seq: n })), ++openings);
  });
  closing.push(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { url: `ws://127.0.0.1:${address.port}/orders`, received, server, openings: () => openings };
}

const read = (message: string | ArrayBuffer) => {
  const { seq } = JSON.parse(String(message));
  return { offset: Offset.sequence(seq), data: Number(seq) };
};
const subscribe = (from: Offset): string => `after ${Offset.format(from)}`;
const options = { WebSocket, read, subscribe };

describe('a WebSocket', () => {
  test('that breaks is opened again, and the server told where to go on', async () => {
    const { url, received } = await serve((socket) => {
      socket.on('message', (message) => {
        const next = Number(/\d+$/.exec(String(message))?.[0] ?? 0) + 1;
        for (const n of [next, next + 1, next + 2]) socket.send(JSON.stringify({ seq: n }));
        if (next === 1) socket.close();
        else setTimeout(() => socket.terminate(), 20);
      });
    });
    const seen: number[] = [];
    const swift = { minDelayMs: 0, maxDelayMs: 0 };
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    for await (const { data } of resume(tracker, 'orders', webSocket(url, options), swift))
      if (seen.push(data) === 9) break;
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(received).toEqual(['after earliest', 'after seq:3', 'after seq:6']);
  });

  test('may have the place in its URL', async () => {
    const { url, server } = await serve((socket) => socket.close());
    const paths: unknown[] = [];
    server.on('connection', (_socket, request) => paths.push(request.url));
    const feed = webSocket((from) => `${url}?after=${Offset.format(from)}`, { WebSocket, read });
    const { error, told } = await openOnce(feed, { from: Offset.sequence(4) });
    expect([error, told, paths]).toEqual([undefined, [{}], ['/orders?after=seq:4']]);
  });

  test('acknowledges what has been recorded', async () => {
    const { url, received } = await serve((_socket, send) => [1, 2, 3].forEach(send));
    const ack = (offset: Offset): string | undefined =>
      offset.kind === 'sequence' && offset.value > 1n ? `ack ${offset.value}` : undefined;
    const stop = new AbortController();
    const done = openOnce(webSocket(url, { WebSocket, read, ack }), { signal: stop.signal });
    await expect.poll(() => received).toEqual(['ack 2', 'ack 3']);
    stop.abort();
    expect((await done).error).toBeUndefined();
  });

  test('acknowledges once it is open what was recorded while it was being opened', async () => {
    const sent: string[] = [];
    let open = (): void => {};
    class Slow {
      binaryType = '';
      addEventListener(type: string, listener: () => void): void {
        if (type === 'open') open = listener;
      }
      send(message: string): void {
        sent.push(message);
      }
      close(): void {}
    }
    let recorded = (_offset: Offset): void => {};
    const feed = webSocket('ws://example.com', {
      ...options,
      WebSocket: Slow as never,
      ack: (offset) => `ack ${Offset.format(offset)}`,
    });
    const items = feed(Offset.sequence(2), {
      ...quietContext(true),
      onRecorded: (listener) => void (recorded = listener),
    })[Symbol.asyncIterator]();
    const next = items.next();
    recorded(Offset.sequence(1));
    recorded(Offset.sequence(2));
    expect(sent).toEqual([]);
    open();
    recorded(Offset.sequence(3));
    expect(sent).toEqual(['after seq:2', 'ack seq:2', 'ack seq:3']);
    void next;
  });

  test('sends signs of life where the server wants them', async () => {
    const { url, received } = await serve(() => {});
    const stop = new AbortController();
    const ping = { message: 'ping', everyMs: 5 };
    const done = openOnce(webSocket(url, { WebSocket, read, ping }), { signal: stop.signal });
    await expect.poll(() => received.length).toBeGreaterThan(3);
    stop.abort();
    await done;
    expect(new Set(received)).toEqual(new Set(['ping']));
  });

  test('that falls silent is left', async () => {
    const { url, server } = await serve((_socket, send) => send(1));
    const { error, places } = await openOnce(webSocket(url, { ...options, idleTimeoutMs: 200 }));
    expect(places).toEqual(['seq:1']);
    expect(error).toMatchObject({ retryable: true, message: expect.stringContaining('silent for 200 ms') });
    await expect.poll(() => server.clients.size).toBe(0);
  });

  test('is closed where more waits than may wait, and all that came before is read', async () => {
    const { url, server } = await serve((_socket, send) => {
      for (let n = 1; n <= 1000; n++) send(n);
    });
    const { places, error } = await openOnce(webSocket(url, { ...options, maxWaiting: 10 }));
    expect(error).toBeUndefined();
    expect(places.length).toBeGreaterThan(9);
    expect(places.length).toBeLessThan(1000);
    expect(places).toEqual(places.map((_, i) => `seq:${i + 1}`));
    await expect.poll(() => server.clients.size).toBe(0);
  });

  test('is let go of when nobody wants it any more, also while it is being opened', async () => {
    const { url, server } = await serve((_socket, send) => send(1));
    const { places } = await openOnce(webSocket(url, options), { count: 1 });
    expect(places).toEqual(['seq:1']);
    await expect.poll(() => server.clients.size).toBe(0);
    const { error, items } = await openOnce(webSocket(url, options), { signal: AbortSignal.abort() });
    expect([error, items]).toEqual([undefined, []]);
  });
});

describe('a message', () => {
  test('may bring several items, none, or the end', async () => {
    const messages = ['none', 'two', 'heartbeat', 'end', 'never'];
    const { url } = await serve((socket) => messages.forEach((message) => socket.send(message)));
    const both = [1, 2].map((n) => ({ offset: Offset.sequence(n), data: n }));
    const feed = webSocket<number>(url, {
      WebSocket,
      read: (message) => {
        if (message === 'two') return both;
        if (message === 'heartbeat') return { heartbeat: true, offset: Offset.sequence(3) };
        return message === 'end' ? 'end' : undefined;
      },
    });
    const { items, ended } = await openOnce(feed);
    expect(items).toEqual([...both, { heartbeat: true, offset: Offset.sequence(3) }]);
    expect(ended).toBe('end');
  });

  test('of bytes comes as an ArrayBuffer', async () => {
    const { url } = await serve((socket) => socket.send(new Uint8Array([7, 8])));
    const feed = webSocket<number[]>(url, {
      WebSocket,
      read: (message) => ({ data: typeof message === 'string' ? [] : [...new Uint8Array(message)] }),
    });
    expect((await openOnce(feed, { count: 1 })).events[0]?.data).toEqual([7, 8]);
  });

  test('that cannot be read stands in its place', async () => {
    const { url } = await serve((socket, send) => {
      send(1);
      socket.send('{bad');
      send(3);
    });
    const { items, places } = await openOnce(webSocket(url, options), { count: 3 });
    expect(places).toEqual(['seq:1', '-', 'seq:3']);
    expect(items[1]).toMatchObject({ failed: { event: '{bad', retryable: false, cause: expect.any(SyntaxError) } });
  });
});

describe('a closing', () => {
  test('by the server may mean an error or the end', async () => {
    const { url } = await serve((socket) => socket.close(4410, 'gone'));
    const closed = ({ code }: { readonly code: number }) =>
      code === 4410 ? new FeedExpiredError('gone') : ('end' as const);
    expect((await openOnce(webSocket(url, { ...options, closed }))).error).toBeInstanceOf(FeedExpiredError);
    const other = await serve((socket) => socket.close(1000));
    expect((await openOnce(webSocket(other.url, { ...options, closed }))).ended).toBe('end');
  });

  test('that is no ordinary one says its code and reason', async () => {
    const { url } = await serve((socket) => socket.close(1008, 'not allowed'));
    expect((await openOnce(webSocket(url, options))).error).toMatchObject({
      code: 'feed',
      retryable: true,
      message: '"orders" from "' + url + '": the connection was closed: 1008, not allowed',
    });
  });

  test('before it was open is an error that may pass', async () => {
    const { url, server } = await serve(() => {});
    await new Promise((closed) => server.close(closed));
    const { error, told } = await openOnce(webSocket(url, options));
    expect(error).toMatchObject({ retryable: true, message: expect.stringContaining('it cannot be opened: 1006') });
    expect(told).toEqual([]);
  });
});

test('without a WebSocket, and without a URL, the reading ends with what to do', async () => {
  // Node has one from 22 on.
  const here = globalThis.WebSocket;
  Reflect.deleteProperty(globalThis, 'WebSocket');
  try {
    const { error } = await openOnce(webSocket('ws://localhost', { read }));
    expect(error).toMatchObject({ code: 'unsupported', message: expect.stringContaining('`WebSocket`') });
  } finally {
    if (here) globalThis.WebSocket = here;
  }
  expect((await openOnce(webSocket('no url', options))).error).toMatchObject({ code: 'feed', retryable: false });
});
