import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openChromium } from '../browsers/chromium.ts';
import { wantedEngines } from '../browsers/find.js';
import { type Browser, type Tab, open } from '../browsers/tabs.ts';
import { type FeedSite, Readers, openFeedSite } from './readers.ts';
import { printTable } from './table.ts';

const engines = wantedEngines();
const figures: string[][] = [];

let site: FeedSite;
beforeAll(async () => {
  site = await openFeedSite();
});
afterAll(async () => {
  await site.close();
  printTable(['a page that was left', 'store', 'comes back from the cache'], figures);
});

/** What the browser says on why it made the page anew. */
const whyNot = (tab: Tab) =>
  tab.eval(() => {
    const [entry] = performance.getEntriesByType('navigation');
    return entry && 'notRestoredReasons' in entry ? JSON.stringify(entry.notRestoredReasons) : '';
  });
const leave = (tab: Tab) => tab.goto(`${site.here}next`);
/** As by the browser's own button. Drivers wait for a page to load, which one from the cache does not. */
const goBack = (tab: Tab) => tab.eval(() => void setTimeout(() => history.back()));

describe.runIf(engines.includes('chromium')).each(['indexeddb', 'local-storage'] as const)(
  'in Chromium, with %s, a page that read and is come back to',
  (kind) => {
    let browser: Browser;
    beforeAll(async () => {
      browser = await openChromium();
    });
    afterAll(() => browser?.close());

    test('comes from the cache, and goes on where it was', async () => {
      const readers = new Readers(site, browser, `alone-${kind}`, kind);
      const page = await readers.join({ reports: false });
      const state = () => page.state();
      await expect.poll(async () => (await state()).processed.length).toBeGreaterThan(10);
      await leave(page.tab);
      await goBack(page.tab);
      await expect.poll(() => page.tab.eval(() => location.pathname === '/' && 'reader' in window)).toBe(true);
      expect([await whyNot(page.tab), (await state()).persisted]).toEqual(['null', [false, true]]);
      const { committed } = await state();
      await expect.poll(async () => (await state()).committed).toBeGreaterThan(committed + 10);
      const { role, error, processed } = await state();
      expect([role, error]).toEqual(['reader', undefined]);
      const [before, after] = [1, 2].map((turn) =>
        processed.filter(({ opening }) => opening === turn).map(({ n }) => n),
      );
      expect(after?.[0]).toBeLessThanOrEqual((before?.at(-1) ?? NaN) + 1);
      for (const part of [before, after]) expect(part).toEqual(part?.map((_, i) => (part[0] ?? NaN) + i));
      figures.push(['chromium', kind, 'yes']);
      await page.tab.close();
    });

    test('finds another tab reading, sees what that commits, and goes on from there in its turn', async () => {
      const readers = new Readers(site, browser, `beside-${kind}`, kind);
      const page = await readers.join({ reports: false });
      const other = await readers.join({ waiting: 1, reports: false });
      await expect.poll(async () => (await page.state()).processed.length).toBeGreaterThan(10);
      // What a busy page still writes may hold up the other as it takes over, for which the browser gives the page up.
      await readers.rest(page);
      await leave(page.tab);
      await readers.goOn();
      await expect.poll(async () => (await other.state()).processed.length).toBeGreaterThan(10);
      await goBack(page.tab);
      await expect.poll(() => page.tab.eval(() => location.pathname === '/' && 'reader' in window)).toBe(true);
      expect([await whyNot(page.tab), (await page.state()).persisted]).toEqual(['null', [false, true]]);
      await readers.queues(page, 1);

      const left = await page.state();
      const { committed } = await other.state();
      await expect.poll(async () => (await page.state()).committed).toBeGreaterThan(committed + 10);
      const waiting = await page.state();
      expect([waiting.role, waiting.processed.length, waiting.records.length]).toEqual([
        'waiting',
        left.processed.length,
        left.records.length,
      ]);

      const last = await other.state();
      await other.tab.close();
      await readers.isReader(page);
      const more = async () => (await page.state()).processed.slice(left.processed.length);
      await expect.poll(async () => (await more()).length).toBeGreaterThan(10);
      const numbers = (await more()).map(({ n }) => n);
      expect(numbers[0]).toBeGreaterThan(last.committed);
      expect(numbers).toEqual(numbers.map((_, i) => (numbers[0] ?? NaN) + i));
      await page.tab.close();
    });
  },
);

describe.runIf(engines.includes('firefox'))('in Firefox', () => {
  test('a page that is come back to reads on, whether the browser has kept it or not', async () => {
    const browser = await open('firefox');
    try {
      const readers = new Readers(site, browser, 'firefox');
      const page = await readers.join({ reports: false });
      await expect.poll(async () => (await page.state()).committed).toBeGreaterThan(10);
      const { committed } = await page.state();
      await leave(page.tab);
      await goBack(page.tab);
      await expect.poll(() => page.tab.eval(() => location.pathname === '/' && 'reader' in window)).toBe(true);
      const [, kept] = (await page.state()).persisted;
      figures.push(['firefox', 'indexeddb', kept ? 'yes' : 'no: made anew']);
      if (!kept) {
        const options = {
          kind: 'indexeddb',
          feed: 'firefox',
          tab: 'A',
          takeoverAfterMs: 1000,
          reports: false,
        } as const;
        await page.tab.eval((reading) => window.reader.start(reading), options);
      }
      await expect.poll(async () => (await page.state()).committed).toBeGreaterThan(committed + 10);
      expect((await page.state()).error).toBeUndefined();
    } finally {
      await browser.close();
    }
  });
});
