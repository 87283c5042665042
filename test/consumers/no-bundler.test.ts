import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { Readable, pipeline } from 'node:stream';
import { MemoryLog, serve } from 'tidemark/serve';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { wantedEngines } from '../browsers/find.js';
import { type Browser, open } from '../browsers/tabs.ts';
import { readBlocks } from '../readme/blocks.ts';

const folder = inject('installed');
const blocks = readBlocks().filter(({ language }) => language === 'html');

test('the manual has a page without a bundler', () => {
  expect(blocks.length).toBeGreaterThan(0);
});

describe.each(blocks)('over the package as npm installs it, the page under "$heading" of $page', ({ code }) => {
  const log = new MemoryLog<string>();
  const orders = serve(log.feed);
  const site = createServer(async ({ url = '/', headers }, response) => {
    if (url === '/orders') {
      const get = (name: string): string | null => headers[name]?.toString() ?? null;
      const answer = await orders({ method: 'GET', url, headers: { get } });
      response.writeHead(answer.status, Object.fromEntries(answer.headers));
      return answer.body ? pipeline(Readable.fromWeb(answer.body as never), response, () => {}) : response.end();
    }
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
    site.listen(0, '127.0.0.1');
    await once(site, 'listening');
    const address = site.address();
    origin = `http://localhost:${typeof address === 'object' ? address?.port : ''}`;
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
