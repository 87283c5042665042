import { InMemoryOffsetStore, OffsetTracker, type ReaderOptions, type SseOptions, resume, sse } from 'tidemark';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { swift } from '../resume/feeds.ts';
import { serveHttp } from './http-server.ts';

const closing: (() => void)[] = [];
afterEach(() => closing.splice(0).forEach((close) => close()));

/** Reads from a real server whose answers, after a first event, come in this order; one event more where none is left. */
async function read(
  answers: ((response: ServerResponse, request: IncomingMessage) => unknown)[],
  {
    first = true,
    count = 2,
    ...options
  }: SseOptions & Pick<ReaderOptions, 'retry'> & { first?: boolean; count?: number } = {},
) {
  const event = (response: ServerResponse, { headers }: IncomingMessage): void => {
    const n = Number(headers['last-event-id'] ?? 0) + 1;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`id: ${n}\ndata: x\n\n`, () => setTimeout(() => response.destroy(), 5));
  };
  const queue = first ? [event, ...answers] : [...answers];
  const { url, close, requests } = await serveHttp((request, response) => (queue.shift() ?? event)(response, request));
  closing.push(close);
  const ids: string[] = [];
  let error: unknown;
  const { retry, ...feed } = options;
  const tracker = new OffsetTracker(new InMemoryOffsetStore());
  try {
    for await (const { id } of resume(tracker, 'orders', sse(url, feed), { ...swift, ...(retry && { retry }) }))
      if (ids.push(id) === count) break;
  } catch (thrown) {
    error = thrown;
  }
  return { ids, error, requests: requests.length };
}

const status = (code: number) => (response: ServerResponse) => response.writeHead(code).end();
const page = (response: ServerResponse): unknown =>
  response.writeHead(200, { 'content-type': 'text/html' }).end('<title>Please log in</title>');

test('the page of a network that wants a login, and a 404 while a proxy changes over, are waited out where the feed was open before', async () => {
  expect(await read([page, page, status(404), status(404)])).toMatchObject({ ids: ['1', '2'], requests: 6 });
});

test.each([
  ['a page', page],
  ['a 404', status(404)],
])('%s in the place of a feed ends the reading at first', async (_what, answer) => {
  const { ids, error, requests } = await read([answer], { first: false });
  expect([ids, requests]).toEqual([[], 1]);
  expect(error).toMatchObject({ code: 'feed', retryable: false });
});

test('a 409 while the server has not noticed that the old connection is dead is tried again where `retry` says so', async () => {
  const conflicts = [status(409), status(409), status(409)];
  expect((await read(conflicts)).error).toMatchObject({ status: 409 });
  const retry = (error: unknown): boolean => (error as { status?: number }).status === 409;
  expect(await read(conflicts, { retry })).toMatchObject({ ids: ['1', '2'], error: undefined, requests: 5 });
});

test('a token that has expired is asked for once more, also in the middle of a reading', async () => {
  let token = 1;
  const headers = () => ({ authorization: `Bearer ${token++}` });
  const { ids, requests } = await read([status(401)], { headers });
  expect([ids, requests, token]).toEqual([['1', '2'], 3, 4]);
  const { error, requests: asked } = await read([status(401), status(401)], { headers });
  expect(error).toMatchObject({ status: 401, retryable: false });
  expect(asked).toBe(3);
});
