// A Chromium with a profile on disk, and a server of a page for each side: an origin of its own, so that what the sides store
// is apart.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright';
import { build } from 'rolldown';
import { findBrowser } from '../../test/browsers/find.js';

/** Whether there is one on this machine. */
export const hasChromium = findBrowser('chromium') !== undefined;

/** @typedef {{ readonly endpoint: string, readonly port: number, readonly quick: boolean }} Started */

/**
 * @param {string} script in bench/page: it gives `sides`, each a side as bench/lib/turns.js has it
 * @returns {(quick: boolean) => Promise<Started & { stop: () => Promise<void> }>}
 */
export const openChromium = (script) => async (quick) => {
  const server = await serve(script);
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const found = findBrowser('chromium');
  if (!found) throw new Error('There is no chromium on this machine; `npm run test:browsers` installs one.');
  const profile = await mkdtemp(join(tmpdir(), 'tidemark-bench-'));
  // Not started by Playwright, whose contexts keep nothing on disk.
  const own = [
    '--headless',
    '--remote-debugging-port=0',
    '--disable-renderer-backgrounding',
    `--user-data-dir=${profile}`,
  ];
  const child = spawn(found.path, [...(found.launch.args ?? []), ...own, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const endpoint = await new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`Chromium ended with code ${code}`)));
    child.stderr.on('data', (data) => {
      const [url] = /ws:\/\/\S+/.exec(String(data)) ?? [];
      if (url) resolve(url);
    });
  });
  const stop = async () => {
    server.close();
    server.closeAllConnections();
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill();
    await ended;
    await rm(profile, { recursive: true, force: true, maxRetries: 10 });
  };
  return { endpoint, port, quick, stop };
};

/**
 * A side that runs in a page: what the page's side of that name does, timed by the page.
 * @param {string} name of one of the sides of the page's script
 * @param {readonly unknown[]} args what it is called with, after whether the run is a quick one
 * @returns {import('./turns.js').Side}
 */
export const inPage =
  (name, ...args) =>
  async (/** @type {Started} */ { endpoint, port, quick }) => {
    const browser = await chromium.connectOverCDP(endpoint, { noDefaults: true });
    const page = await browser.contexts()[0]?.newPage();
    if (!page) throw new Error('Chromium has no profile.');
    page.setDefaultTimeout(0);
    await page.goto(`http://side-${process.pid}.localhost:${port}/`);
    await page.evaluate(
      ([side, given]) => globalThis.start(side, given),
      /** @type {const} */ ([name, [quick, ...args]]),
    );
    return () => page.evaluate(() => globalThis.round());
  };

/** @param {string} script */
async function serve(script) {
  const { output } = await build({
    input: fileURLToPath(new URL(`../page/${script}`, import.meta.url)),
    platform: 'browser',
    write: false,
    logLevel: 'silent',
  });
  const files = new Map(output.map((part) => [`/${part.fileName}`, 'code' in part ? part.code : '']));
  const entry = output[0].fileName;
  const server = createServer(({ url = '/' }, response) => {
    const code = files.get(url);
    const type = code === undefined ? 'text/html' : 'text/javascript';
    response.writeHead(200, { 'content-type': `${type}; charset=utf-8` });
    response.end(code ?? `<!doctype html><title>bench</title><script type="module" src="/${entry}"></script>`);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  return server;
}
