import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PreviewServer } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TidemarkSync } from '../../demo/sync/main.ts';
import { findBrowser, wantedEngines } from '../browsers/find.js';
import { processOf, seesProcesses } from '../browsers/processes.ts';
import { type Browser, type Tab, open } from '../browsers/tabs.ts';
import { mulberry32 } from '../random.ts';
import { sendSignal } from '../send-signal.ts';
import { serveSite } from './site.ts';

declare const tidemarkSync: TidemarkSync;

const kills = process.env.FULL ? { tabs: 50, browsers: 5 } : { tabs: 6, browsers: 2 };
/** Changes a second: so slow that the kills are over before the pull is. */
const rate = 500;
/** How many changes are pulled from one kill to the next, about. */
const step = 8000 / (kills.tabs + kills.browsers);

let server: PreviewServer;
let origin: string;
beforeAll(async () => {
  ({ server, origin } = await serveSite());
});
afterAll(() => server.close());

describe.each(wantedEngines())('the offline-first page in %s', (engine) => {
  const feed = `e2e-${engine}-${Date.now()}`;
  const page = (query = '') => `${origin}/sync/?feed=${feed}${query}`;

  /** What a tab finds stored: as far as its offset, each change is applied once. @returns that offset */
  async function checkStored(tab: Tab, of = feed): Promise<number> {
    const { offset, counters, ships } = await tab.eval(readStored, `tidemark-sync-${of}`);
    const changes = counters.find(([name]) => name === 'changes')?.[1] ?? 0;
    const expected: unknown = await (await fetch(`${origin}/changes/book?feed=${of}&at=${offset}`)).json();
    // As values: a driver may bring an object's fields in another order.
    expect({ changes, book: { counters, ships } }).toEqual({ changes: offset, book: expected });
    return offset;
  }

  test('shows in two tabs what one of them pulls, stops while it is offline, and goes on', async () => {
    const browser = await open(engine);
    try {
      const both = `two-tabs-${feed}`;
      const address = `${origin}/sync/?feed=${both}&rate=20000`;
      const [first, second] = [await browser.newTab(address), await browser.newTab(address)];
      for (const tab of [first, second]) await expect.poll(() => changesShown(tab)).toBeGreaterThan(100);
      await click(second, 'offline');
      for (const tab of [first, second]) await expect.poll(() => textOf(tab, 'connection')).toBe('Offline');
      for (const tab of [first, second]) await expect.poll(() => roleOf(tab)).toBe('none');
      await click(second, 'add');
      await expect.poll(() => textOf(first, 'server-changes')).toBe('10,100');
      await expect.poll(() => textOf(first, 'verdict')).toMatch(/^[\d,]+ changes to pull\.$/);
      await click(first, 'offline');
      for (const tab of [first, second]) await ends(tab, 10_100);

      // Pulled anew, counters that are added to would be twice as high.
      const { epoch } = await progress(second);
      await click(first, 'restart');
      for (const tab of [first, second])
        await expect.poll(async () => (await progress(tab)).epoch).toBeGreaterThan(epoch);
      for (const tab of [first, second]) await ends(tab, 10_100);
      expect(await checkStored(second, both)).toBe(10_100);
    } finally {
      await browser.close();
    }
  });

  test.runIf(seesProcesses && findBrowser(engine)?.driver === 'playwright')(
    `applies every change exactly once while ${kills.tabs} tabs and ${kills.browsers} browsers are killed`,
    async () => {
      const profile = await mkdtemp(join(tmpdir(), 'tidemark-'));
      let browser: Browser | undefined;
      let done = 0;
      const killed = { tabs: 0, browsers: 0 };
      const random = mulberry32(Number(process.env.SEED ?? 20_260_101));
      /** At any place of a batch, and of a page. */
      const goal = () => Math.floor(step * (0.2 + random() * 0.8));
      /** Two tabs at work, of which one waits for the other. @returns them and their processes */
      const twoTabs = async (at: Browser) => {
        const tabs: { tab: Tab; pid: number }[] = [];
        for (let i = 0; i < 2; i++) {
          const tab = await at.newTab(page(`&rate=${rate}&offline`));
          await loaded(tab);
          tabs.push({ tab, pid: await processOf(at, tab) });
        }
        const [first] = tabs;
        if (first) done = await checkStored(first.tab);
        if (first) await goOnline(first.tab);
        return tabs;
      };
      /** @returns which of the tabs pulls, once it is further than it was. */
      const puller = async (tabs: readonly { tab: Tab; pid: number }[], further: number) => {
        let found: { tab: Tab; pid: number } | undefined;
        const from = done;
        const looks = async () => {
          for (const each of tabs) {
            const { role, at } = await progress(each.tab);
            if (role !== 'reader' || at < from + further) continue;
            found = each;
            done = at;
          }
          return found !== undefined;
        };
        await expect.poll(looks, { interval: 1 }).toBe(true);
        expect(done, 'a kill in the middle of the pull').toBeLessThan(10_000);
        return found ?? { pid: 0 };
      };
      try {
        browser = await open(engine, { dir: profile });
        while (killed.tabs < kills.tabs) {
          let tabs = await twoTabs(browser);
          for (let i = 0; i < 2; i++) {
            const { pid } = await puller(tabs, goal());
            process.kill(pid, 'SIGKILL');
            killed.tabs++;
            tabs = tabs.filter((each) => each.pid !== pid);
          }
          if (Math.floor((killed.tabs / kills.tabs) * kills.browsers) <= killed.browsers) continue;
          await puller(await twoTabs(browser), goal());
          // Some end with the ones before them.
          for (const pid of browser.processes()) sendSignal(pid, 'SIGKILL');
          killed.browsers++;
          await browser.close().catch(() => {});
          browser = await open(engine, { dir: profile });
        }
        expect(killed).toEqual(kills);

        const last = await browser.newTab(page('&rate=20000'));
        await goOnline(last);
        await ends(last, 10_000);
        expect(await checkStored(last)).toBe(10_000);
        console.log(
          `${engine}: 10,000 changes, ${killed.tabs} killed tabs, ${killed.browsers} killed browsers, ${done} changes in by then: skipped 0, doubled 0`,
        );
      } finally {
        await browser?.close().catch(() => {});
        await rm(profile, { recursive: true, force: true, maxRetries: 10 });
      }
    },
  );

  /** A tab knows all changes to be applied, and shows that its copy is the server's, byte for byte. */
  async function ends(tab: Tab, changes: number): Promise<void> {
    await expect.poll(async () => (await progress(tab)).at, { timeout: 120_000 }).toBe(changes);
    await expect
      .poll(() => tab.eval(readShown))
      .toEqual({
        changes: changes.toLocaleString('en'),
        verdict: 'Equal, byte for byte.',
        hash: expect.stringMatching(/^[0-9a-f]{64}$/),
        equal: true,
      });
  }
});

/** What a page shows at one moment: it shows another copy at any time. */
function readShown() {
  const text = (id: string) => document.getElementById(id)?.innerText.trim() ?? '';
  const hash = text('local-hash');
  return { changes: text('local-changes'), verdict: text('verdict'), hash, equal: hash === text('server-hash') };
}

/** Reads a page's database in one transaction, knowing nothing of the page's code. */
async function readStored(database: string) {
  const answer = <T>(request: IDBRequest<T>) =>
    new Promise<T>((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error('IndexedDB failed'));
    });
  const db = await answer(indexedDB.open(database));
  const tx = db.transaction(['tidemark-checkpoints', 'ships', 'counters']);
  const counters = tx.objectStore('counters');
  const [checkpoint, names, counts, ships] = await Promise.all([
    answer<{ rank: number } | undefined>(tx.objectStore('tidemark-checkpoints').get('changes')),
    answer(counters.getAllKeys()),
    answer<number[]>(counters.getAll()),
    answer<{ id: number; name: string; harbour: string; tons: number }[]>(tx.objectStore('ships').getAll()),
  ]);
  db.close();
  return {
    offset: checkpoint?.rank ?? 0,
    counters: names.map((name, i) => [String(name), counts[i] ?? 0] as const),
    ships: ships.map(({ id, name, harbour, tons }) => ({ id, name, harbour, tons })),
  };
}

/** Which part a tab plays, and how far it knows the changes to be applied. */
function progress(tab: Tab): Promise<{ role: string; at: number; epoch: number }> {
  return tab.eval(() => {
    const { role = 'none', committed, epoch } = tidemarkSync.pull.tracker.status(tidemarkSync.pull.source);
    return { role, at: committed?.kind === 'sequence' ? Number(committed.value) : 0, epoch };
  });
}

async function roleOf(tab: Tab): Promise<string> {
  return (await progress(tab)).role;
}

async function changesShown(tab: Tab): Promise<number> {
  return Number((await textOf(tab, 'local-changes')).replaceAll(/\D/g, '') || 0);
}

function textOf(tab: Tab, id: string): Promise<string> {
  return tab.eval((of) => document.getElementById(of)?.innerText.trim() ?? '', id);
}

function click(tab: Tab, id: string): Promise<void> {
  return tab.eval((of) => document.getElementById(of)?.click(), id);
}

/** What a killed browser knows of the switch is in localStorage, and may be old. */
async function goOnline(tab: Tab): Promise<void> {
  await loaded(tab);
  await tab.eval(() => {
    const offline = document.getElementById('offline');
    if (offline?.ariaChecked === 'true') offline.click();
  });
}

async function loaded(tab: Tab): Promise<void> {
  await expect.poll(() => tab.eval(() => 'tidemarkSync' in globalThis)).toBe(true);
}
