// Browsers with a profile on disk. Each side has one of its own, since a tab in the background would be slowed. Nobody drives
// them: a page asks this server for its turns, which works in every engine and costs the page nothing while it is timed.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';
import { findBrowser, wantedEngines } from '../../test/browsers/find.js';
import { load } from './typescript.js';

/** Those that this machine can run, of those that BROWSERS names. */
export const engines = wantedEngines().filter((engine) => findBrowser(engine));

/** @type {Record<import('../../test/browsers/find.js').Engine, string>} */
export const titles = { chromium: 'Chromium', firefox: 'Firefox', webkit: 'WebKitGTK' };

/** With these a page has clocks that are finer than a millisecond. */
const isolation = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
};

/** @typedef {{ readonly address: string, readonly quick: boolean }} Given */

/**
 * @param {import('../../test/browsers/find.js').Engine} engine
 * @param {string} script in bench/page: it offers its sides by `offer`
 * @returns {(quick: boolean) => Promise<Given & { stop: () => Promise<void> }>}
 */
export const openBrowsers = (engine, script) => async (quick) => {
  /** @type {typeof import('../../test/browsers/plain.ts')} */
  const { plainBrowsers } = await load('test/browsers/plain.ts');
  const answer = await filesOf(script);
  // Each browser is to end with this process.
  process.setMaxListeners(50);
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-'));
  /** @type {Page[]} */
  const pages = [];
  /** @type {(() => Promise<void>)[]} */
  const ends = [];
  const start = async () => {
    const index = pages.push(new Page()) - 1;
    const profile = join(folder, String(index));
    await mkdir(profile);
    const launcher = await plainBrowsers(engine, profile);
    const browser = launcher.open(`${address}?${index}`);
    ends.push(async () => {
      await browser.kill();
      launcher.close();
    });
    return index;
  };
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const [, what, index] = pathname.split('/');
    const send = (/** @type {unknown} */ value) => void response.end(JSON.stringify(value ?? null));
    if (what === 'start') return send(await start());
    const page = pages[Number(index)];
    if (what === 'order') return send(await page?.order(await textOf(request)));
    if (what === 'ask') return page?.asked(await textOf(request), (order) => void response.end(order));
    return answer(pathname, response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const bound = server.address();
  const address = `http://localhost:${typeof bound === 'object' ? bound?.port : ''}/`;
  const stop = async () => {
    await Promise.all(ends.map((end) => end()));
    server.close();
    server.closeAllConnections();
    await rm(folder, { recursive: true, force: true, maxRetries: 10 });
  };
  return { address, quick, stop };
};

/**
 * A side that runs in a page: what the page's side of that name does, timed by the page.
 * @param {string} name of one of the sides of the page's script
 * @param {readonly unknown[]} args what it is called with, after whether the run is a quick one
 * @returns {import('./turns.js').Side}
 */
export const inPage =
  (name, ...args) =>
  async (/** @type {Given} */ { address, quick }) => {
    const index = await post(`${address}start`);
    const order = async (/** @type {unknown} */ what) => {
      const { error, ...answer } = await post(`${address}order/${index}`, what);
      if (error !== undefined) throw new Error(error);
      return answer;
    };
    await order({ name, args: [quick, ...args] });
    return () => order({});
  };

/** @param {string} url @param {unknown} [body] */
async function post(url, body = {}) {
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
  return response.json();
}

/** Between who gives orders and the page that asks for them. */
class Page {
  #order = '';
  /** @type {((order: string) => void) | undefined} */
  #give;
  /** @type {((answer: unknown) => void) | undefined} */
  #resolve;

  /** @param {string} order */
  order(order) {
    this.#order = order;
    const answered = new Promise((resolve) => (this.#resolve = resolve));
    this.#pass();
    return answered;
  }

  /** @param {string} answer to the order before; empty where the page has just begun @param {(order: string) => void} give */
  asked(answer, give) {
    this.#give = give;
    if (answer) this.#resolve?.(JSON.parse(answer));
    this.#pass();
  }

  #pass() {
    if (!this.#order || !this.#give) return;
    const give = this.#give;
    const order = this.#order;
    this.#give = undefined;
    this.#order = '';
    give(order);
  }
}

/** The page and its script. @param {string} script @returns {Promise<(path: string, response: import('node:http').ServerResponse) => void>} */
export async function filesOf(script) {
  const { output } = await build({
    input: fileURLToPath(new URL(`../page/${script}`, import.meta.url)),
    platform: 'browser',
    write: false,
    logLevel: 'silent',
  });
  const files = new Map(output.map((part) => [`/${part.fileName}`, 'code' in part ? part.code : '']));
  const page = `<!doctype html><title>bench</title><script type="module" src="/${output[0].fileName}"></script>`;
  return (path, response) => {
    const code = files.get(path);
    const type = code === undefined ? 'text/html' : 'text/javascript';
    response.writeHead(200, { 'content-type': `${type}; charset=utf-8`, ...isolation });
    response.end(code ?? page);
  };
}

/** @param {import('node:http').IncomingMessage} request */
async function textOf(request) {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += String(chunk);
  return text;
}
