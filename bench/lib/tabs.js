// Two tabs of one browser, driven from the process that runs the comparison; a side asks it for its rounds.
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { filesOf } from './browsers.js';
import { load } from './typescript.js';

/** @typedef {import('../../test/browsers/find.js').Engine} Engine */
/** @typedef {import('../../test/browsers/tabs.ts').Browser} Browser */
/** @typedef {import('../../test/browsers/tabs.ts').Tab} Tab */
/** @typedef {{ readonly address: string }} Given */

/**
 * @param {Engine} engine @param {(browser: Browser, url: string, quick: boolean, args: any) => Promise<import('./turns.js').Answer>} measure
 * @returns {(quick: boolean) => Promise<Given & { stop: () => Promise<void> }>}
 */
export const openTabs = (engine, measure) => async (quick) => {
  const answer = await filesOf('tabs.js');
  let pairs = 0;
  const browser = await openBrowser(engine);
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    if (pathname !== '/round') return answer(pathname, response);
    const args = JSON.parse(searchParams.get('args') ?? 'null');
    const found = await measure(browser, `${address}?${pairs++}`, quick, args).catch((error) => ({
      error: String(error),
    }));
    response.end(JSON.stringify(found));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const bound = server.address();
  const address = `http://localhost:${typeof bound === 'object' ? bound?.port : ''}/`;
  // WebDriver's session ends with the last tab.
  await browser.newTab(address);
  const stop = async () => {
    await browser.close();
    server.close();
    server.closeAllConnections();
  };
  return { address, stop };
};

/** A Chromium as users have it: tabs that are not looked at are in the background. @param {Engine} engine @returns {Promise<Browser>} */
async function openBrowser(engine) {
  if (engine === 'chromium') return (await load('test/browsers/chromium.ts')).openChromium();
  return (await load('test/browsers/tabs.ts')).open(engine);
}

/** A side whose rounds are measured with these. @param {unknown} args @returns {import('./turns.js').Side} */
export const inTabs =
  (args) =>
  ({ address }) =>
  async () => {
    const response = await fetch(`${address}round?args=${encodeURIComponent(JSON.stringify(args))}`);
    const { error, ...found } = /** @type {any} */ (await response.json());
    if (error !== undefined) throw new Error(error);
    return found;
  };

/** How long one tab takes to hear of another's events, in ms: the median. @param {Browser} browser @param {string} url @param {boolean} quick @param {'bare' | 'by hand' | 'record' | 'committed' | 'view'} side */
export async function measureHearing(browser, url, quick, side) {
  const sender = await openTab(browser, url);
  await sender.eval((name) => window.pair.prepare(name), side);
  const other = await openTab(browser, url);
  await other.eval((name) => window.pair.hear(name), side);
  const count = quick ? 100 : 400;
  // The first ones find nothing warm.
  await sender.eval((n) => window.pair.send(n), count / 5);
  await sender.eval((n) => window.pair.send(n), count);
  const sent = await sender.eval(() => window.pair.times());
  const heard = await other.eval(() => window.pair.times());
  await other.close();
  await sender.close();
  const took = heard.map((at, n) => at - (sent[n] ?? NaN)).slice(-count);
  took.sort((a, b) => a - b);
  const at = (/** @type {number} */ part) => took[Math.floor((took.length - 1) * part)] ?? NaN;
  return { amount: at(0.5), also: { 'p90, ms': at(0.9), 'p99, ms': at(0.99) } };
}

/** How long it takes until the next tab has its turn, in ms. @param {Browser} browser @param {string} url @param {boolean} _quick @param {{ how: 'lock' | 'resume', end: 'closed' | 'crashed' }} args */
export async function measureTakeover(browser, url, _quick, { how, end }) {
  const first = await openTab(browser, url);
  await first.eval((way) => window.pair.queue(way), how);
  await until(() => first.eval(() => window.pair.turned() !== undefined));
  const next = await openTab(browser, url);
  await next.eval((way) => window.pair.queue(way), how);
  await until(() => next.eval(() => window.pair.waiting()));
  const begun = performance.timeOrigin + performance.now();
  await (end === 'closed' ? first.close() : crash(first));
  await until(() => next.eval(() => window.pair.turned() !== undefined));
  const turned = await next.eval(() => window.pair.turned());
  await next.close();
  if (end === 'crashed') await first.page?.close();
  return { amount: (turned ?? NaN) - begun };
}

/** @param {Tab} tab */
async function crash({ page }) {
  const session = await page?.context().newCDPSession(page);
  // It is never answered.
  void session?.send('Page.crash').catch(() => {});
}

/** A tab that has run its script. @param {Browser} browser @param {string} url */
async function openTab(browser, url) {
  const tab = await browser.newTab(url);
  await until(() => tab.eval(() => 'pair' in window));
  return tab;
}

/** @param {() => Promise<boolean>} look */
async function until(look) {
  for (const end = performance.now() + 60_000; performance.now() < end; await sleep(5)) if (await look()) return;
  throw new Error('a tab does not get there within a minute');
}
