import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findBrowser, wantedEngines } from '../browsers/find.js';
import { type PlainBrowser, plainBrowsers } from '../browsers/plain.ts';
import { descendantsOf, processOf, seesProcesses, watchGrowth } from '../browsers/processes.ts';
import { open } from '../browsers/tabs.ts';
import type { AloneReport, Part } from './page/alone.ts';
import { type Site, openSite } from './site.ts';
import { printTable } from './table.ts';

const full = Boolean(process.env.FULL);
const figures: string[][] = [];

let site: Site;
beforeAll(async () => {
  site = await openSite();
});
afterAll(async () => {
  await site.close();
  printTable(['lost after SIGKILL', 'of', 'times', 'indexeddb', 'local-storage'], figures);
});

describe.each(wantedEngines())('in %s', (engine) => {
  let profile: string;
  beforeAll(async () => {
    profile = await mkdtemp(join(tmpdir(), 'tidemark-'));
  });
  afterAll(() => rm(profile, { recursive: true, force: true, maxRetries: 10 }));

  const page = (part: Part, name: string) => `${site.here}?alone=${part}&name=${name}`;
  /** The first report of a kind from now on. */
  const reported = <T extends AloneReport['type']>(type: T) =>
    new Promise<Extract<AloneReport, { type: T }>>((resolve) => {
      site.onReport = (report) => {
        const found = report as AloneReport;
        if (found.type === type) resolve(found as Extract<AloneReport, { type: T }>);
      };
    });

  test.runIf(seesProcesses && findBrowser(engine)?.driver === 'playwright')(
    'a tab that is killed right after a commit loses none, in either store',
    async () => {
      const times = full ? 20 : 8;
      const browser = await open(engine, { dir: join(profile, 'driven') });
      try {
        const reader = await browser.newTab(site.here);
        const stored = (kind: 'indexeddb' | 'local-storage') =>
          reader.eval(async (at) => (await window.tab.stored({ kind: at, name: 'crash' }, ['s'])).s, kind);
        for (let n = 1; n <= times; n++) {
          const tab = await browser.newTab(site.here);
          const victim = await processOf(browser, tab);
          const outcomes = await tab.eval((i) => window.tab.commitToBoth('crash', 's', i), n);
          process.kill(victim, 'SIGKILL');
          expect(outcomes).toEqual(['committed', 'committed']);
          expect(await stored('indexeddb')).toBe(n);
          await expect.poll(() => stored('local-storage')).toBe(n);
        }
        figures.push([engine, 'the tab', String(times), '0', '0']);
      } finally {
        await browser.close();
      }
    },
    180_000,
  );

  // WebKitGTK's driver ends with the first page that crashes, so that here the pages act by themselves.
  test.runIf(seesProcesses && findBrowser(engine)?.driver === 'webdriver')(
    'a tab that is killed right after a commit loses none, in either store',
    async () => {
      const times = full ? 20 : 5;
      const browsers = await plainBrowsers(engine, profile);
      /** Kills the tab that grows, once it has committed; @returns what it has. */
      const crash = ({ pid }: PlainBrowser) =>
        new Promise<number>((resolve) => {
          let looking = false;
          let grownBy: ReturnType<typeof watchGrowth> | undefined;
          let victim: number | undefined;
          site.onReport = (report) => {
            const found = report as AloneReport;
            if (found.type === 'stored') looking = true;
            if (found.type === 'committed' && victim) {
              process.kill(victim, 'SIGKILL');
              resolve(found.n);
            }
            if (found.type !== 'holds') return undefined;
            if (found.ballast === 0) grownBy = watchGrowth(() => descendantsOf(pid));
            else victim = looking ? grownBy?.(found.ballast) : undefined;
            return victim !== undefined;
          };
        });
      try {
        for (let i = 0; i < times; i++) {
          const browser = browsers.open(page('grows-then-commits', 'tab'), page('looks', 'tab'));
          const n = await crash(browser);
          expect((await reported('stored')).now[0]).toBe(n);
          await expect.poll(async () => (await reported('stored')).now).toEqual([n, n]);
          await browser.kill();
        }
        figures.push([engine, 'the tab', String(times), '0', '0']);
      } finally {
        browsers.close();
      }
    },
    180_000,
  );

  test.skipIf(process.platform === 'win32')(
    'a browser that is killed right after a commit loses none of IndexedDB',
    async () => {
      const times = full ? 20 : 5;
      const browsers = await plainBrowsers(engine, profile);
      const lost = { indexeddb: 0, 'local-storage': 0 };
      const visit = async () => {
        const report = reported('committed');
        const browser = browsers.open(page('commits', 'browser'));
        const { before, n, outcomes } = await report;
        await browser.kill();
        expect(outcomes).toEqual(['committed', 'committed']);
        return { before, n };
      };
      try {
        let committed = (await visit()).n;
        for (let i = 0; i < times; i++) {
          const { before, n } = await visit();
          expect(before[0]).toBe(committed);
          // Nothing that was not committed.
          expect(before[1]).toBeLessThanOrEqual(committed);
          if (before[1] !== committed) lost['local-storage']++;
          committed = n;
        }
        figures.push([engine, 'the browser', String(times), ...Object.values(lost).map(String)]);
      } finally {
        browsers.close();
      }
    },
    240_000,
  );
});
