import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findBrowser, wantedEngines } from '../browsers/find.js';
import { type Browser, type Tab, open } from '../browsers/tabs.ts';
import type { Where } from './page/page.ts';
import { type Site, openSite } from './site.ts';
import { printTable } from './table.ts';

/** As many times each in the nightly run; here those that cannot be had fast are tried less often. */
const full = Boolean(process.env.FULL);
const cases = [
  { kind: 'indexeddb', beside: false },
  { kind: 'indexeddb', beside: true },
  { kind: 'local-storage', beside: false },
] as const;
const figures: string[][] = [];

let site: Site;
beforeAll(async () => {
  site = await openSite();
});
afterAll(async () => {
  await site.close();
  printTable(['what a page that goes away had recorded', 'store', 'another tab', ...Object.keys(ways)], figures);
});

/** The ways that a user makes a page go away. Each leaves a tab for the next time, or none. */
const ways: Record<string, (tab: Tab) => Promise<Tab | undefined>> = {
  'is closed': async (tab) => void (await tab.close()),
  'goes to another page': async (tab) => {
    await tab.goto(`${site.here}next`);
    return tab;
  },
  'goes to another site': async (tab) => {
    await tab.goto(`${site.elsewhere}next`);
    await tab.goto(site.here);
    return tab;
  },
  'is reloaded': async (tab) => {
    await tab.reload();
    return tab;
  },
};

describe.each(wantedEngines())('in %s', (engine) => {
  let profile: string | undefined;
  let browser: Browser;
  let reader: Tab;
  beforeAll(async () => {
    // Off the record Chromium keeps IndexedDB in memory, which is no measure.
    if (findBrowser(engine)?.driver === 'playwright') profile = await mkdtemp(join(tmpdir(), 'tidemark-'));
    browser = await open(engine, { ...(profile && { dir: profile }) });
    reader = await browser.newTab(site.here);
  });
  afterAll(async () => {
    await browser.close();
    if (profile) await rm(profile, { recursive: true, force: true });
  });

  const stored = (where: Where, source: string) =>
    reader.eval(async (ask) => (await window.tab.stored(ask.where, [ask.source]))[ask.source], { where, source });

  for (const { kind, beside } of cases) {
    const times = full || (kind === 'indexeddb' && !beside) ? 15 : 5;
    const where: Where = { kind, name: beside ? 'leaving-one-of-two' : 'leaving' };
    const row: string[] = [engine, kind, beside ? 'yes' : 'no'];
    figures.push(row);

    test.each(Object.entries(ways))(
      `what a periodic tracker has recorded is in ${kind} after its page %s${beside ? ', beside another tab' : ''}`,
      async (way, goAway) => {
        if (beside) await reader.eval((at) => (window.tab.start(at), window.tab.resume('another')), where);
        let kept = 0;
        let tab: Tab | undefined;
        for (let i = 0; i < times; i++) {
          tab ??= await browser.newTab(site.here);
          const source = `${row.length} ${i}`;
          const leave = (at: { where: Where; source: string }) => window.tab.leaveSomething(at.where, at.source);
          expect(await tab.eval(leave, { where, source })).toBe('pending');
          tab = await goAway(tab);
          // A browser may say that a tab is closed before its page has heard of it.
          const soon = performance.now() + 30_000;
          let found = await stored(where, source);
          while (found !== 2 && performance.now() < soon) found = await stored(where, source);
          // What had been committed before is there whatever happens.
          expect([1, 2]).toContain(found);
          if (found === 2) kept++;
        }
        await tab?.close();
        row.push(`${kept} of ${times}`);
        // About once in 500 times, on a busy machine, Firefox ends a tab that is closed before its page gets anything done.
        expect(kept).toBeGreaterThanOrEqual(engine === 'firefox' && way === 'is closed' ? times - 1 : times);
      },
      120_000,
    );
  }
});
