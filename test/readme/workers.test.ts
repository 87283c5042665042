import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FeedServer } from '../../demo/server/http.ts';
import { wantedEngines } from '../browsers/find.js';
import { type Browser, open } from '../browsers/tabs.ts';
import { listen } from '../listen.ts';
import { bundle, readBlocks } from './blocks.ts';

const blocks = readBlocks().filter(({ place }) => place.endsWith('-worker'));

/** How a page starts a worker of each kind, and hears what it posts. */
const pages: Record<string, string> = {
  'module-worker': `new Worker('/worker.js', { type: 'module' }).onmessage = ({ data }) => note(data);`,
  'service-worker': `
    const worker = await navigator.serviceWorker.register('/worker.js');
    await navigator.serviceWorker.ready;
    navigator.serviceWorker.addEventListener('message', ({ data }) => note(data));
    navigator.serviceWorker.startMessages();
    // As the browser does by 'sync' once the network is back.
    for (;;) {
      worker.active.postMessage('pull');
      await new Promise((resolve) => setTimeout(resolve, 600));
    }`,
};

test('workers of both kinds are in the manual', () => {
  expect(blocks.map(({ place }) => place)).toEqual(expect.arrayContaining(Object.keys(pages)));
});

describe.each(blocks)('in a $place, the code under "$heading" of $page', (block) => {
  const feeds = new FeedServer({ rate: 100, retryMs: 10 });
  let code = '';
  const note = `(data) => {
    localStorage.setItem('seen', (localStorage.getItem('seen') ?? '') + JSON.parse(data).n + ' ');
  }`;
  const page = `<!doctype html><title>A page</title><script type="module">const note = ${note};${pages[block.place]}</script>`;
  const site = createServer((request, response) => {
    if (request.url?.startsWith('/feed')) return feeds.handle(request, response);
    const isScript = request.url === '/worker.js';
    response.writeHead(200, { 'content-type': isScript ? 'text/javascript' : 'text/html' });
    response.end(isScript ? code : page);
  });
  let browser: Browser;
  let origin: string;

  beforeAll(async () => {
    code = await bundle(block.file, 'browser');
    origin = await listen(site);
    browser = await open(wantedEngines()[0] ?? 'chromium');
  });
  afterAll(async () => {
    await browser.close();
    feeds.close();
    site.close();
  });

  test('goes on after a reload with the event after the last', async () => {
    const tab = await browser.newTab(origin);
    const seen = async (): Promise<number[]> => {
      const text = await tab.eval(() => localStorage.getItem('seen') ?? '');
      return text.split(' ').filter(Boolean).map(Number);
    };
    await expect.poll(async () => (await seen()).length).toBeGreaterThan(50);
    await tab.reload();
    const before = (await seen()).length;
    await expect.poll(async () => (await seen()).length).toBeGreaterThan(before + 50);
    const numbers = await seen();
    const after = new Set(numbers.slice(before));
    const [from, to] = [Math.min(...after), Math.max(...after)];
    // What was posted while the page was made anew reaches nobody, as the manual says; nothing begins at the start again.
    expect(from).toBeGreaterThan(Math.max(...numbers.slice(0, before)) - 20);
    expect(Array.from({ length: to - from + 1 }, (_, i) => from + i).filter((n) => !after.has(n))).toEqual([]);
    await tab.close();
  });
});
