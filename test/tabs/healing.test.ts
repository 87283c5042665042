import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findBrowser, wantedEngines } from '../browsers/find.js';
import { type Browser, type Tab, open } from '../browsers/tabs.ts';
import type { Where } from './page/page.ts';
import { type Site, openSite } from './site.ts';

let site: Site;
beforeAll(async () => {
  site = await openSite();
});
afterAll(() => site.close());

describe.each(wantedEngines())('in %s', (engine) => {
  let profile: string | undefined;
  let browser: Browser;
  const tabs: Tab[] = [];
  let other: Tab;
  beforeAll(async () => {
    // Off the record Chromium keeps IndexedDB in memory, where it does not count against the quota.
    if (findBrowser(engine)?.driver === 'playwright') profile = await mkdtemp(join(tmpdir(), 'tidemark-'));
    browser = await open(engine, { ...(profile && { dir: profile }) });
    other = await browser.newTab(site.here);
    for (let i = 0; i < 2; i++) tabs.push(await browser.newTab(site.here));
  });
  afterAll(async () => {
    await browser?.close();
    if (profile) await rm(profile, { recursive: true, force: true, maxRetries: 10 });
  });

  const start = async (name: string): Promise<Where> => {
    const where = { kind: 'indexeddb', name } as const;
    for (const tab of tabs) await tab.eval((at) => window.tab.start(at), where);
    return where;
  };
  const attempt = (tab: Tab | undefined, n: number) => tab?.eval((i) => window.tab.attempt('s', i), n);
  const condition = (tab: Tab | undefined) => tab?.eval(() => window.tab.condition('s'));
  const stored = (where: Where) => other.eval((at) => window.tab.stored(at, ['s']), where);
  /** Deletes or upgrades a database from another tab, and says whether it had to wait for a tab that did not let go. */
  const meddle = (name: string, version: number) =>
    other.eval(
      (at) =>
        new Promise<string>((resolve, reject) => {
          const request = at.version > 0 ? indexedDB.open(at.name, at.version) : indexedDB.deleteDatabase(at.name);
          let outcome = 'done';
          request.onblocked = () => (outcome = 'done once it was not blocked any more');
          request.onerror = () => reject(request.error);
          request.onsuccess = () => {
            request.result?.close();
            resolve(outcome);
          };
        }),
      { name, version },
    );

  test('trackers let another tab delete their database, and go on in a new one', async () => {
    const where = await start('deleted');
    for (const [i, tab] of tabs.entries()) expect(await attempt(tab, 10 + i)).toBe('committed');
    await Promise.all(
      tabs.map((tab, i) => tab.eval((race) => window.tab.race(race), { tab: i, tabs: 2, records: 300, sources: 3 })),
    );
    expect(await meddle('deleted', 0)).toMatch(/^done/);
    const progress = (tab: Tab) => tab.eval(() => window.tab.progress());
    for (const tab of tabs) {
      await expect.poll(async () => (await progress(tab))?.done).toBe(true);
      // What was stored before is gone, as it was meant to be; but every record was taken and committed.
      const { recorded, watch } = (await progress(tab)) ?? {};
      expect(recorded).toBe(300);
      expect(watch?.wrongs.filter((wrong) => /Error| is (pending|fenced)/.test(wrong))).toEqual([]);
    }

    expect(await attempt(tabs[0], 20)).toBe('committed');
    expect(await stored(where)).toEqual({ s: 20 });
    for (const tab of tabs) expect(await condition(tab)).toMatchObject({ degraded: null, pending: null });
  });

  test('trackers let another tab upgrade their database, say that theirs is the older page, and drop nothing', async () => {
    const where = await start('upgraded');
    for (const tab of tabs) expect(await attempt(tab, 1)).toBe('committed');
    expect(await meddle('upgraded', 3)).toMatch(/^done/);

    const [tab] = tabs;
    for (const n of [2, 3]) expect(await attempt(tab, n)).toMatch(/^StorageError: .*newer version/);
    expect(await condition(tab)).toMatchObject({
      told: ['degraded', 'error', 'error'],
      pending: 3,
      degraded: expect.stringMatching(/newer version/),
    });

    expect(await meddle('upgraded', 0)).toMatch(/^done/);
    expect(await tab?.eval(() => window.tab.commit('s'))).toBe('committed');
    expect(await stored(where)).toEqual({ s: 3 });
    expect(await condition(tab)).toEqual({
      told: ['degraded', 'error', 'error', 'recovered'],
      committed: 3,
      pending: null,
      degraded: null,
    });
  });

  test.runIf(engine === 'chromium')(
    'a spent quota is told once, and nothing is lost until there is room again',
    async () => {
      // Another origin: what room there is, the browser asks before the first write, and does not for some time after.
      const tab = await browser.newTab(site.elsewhere);
      const session = await tab.page?.context().newCDPSession(tab.page);
      const setQuota = (quota: { quotaSize?: number }) =>
        session?.send('Storage.overrideQuotaForOrigin', { origin: new URL(site.elsewhere).origin, ...quota });
      await setQuota({ quotaSize: 1 });
      await tab.eval(() => window.tab.start({ kind: 'indexeddb', name: 'full' }));
      for (let n = 1; n <= 3; n++) expect(await attempt(tab, n)).toMatch(/^StorageError: .*no room/);
      expect(await condition(tab)).toEqual({
        told: ['degraded', 'error', 'error', 'error'],
        committed: null,
        pending: 3,
        degraded: expect.stringMatching(/no room/),
      });

      await setQuota({});
      expect(await tab.eval(() => window.tab.commit('s'))).toBe('committed');
      expect(await condition(tab)).toEqual({
        told: ['degraded', 'error', 'error', 'error', 'recovered'],
        committed: 3,
        pending: null,
        degraded: null,
      });
      expect(await tab.eval(() => window.tab.stored({ kind: 'indexeddb', name: 'full' }, ['s']))).toEqual({ s: 3 });
    },
  );
});
