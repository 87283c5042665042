import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { wantedEngines } from '../browsers/find.js';
import { type Browser, type Tab, open } from '../browsers/tabs.ts';
import { freePort } from '../free-port.ts';
import { listen } from '../listen.ts';
import { bundle, readBlocks } from './blocks.ts';

const blocks = readBlocks();
const apps = blocks.filter(({ language, place }) => place === 'app' && language.startsWith('ts'));

// Each with the server that its page of the manual has, else that of the README.
describe.each(apps)('the app under "$heading" of $page', (app) => {
  const servers = blocks.filter(({ place }) => place === 'server');
  const program = servers.find(({ page }) => page === app.page) ?? servers.find(({ page }) => page === 'README.md');
  let folder: string;
  let browser: Browser;
  let port: number;
  let feed: ChildProcess;
  let page = '';
  const site = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end(page);
  });
  let origin: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tidemark-app-'));
    port = await freePort();
    const here = (code: string): string => code.replaceAll('8080', String(port));
    writeFileSync(join(folder, 'server.mjs'), here(await bundle(program?.file ?? '', 'node')));
    const code = here(await bundle(app.file, 'browser'));
    page = `<!doctype html><title>An app</title><div id="root"></div><script type="module">${code}</script>`;
    origin = await listen(site);
    feed = start();
    browser = await open(wantedEngines()[0] ?? 'chromium');
  });
  afterAll(async () => {
    await browser?.close();
    feed?.kill('SIGKILL');
    site.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const start = (): ChildProcess =>
    spawn(process.execPath, ['server.mjs'], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  const items = (tab: Tab): Promise<string[]> =>
    tab.eval(() => [...document.querySelectorAll('li')].map(({ textContent }) => textContent ?? ''));
  const listed = async (tab: Tab, count: number): Promise<string[]> => {
    await expect.poll(async () => (await items(tab)).length).toBeGreaterThanOrEqual(count);
    return items(tab);
  };
  const numbers = (texts: readonly string[]): number[] => texts.map((text) => Number(/\d+/.exec(text)?.[0]));

  test('shows every event once, in each tab, after a reload too, and goes on with a new server', async () => {
    const first = await browser.newTab(origin);
    await listed(first, 2);
    const second = await browser.newTab(origin);
    const before = await listed(second, 3);
    await first.reload();
    expect((await listed(first, before.length)).slice(0, before.length)).toEqual(before);
    const after = await listed(first, before.length + 2);
    expect(numbers(after)).toEqual(after.map((_, i) => i + 1));

    // The tab that reads is closed, and the one that shows what it stored reads on.
    await first.close();
    const later = await listed(second, after.length + 2);
    expect(numbers(later)).toEqual(later.map((_, i) => i + 1));

    feed.kill('SIGKILL');
    await once(feed, 'exit');
    feed = start();
    const restarted = async (): Promise<number[]> => numbers((await items(second)).slice(later.length));
    await expect.poll(async () => (await restarted()).filter((n) => n <= 2)).toEqual([1, 2]);
    await second.close();
  });
});
