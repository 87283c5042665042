import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { MemoryLog, serve } from 'tidemark/serve';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { wantedEngines } from '../browsers/find.js';
import { type Browser, open } from '../browsers/tabs.ts';
import { listen } from '../listen.ts';
import { readBlocks } from '../readme/blocks.ts';
import { listenerOf } from '../unit/serve/listener.ts';

const folder = inject('installed');
const blocks = readBlocks().filter(({ language }) => language === 'html');

test('the manual has a page without a bundler', () => {
  expect(blocks.length).toBeGreaterThan(0);
});

describe.each(blocks)('over the package as npm installs it, the page under "$heading" of $page', ({ code }) => {
  const log = new MemoryLog<string>();
  const orders = listenerOf(serve(log.feed));
  const site = createServer((request, response) => {
    const { url = '/' } = request;
    if (url === '/orders') return orders(request, response);
    const file = join(folder, url);
    const isModule = url.endsWith('.js') && existsSync(file);
    response.writeHead(isModule || url === '/' ? 200 : 404, {
      'content-type': isModule ? 'text/javascript' : 'text/html',
    });
    response.end(isModule ? readFileSync(file) : code);
  });
  let browser: Browser;
  let origin: string;

  beforeAll(async () => {
    origin = await listen(site);
    browser = await open(wantedEngines()[0] ?? 'chromium');
  });
  afterAll(async () => {
    await browser.close();
    site.close();
    site.closeAllConnections();
  });

  test('shows the events, and goes on after a reload with the one after the last', async () => {
    const tab = await browser.newTab(origin);
    const items = (): Promise<string[]> =>
      tab.eval(() => [...document.querySelectorAll('li')].map(({ textContent }) => textContent ?? ''));
    for (const item of ['tea', 'milk']) log.append(item);
    await expect.poll(items).toEqual(['tea', 'milk']);
    await tab.reload();
    log.append('bread');
    await expect.poll(items).toEqual(['bread']);
    await tab.close();
  });
});
