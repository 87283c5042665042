import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import type * as tidemark from 'tidemark';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { wantedEngines } from '../../browsers/find.js';
import { type Browser, type Tab, open } from '../../browsers/tabs.ts';

/** What the page has in its global scope. */
type Page = typeof globalThis & { readonly tidemark: typeof tidemark };

let script: string;
let allowed = '';
let browser: Browser;
let tab: Tab;

/** The site, and under another origin a feed that drops after three events. */
const server = createServer((request, response) => {
  if (!request.url?.startsWith('/feed')) {
    response.writeHead(200, { 'content-type': 'text/html' });
    return response.end(`<!doctype html><title>A page</title><script>${script}</script>`);
  }
  response.setHeader('access-control-allow-origin', '*');
  if (request.method === 'OPTIONS')
    return response.writeHead(204, { 'access-control-allow-headers': allowed, 'access-control-max-age': '0' }).end();
  const from = Number(request.headers['last-event-id'] ?? 0);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  return response.end([1, 2, 3].map((n) => `id: ${from + n}\ndata: ${from + n}\n\n`).join(''));
});
let port = 0;

beforeAll(async () => {
  const input = fileURLToPath(new URL('../../../src/index.ts', import.meta.url));
  const build = await rolldown({ input, platform: 'browser' });
  script = (await build.generate({ format: 'iife', name: 'tidemark' })).output[0].code.replaceAll(
    '</script',
    '<\\/script',
  );
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  browser = await open(wantedEngines()[0] ?? 'chromium');
  tab = await browser.newTab(`http://localhost:${port}/`);
});
afterAll(async () => {
  await browser?.close();
  server.closeAllConnections();
  server.close();
});

/** Opens the feed of the other origin in the page, after an offset. */
const openAfter = (offset: string, origin = `http://127.0.0.1:${port}`) =>
  tab.eval(
    async ([after, url]) => {
      const { Offset, sse } = (globalThis as Page).tidemark;
      const told: string[] = [];
      let error = '';
      let count = 0;
      const items = sse(url)(Offset.parse(after), {
        source: 'orders',
        signal: new AbortController().signal,
        openedBefore: true,
        opened() {},
        alive() {},
        deadAfter() {},
        reopenAfter() {},
        onRecorded() {},
        warn: (code) => void told.push(code),
      });
      try {
        for await (const _ of items) count++;
      } catch (reason) {
        error = String(reason);
      }
      return { count, told, error };
    },
    [offset, `${origin}/feed`] as const,
  );

describe('a server of another origin', () => {
  test('that does not allow Last-Event-ID is found out when it refuses', async () => {
    allowed = '';
    expect(await openAfter('custom:')).toMatchObject({ count: 3, told: [], error: '' });
    const { count, told, error } = await openAfter('custom:3');
    expect([count, told]).toEqual([0, ['cors-last-event-id']]);
    expect(error).toMatch(/Last-Event-ID.*Access-Control-Allow-Headers.*lastEventId/);
  });

  test('that allows it is read on', async () => {
    allowed = 'last-event-id';
    expect(await openAfter('custom:3')).toEqual({ count: 3, told: [], error: '' });
  });

  test('that cannot be reached is not accused of it', async () => {
    // Nobody listens there.
    const { told, error } = await openAfter('custom:3', 'http://127.0.0.1:9');
    expect([told, error]).toEqual([[], expect.not.stringMatching(/Last-Event-ID/)]);
    expect(error).not.toBe('');
  });
});
