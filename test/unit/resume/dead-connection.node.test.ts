import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve as pathOf } from 'node:path';
import { rolldown } from 'rolldown';
import { InMemoryOffsetStore, OffsetTracker, resume, sse } from 'tidemark';
import { afterEach, expect, test } from 'vitest';
import { serveHttp } from '../feeds/http-server.ts';

const closing: (() => void)[] = [];
afterEach(() => void closing.splice(0).forEach((close) => close()));

/** A server of numbered events, one each `everyMs`; `head` is the newest, and it grows by itself. */
async function ticking(everyMs: number) {
  let head = 0;
  const ticks = setInterval(() => head++, everyMs);
  const asked: (string | undefined)[] = [];
  const server = await serveHttp((request, response) => {
    const id = request.headers['last-event-id']?.toString();
    asked.push(id);
    let next = Number(id ?? 0) + 1;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    const send = setInterval(() => {
      for (; next <= head; next++) response.write(`id: ${next}\ndata: ${Date.now()}\n\n`);
    }, 20);
    response.on('close', () => clearInterval(send));
  });
  closing.push(() => {
    clearInterval(ticks);
    server.close();
  });
  return { ...server, asked };
}

/** A TCP proxy that can swallow all bytes of the connections that stand, without closing them. */
async function swallowing(target: string) {
  const standing = new Set<{ swallows: boolean }>();
  const sockets = new Set<Socket>();
  const { hostname, port } = new URL(target);
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    const state = { swallows: false };
    standing.add(state);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('data', (bytes) => state.swallows || to.write(bytes));
      from.on('error', () => {});
      from.on('close', () => state.swallows || to.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const swallow = (): void => standing.forEach((state) => (state.swallows = true));
  return { url: `http://127.0.0.1:${address.port}`, swallow };
}

test('a connection whose bytes are swallowed without an end is opened again at the place', async () => {
  const { url, asked } = await ticking(100);
  const proxy = await swallowing(url);
  const seen: number[] = [];
  const reasons: unknown[] = [];
  const stop = new AbortController();
  const reading = resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', sse(proxy.url), {
    signal: stop.signal,
    minDelayMs: 0,
    handler: ({ id }) => void seen.push(Number(id)),
    onState: (_, { reason }) => reason && void reasons.push(reason),
  });
  await expect.poll(() => seen.length).toBeGreaterThan(20);
  proxy.swallow();
  await expect.poll(() => asked.length).toBe(2);
  await expect.poll(() => seen.length).toBeGreaterThan(Number(asked[1]) + 5);
  stop.abort();
  await reading;
  expect(reasons).toEqual(['silent']);
  expect(seen).toEqual(seen.map((_, i) => i + 1));
});

test('a process that was suspended opens the feed anew as soon as it is awake', async () => {
  const { url, asked } = await ticking(200);
  const proxy = await swallowing(url);
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-suspended-'));
  closing.push(() => void rm(folder, { recursive: true }));
  const script = join(folder, 'suspended.mjs');
  const bundle = await rolldown({ input: pathOf(import.meta.dirname, 'suspended.ts'), platform: 'node' });
  await bundle.write({ file: script, codeSplitting: false });
  await bundle.close();
  const child = spawn(process.execPath, [script, proxy.url], { stdio: ['ignore', 'pipe', 'inherit'] });
  closing.push(() => child.kill('SIGKILL'));
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more));
  await expect.poll(() => text).toContain('event 3 ');
  child.kill('SIGSTOP');
  proxy.swallow();
  await new Promise((resolve) => setTimeout(resolve, 15_000));
  const before = text.length;
  const wokeAt = Date.now();
  child.kill('SIGCONT');
  await expect.poll(() => /event/.test(text.slice(before)), { interval: 20 }).toBe(true);
  console.log(`the first new event came ${Date.now() - wokeAt} ms after a process woke`);
  expect(text).toContain('asleep');
  expect(asked).toHaveLength(2);
});
