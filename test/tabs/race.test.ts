import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { wantedEngines } from '../browsers/find.js';
import { type Browser, type Tab, open } from '../browsers/tabs.ts';
import type { Where } from './page/page.ts';
import { type Site, openSite } from './site.ts';
import { printTable } from './table.ts';

const records = 2000;
const kinds = ['indexeddb', 'local-storage'] as const;
const races = kinds.flatMap((kind) => [1, 50].map((sources) => ({ kind, sources })));
const figures: string[][] = [];

let site: Site;
beforeAll(async () => {
  site = await openSite();
});
afterAll(async () => {
  await site.close();
  printTable(['the race', 'store', 'sources', 'records/s', 'looks', 'went wrong'], figures);
});

describe.each(wantedEngines())('four tabs in %s', (engine) => {
  let browser: Browser;
  const tabs: Tab[] = [];
  beforeAll(async () => {
    browser = await open(engine);
    for (let i = 0; i < 4; i++) tabs.push(await browser.newTab(site.here));
  });
  afterAll(() => browser.close());

  const all = <T>(fn: () => T) => Promise.all(tabs.map((tab) => tab.eval(fn)));
  const start = (where: Where) => Promise.all(tabs.map((tab) => tab.eval((at) => window.tab.start(at), where)));
  const finished = async (racers: readonly Tab[]) => {
    const states = () => Promise.all(racers.map((tab) => tab.eval(() => window.tab.progress())));
    const done = async () => (await states()).every((state) => state?.done);
    await expect.poll(done, { timeout: 100_000, interval: 200 }).toBe(true);
    return (await states()).filter((state) => state !== undefined);
  };
  /** What each tab finds stored, once what others wrote has arrived. */
  const stored = async (where: Where, wanted: Record<string, number>) => {
    for (const tab of tabs) {
      const names = Object.keys(wanted);
      const found = () => tab.eval((ask) => window.tab.stored(ask.where, ask.names), { where, names });
      await expect.poll(found).toEqual(wanted);
    }
  };

  test.each(races)(
    'that record at once never see $kind go back, with $sources sources, and end at the highest offset',
    async ({ kind, sources }) => {
      const where: Where = { kind, name: `race-${sources}` };
      await start(where);
      const started = performance.now();
      await Promise.all(
        tabs.map((tab, i) =>
          tab.eval((race) => window.tab.race(race), { tab: i, tabs: tabs.length, records, sources }),
        ),
      );
      const states = await finished(tabs);
      const seconds = (performance.now() - started) / 1000;

      const wrongs = states.flatMap(({ watch }) => watch.wrongs);
      const sum = (count: (state: (typeof states)[number]) => number) => states.reduce((n, each) => n + count(each), 0);
      figures.push([
        engine,
        kind,
        String(sources),
        (sum(({ recorded }) => recorded) / seconds).toFixed(0),
        String(sum(({ watch }) => watch.looks)),
        String(wrongs.length),
      ]);
      expect(wrongs).toEqual([]);
      expect(states.map(({ recorded }) => recorded)).toEqual(tabs.map(() => records));
      const highest = Array.from({ length: sources }, (_, s) => [`s${s}`, (records - sources + s) * 4 + 3]);
      await stored(where, Object.fromEntries(highest));
    },
    120_000,
  );

  test.each(kinds)(
    'of which one resets the source while three commit to %s all go on from the reset',
    async (kind) => {
      const where: Where = { kind, name: 'reset' };
      await start(where);
      const [resetter, ...racers] = tabs;
      await Promise.all(
        racers.map((tab, i) =>
          tab.eval((options) => window.tab.runOn(options), { source: 's', from: 10_000 + i, late: i * 25, until: 200 }),
        ),
      );
      const recorded = async () => (await all(() => window.tab.progress()?.recorded ?? 0)).slice(1);
      await expect.poll(async () => Math.min(...(await recorded()))).toBeGreaterThan(50);
      await resetter?.eval(() => window.tab.reset('s', 7));

      const states = await finished(racers);
      expect(states.flatMap(({ watch }) => watch.wrongs)).toEqual([]);
      for (const { restarts } of states) {
        expect(restarts).toHaveLength(1);
        expect(restarts[0]).toBeGreaterThanOrEqual(7);
        expect(restarts[0]).toBeLessThanOrEqual(200);
      }
      expect(states.map(({ fenced }) => fenced)).toEqual([1, 26, 51]);
      await stored(where, { s: 200 });
    },
    120_000,
  );
});
