import type { RequestListener, ServerResponse } from 'node:http';
import { MemoryLog, serve } from 'tidemark/serve';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { wantedEngines } from '../browsers/find.js';
import { type Browser, type Tab, open } from '../browsers/tabs.ts';
import { listenerOf } from '../unit/serve/listener.ts';
import { type Site, openSite } from './site.ts';

const breaks = 4;
const perBreak = 25;

let site: Site;
let listener: RequestListener;
const connections = new Set<ServerResponse>();

beforeAll(async () => {
  site = await openSite((request, response) => {
    if (request.method !== 'OPTIONS') connections.add(response);
    response.on('close', () => connections.delete(response));
    listener(request, response);
  });
});
afterAll(() => site.close());

describe.each(wantedEngines())('in %s', (engine) => {
  let browser: Browser;
  let tab: Tab;
  beforeAll(async () => {
    browser = await open(engine);
    tab = await browser.newTab(site.here);
  });
  afterAll(() => browser.close());

  // 'elsewhere' is another origin: the browser asks for leave to send `Last-Event-ID` there.
  test.each(['here', 'elsewhere'] as const)(
    'EventSource and resume read a log that is served %s once, over breaks and to the end',
    async (where) => {
      const log = new MemoryLog<number>();
      listener = listenerOf(serve(log.feed, { retryMs: 1 }));
      await tab.reload();
      await tab.eval((url) => window.served.start(url), `${site[where]}feed`);
      for (let round = 0; round <= breaks; round++) {
        // Some of these are appended while nobody is connected.
        for (let i = 1; i <= perBreak; i++) log.append(round * perBreak + i);
        const all = Array.from({ length: (round + 1) * perBreak }, (_, i) => i + 1);
        await expect.poll(() => tab.eval(() => window.served.found())).toEqual({ byEventSource: all, byResume: all });
        await expect.poll(() => connections.size).toBe(2);
        if (round < breaks) for (const response of connections) response.destroy();
      }
      log.close();
      await expect.poll(() => tab.eval(() => window.served.ended())).toEqual({ byEventSource: true, byResume: true });
    },
  );
});
