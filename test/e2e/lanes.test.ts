import type { PreviewServer } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TidemarkDemo } from '../../demo/main.ts';
import type { FeedStatus } from '../../demo/server/http.ts';
import type { Control } from '../../demo/server/requests.ts';
import { findBrowser, wantedEngines } from '../browsers/find.js';
import { processOf, seesProcesses } from '../browsers/processes.ts';
import { type Browser, type Tab, open } from '../browsers/tabs.ts';
import { serveSite } from './site.ts';

declare const tidemarkDemo: TidemarkDemo;

let server: PreviewServer;
let origin: string;
beforeAll(async () => {
  ({ server, origin } = await serveSite());
});
afterAll(() => server.close());

let feeds = 0;

/** A feed of its own for each test, so that they do not disturb each other. */
function newFeed(rate: number) {
  const name = `lanes-${Date.now()}-${feeds++}`;
  const url = (path: string) => `${origin}/feed${path}?feed=${name}&rate=${rate}`;
  return {
    page: (query = '') => `${origin}/?feed=${name}&rate=${rate}${query}`,
    status: async (): Promise<FeedStatus> => (await fetch(url('/status'))).json(),
    control: async (body: Control): Promise<FeedStatus> => {
      const headers = { 'content-type': 'application/json' };
      return (await fetch(url('/control'), { method: 'POST', headers, body: JSON.stringify(body) })).json();
    },
  };
}

describe.each(wantedEngines())('the lanes in %s', (engine) => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await open(engine);
    // WebKit's session ends with its last tab.
    await browser.newTab(`${origin}/tidemark.svg`);
  });
  afterAll(() => browser.close());

  test('a reload repeats every event of EventSource and none of tidemark, whose list is still there', async () => {
    const feed = newFeed(20);
    const tab = await browser.newTab(feed.page());
    await expect.poll(() => figure(tab, 'plain-processed')).toBeGreaterThan(20);
    await feed.control({ action: 'rate', rate: 0 });
    const { head } = await feed.status();
    await both(tab, 'processed', head + 1);
    await expect.poll(() => pending(tab)).toBe(0);
    await click(tab, 'reload');
    await expect.poll(() => figure(tab, 'plain-repeated')).toBe(head + 1);
    await both(tab, 'missing', 0);
    expect(await figure(tab, 'tidemark-repeated')).toBe(0);
    expect(await text(tab, 'events')).toMatch(new RegExp(`^${head}\\b`));
    await tab.close();
  });

  test('exactly once repeats nothing after a crash, and a second tab shows what the first one reads', async () => {
    const feed = newFeed(20);
    const tab = await browser.newTab(feed.page('&strategy=once'));
    await expect.poll(() => figure(tab, 'tidemark-processed')).toBeGreaterThan(10);
    for (let crash = 1; crash <= 2; crash++) {
      const before = await figure(tab, 'tidemark-processed');
      await click(tab, 'crash');
      await expect.poll(() => figure(tab, 'tidemark-processed')).toBeGreaterThan(before + 20);
    }
    const other = await browser.newTab(feed.page('&strategy=once'));
    await expect.poll(() => text(other, 'events')).toContain('other tab');
    await feed.control({ action: 'rate', rate: 0 });
    const { head } = await feed.status();
    for (const each of [tab, other]) {
      await expect.poll(() => text(each, 'events')).toMatch(new RegExp(`^${head}\\b`));
      await expect.poll(() => figure(each, 'tidemark-processed')).toBe(head + 1);
      expect(await figure(each, 'tidemark-repeated')).toBe(0);
      expect(await figure(each, 'tidemark-missing')).toBe(0);
    }
    expect(await counted(tab)).toMatchObject({ first: 0, last: head, processed: head + 1, repeated: 0, missing: 0 });
    expect(await figure(tab, 'plain-repeated')).toBeGreaterThan(0);
    await tab.close();
    await other.close();
  });
});

// A page of WebKit still commits in what is a crash elsewhere, and its tabs take long to open.
describe.runIf(wantedEngines().includes('chromium'))('the lanes', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await open('chromium');
  });
  afterAll(() => browser.close());

  test('a server that is down for a moment ends EventSource for good, and tidemark misses nothing', async () => {
    const feed = newFeed(20);
    const tab = await browser.newTab(feed.page());
    await expect.poll(() => figure(tab, 'plain-processed')).toBeGreaterThan(5);
    await click(tab, 'unavailable');
    await expect.poll(() => text(tab, 'plain-state')).toBe('Dead');
    await expect.poll(() => text(tab, 'tidemark-state')).toBe('Open');
    await expect.poll(() => figure(tab, 'plain-missing')).toBeGreaterThan(100);
    await expect.poll(() => figure(tab, 'tidemark-missing')).toBe(0);
    expect(await text(tab, 'plain-verdict')).toMatch(/^Closed for good/);
    expect(await figure(tab, 'tidemark-repeated')).toBe(0);
    await tab.close();
  });

  test('an event that cannot be processed is tried again and told by tidemark, and lost by EventSource', async () => {
    const feed = newFeed(5);
    const tab = await browser.newTab(feed.page());
    await expect.poll(() => figure(tab, 'tidemark-processed')).toBeGreaterThan(2);
    await click(tab, 'break');
    await expect.poll(() => text(tab, 'tidemark-skipped')).toBe('1 left out');
    await expect.poll(() => figure(tab, 'plain-missing')).toBe(1);
    await expect.poll(() => figure(tab, 'tidemark-missing')).toBe(0);
    expect(await text(tab, 'journal')).toMatch(/Gave event \d+ up after three attempts: event \d+ has no level/);
    expect(await text(tab, 'plain-skipped')).toBe('');
    await tab.close();
  });

  test('a crash repeats what was not committed, says so, and is counted over the reload', async () => {
    const feed = newFeed(20);
    const tab = await browser.newTab(feed.page('&strategy=manual'));
    await expect.poll(() => figure(tab, 'tidemark-processed')).toBeGreaterThan(10);
    await click(tab, 'commit');
    await expect.poll(() => pending(tab)).toBeGreaterThan(20);
    await feed.control({ action: 'rate', rate: 0 });
    const { head } = await feed.status();
    await both(tab, 'processed', head + 1);
    const uncommitted = await pending(tab);
    expect(uncommitted).toBeGreaterThan(20);
    await click(tab, 'crash');
    await expect.poll(() => figure(tab, 'plain-repeated')).toBe(head + 1);
    await expect.poll(() => figure(tab, 'tidemark-repeated')).toBe(uncommitted);
    expect(await text(tab, 'repeated-hint')).toBe('At least once: what was not committed is processed again.');
    expect(await level(tab, 'tidemark-repeated')).toBe('warn');
    await both(tab, 'missing', 0);
    await tab.close();
  });

  test('two tabs read over one connection of tidemark, and the second takes over from the first', async () => {
    const feed = newFeed(20);
    const first = await browser.newTab(feed.page());
    await expect.poll(() => figure(first, 'tidemark-processed')).toBeGreaterThan(5);
    const second = await browser.newTab(feed.page());
    await expect.poll(() => text(second, 'tabs')).toContain('Another tab reads');
    await expect.poll(() => figure(second, 'plain-connections')).toBe(2);
    expect(await figure(second, 'tidemark-connections')).toBe(1);
    await expect.poll(() => text(second, 'events')).toContain('other tab');
    await first.close();
    await expect.poll(() => text(second, 'tabs')).toBe('This tab reads');
    await feed.control({ action: 'rate', rate: 0 });
    const { head } = await feed.status();
    await expect.poll(() => figure(second, 'tidemark-processed')).toBe(head + 1);
    expect(await counted(second)).toMatchObject({ first: 0, missing: 0 });
    await second.close();
  });

  test('a network that goes away without a word is noticed by tidemark alone', async () => {
    const feed = newFeed(2);
    const tab = await browser.newTab(feed.page());
    await expect.poll(() => figure(tab, 'tidemark-processed')).toBeGreaterThan(8);
    await click(tab, 'silence');
    await expect.poll(() => text(tab, 'plain-verdict')).toBe('Looks open, hears nothing, and does not notice.');
    expect(await text(tab, 'plain-state')).toBe('Open');
    await expect.poll(() => text(tab, 'journal')).toContain('Noticed the silence');
    await expect.poll(() => figure(tab, 'tidemark-missing')).toBe(0);
    expect(await figure(tab, 'plain-missing')).toBeGreaterThan(0);
    expect(await text(tab, 'plain-state')).toBe('Open');
    expect(await figure(tab, 'tidemark-repeated')).toBe(0);
    await tab.close();
  });

  test('dropped connections, a burst and a new log', async () => {
    const feed = newFeed(20);
    const tab = await browser.newTab(feed.page());
    await expect.poll(() => figure(tab, 'plain-processed')).toBeGreaterThan(5);
    await click(tab, 'drop');
    await expect.poll(() => text(tab, 'journal')).toMatch(/Goes on with event \d+, right after \d+/);
    await click(tab, 'burst');
    await both(tab, 'missing', 0);
    for (const lane of ['plain', 'tidemark'])
      await expect.poll(() => figure(tab, `${lane}-processed`)).toBeGreaterThan(500);
    expect(await Promise.all(['plain', 'tidemark'].map((lane) => figure(tab, `${lane}-repeated`)))).toEqual([0, 0]);
    await click(tab, 'restart');
    await expect.poll(() => text(tab, 'plain-state')).toBe('Dead');
    await expect
      .poll(() => text(tab, 'journal'))
      .toContain('The server no longer has what comes next: reset to earliest.');
    await expect.poll(() => counted(tab)).toMatchObject({ first: 0, missing: 0, repeated: 0 });
    await expect.poll(() => figure(tab, 'plain-processed')).toBe(0);
    await tab.close();
  });

  test('a tab that hangs is replaced by the other, and neither repeats or misses an event', async () => {
    const feed = newFeed(5);
    const first = await browser.newTab(feed.page('&strategy=once'));
    await expect.poll(() => text(first, 'tabs')).toContain('This tab reads');
    const second = await browser.newTab(feed.page('&strategy=once'));
    await expect.poll(() => text(second, 'tabs')).toContain('Another tab reads');
    await click(first, 'hang');
    await expect.poll(() => text(second, 'tabs')).toContain('This tab reads');
    await feed.control({ action: 'rate', rate: 0 });
    const { head } = await feed.status();
    for (const tab of [first, second]) {
      await expect.poll(() => counted(tab)).toMatchObject({ first: 0, last: head, processed: head + 1, repeated: 0 });
      await expect.poll(() => text(tab, 'events')).toMatch(new RegExp(`^${head}\\b`));
    }
    await first.close();
    await second.close();
  });

  test('tabs with different stores say so, and localStorage goes on after a reload where memory begins again', async () => {
    const feed = newFeed(20);
    const kept = await browser.newTab(feed.page('&store=localstorage'));
    const forgetful = await browser.newTab(feed.page('&store=memory'));
    await expect.poll(() => text(kept, 'places')).toContain('(memory) than this one (localStorage)');
    await expect.poll(() => text(forgetful, 'places')).toContain('(localStorage) than this one (memory)');
    for (const tab of [kept, forgetful]) await expect.poll(() => figure(tab, 'tidemark-processed')).toBeGreaterThan(10);
    await feed.control({ action: 'rate', rate: 0 });
    const { head } = await feed.status();
    for (const tab of [kept, forgetful]) await expect.poll(() => figure(tab, 'tidemark-processed')).toBe(head + 1);
    await expect.poll(() => pending(kept)).toBe(0);
    for (const tab of [kept, forgetful]) await click(tab, 'reload');
    await expect.poll(() => figure(forgetful, 'tidemark-repeated')).toBe(head + 1);
    await expect.poll(() => figure(kept, 'tidemark-repeated')).toBe(0);
    await forgetful.close();
    await expect.poll(() => text(kept, 'places')).toBe('');
    expect(await figure(kept, 'tidemark-repeated')).toBe(0);
    await kept.close();
  });

  test('a reset moves the place of tidemark, and counts anew', async () => {
    const feed = newFeed(20);
    const tab = await browser.newTab(feed.page());
    await expect.poll(() => figure(tab, 'tidemark-processed')).toBeGreaterThan(10);
    const before = await counted(tab);
    await click(tab, 'reset-earliest');
    await expect.poll(async () => (await counted(tab))?.run).not.toBe(before?.run);
    await expect.poll(() => counted(tab)).toMatchObject({ first: 0, missing: 0, repeated: 0 });
    await click(tab, 'reset-latest');
    await expect.poll(async () => (await counted(tab))?.first).toBeGreaterThan(before?.last ?? 0);
    await tab.close();
  });

  test('the code shows the store and the strategy that are chosen', async () => {
    const feed = newFeed(2);
    const tab = await browser.newTab(feed.page());
    const shows = async (id: string, ...parts: string[]) => {
      await click(tab, id);
      for (const part of parts) await expect.poll(() => text(tab, 'tidemark-code')).toContain(part);
    };
    await shows('strategy-periodic', 'strategy: { every: 50, intervalMs: 1000 }', 'view: (event');
    await shows('store-localstorage', 'new LocalStorageOffsetStore(');
    await shows('strategy-once', 'new IndexedDBOffsetStore({', 'db: openLanes', "transact: ['counts'");
    await shows('store-memory', 'new InMemoryOffsetStore()', "strategy: 'auto'");
    expect(await text(tab, 'tidemark-code')).not.toContain('view:');
    expect(await text(tab, 'plain-code')).toContain('new EventSource(');
    await tab.close();
  });

  test.runIf(seesProcesses && findBrowser('chromium')?.driver === 'playwright')(
    'exactly once repeats nothing where the process of the tab is killed',
    async () => {
      const feed = newFeed(50);
      const tab = await browser.newTab(feed.page('&strategy=once'));
      await expect.poll(() => figure(tab, 'tidemark-processed')).toBeGreaterThan(20);
      process.kill(await processOf(browser, tab), 'SIGKILL');
      const next = await browser.newTab(feed.page('&strategy=once'));
      await expect.poll(() => text(next, 'tabs')).toBe('This tab reads');
      await feed.control({ action: 'rate', rate: 0 });
      const { head } = await feed.status();
      await expect.poll(() => counted(next)).toMatchObject({ processed: head + 1, repeated: 0, missing: 0 });
      await next.close();
    },
  );
});

function text(tab: Tab, id: string): Promise<string> {
  return tab.eval((of) => document.getElementById(of)?.innerText.trim().replace(/\s+/g, ' ') ?? '', id);
}

function level(tab: Tab, id: string): Promise<string | undefined> {
  return tab.eval((of) => document.getElementById(of)?.dataset.level, id);
}

/** A figure as it is shown; -1 where there is none. */
async function figure(tab: Tab, id: string): Promise<number> {
  const shown = (await text(tab, id)).replaceAll(/[^\d]/g, '');
  return shown === '' ? -1 : Number(shown);
}

/** Both lanes come to show it. */
async function both(tab: Tab, name: string, count: number): Promise<void> {
  for (const lane of ['plain', 'tidemark']) await expect.poll(() => figure(tab, `${lane}-${name}`)).toBe(count);
}

function pending(tab: Tab): Promise<number> {
  return tab.eval(() => {
    const { recorded, committed } = tidemarkDemo.tracker.status(tidemarkDemo.source);
    const [ahead, behind] = [recorded, committed].map((offset) =>
      offset?.kind === 'custom' ? Number(offset.value.split('_')[1]) : -1,
    );
    return Math.max(0, (ahead ?? -1) - (behind ?? -1));
  });
}

function counted(tab: Tab) {
  return tab.eval(() => tidemarkDemo.tally('tidemark'));
}

function click(tab: Tab, id: string): Promise<void> {
  return tab.eval((of) => {
    const target = document.getElementById(of) ?? document.querySelector<HTMLElement>(`[data-testid="${of}"]`);
    target?.click();
  }, id);
}
