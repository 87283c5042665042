import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { MemoryLog, serve } from 'tidemark/serve';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { wantedEngines } from '../browsers/find.js';
import { type Browser, type Tab, open } from '../browsers/tabs.ts';
import { listen } from '../listen.ts';
import { listenerOf } from '../unit/serve/listener.ts';
import { bundle, readBlocks } from './blocks.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/why.md'), 'utf8');
const block = readBlocks().find(({ page: at, place }) => at === 'docs/why.md' && place === 'lanes');

/** The three lanes as the page shows them: each begins with a comment. */
const lanes = (block?.code ?? '').split(/^\/\/ .*$/m).slice(1);
const names = ['plain', 'cursor', 'tidemark'] as const;

/** What each lane measured, by the row of the table. */
const measured = new Map<string, number[]>();
const rows = [...page.matchAll(/^\| (?<what>[A-Z][^|]*?) +\| +(?<cells>\d[\d |]*)\|$/gm)].map(({ groups }) => ({
  what: groups?.what ?? '',
  cells: (groups?.cells ?? '').split('|').map(Number),
}));
const note = (what: RegExp, number: number): void => {
  const row = rows.find((candidate) => what.test(candidate.what))?.what ?? String(what);
  measured.set(row, [...(measured.get(row) ?? []), number]);
};

let browser: Browser;
let origin: string;
let log: MemoryLog<number>;
let handler: ReturnType<typeof serve<number>>;
let code: string;
let refusals = 0;
let connections = 0;

const site = createServer((request, response) => {
  const { url = '/' } = request;
  if (url === '/ping') return response.end();
  if (!url.startsWith('/orders')) return response.writeHead(200, { 'content-type': 'text/html' }).end(code);
  if (refusals > 0) {
    refusals--;
    return response.writeHead(503).end();
  }
  connections++;
  response.on('close', () => connections--);
  return listenerOf(handler)(request, response);
});

beforeAll(async () => {
  origin = await listen(site);
});
afterAll(() => {
  site.close();
  site.closeAllConnections();
});

describe.each(names.map((name, i) => ({ name, lane: lanes[i] ?? '' })))('$name', ({ name, lane }) => {
  beforeAll(async () => {
    // What the lanes leave out: the work, which is noted when it is done, and the tracker.
    const file = join(import.meta.dirname, '.blocks', `why-${name}.mjs`);
    const work = `const work = async (data) => {
        if (data === localStorage.getItem('stuck')) await new Promise(() => {});
        localStorage.setItem('done', (localStorage.getItem('done') ?? '') + data + ' ');
      };`;
    const tracker = `import { OffsetTracker, resume, sse } from 'tidemark';
      import { IndexedDBOffsetStore } from 'tidemark/indexeddb';
      const tracker = window.tracker = new OffsetTracker(new IndexedDBOffsetStore());`;
    const watched = `globalThis.EventSource = class extends EventSource {
        constructor(url) { super(url); globalThis.source = this; }
      };`;
    writeFileSync(file, `${name === 'tidemark' ? tracker : ''}\n${watched}\n${work}\n${lane}`);
    code = `<!doctype html><title>${name}</title><script type="module">${await bundle(file, 'browser')}</script>`;
  });
  beforeEach(async () => {
    browser = await open(wantedEngines()[0] ?? 'chromium');
    log = new MemoryLog();
    handler = serve(log.feed, { retryMs: 10 });
    refusals = 0;
    for (let n = 1; n <= 50; n++) log.append(n);
    return async () => {
      await browser.close();
      site.closeAllConnections();
    };
  });

  const done = async (tab: Tab): Promise<number[]> => {
    const text = await tab.eval(() => localStorage.getItem('done') ?? '');
    return text.split(' ').filter(Boolean).map(Number);
  };
  const until = async (tab: Tab, n: number): Promise<void> => {
    await expect.poll(() => done(tab)).toContain(n);
  };
  /** What was processed is also stored. */
  const settled = async (tab: Tab): Promise<void> => {
    type Traced = typeof globalThis & { tracker?: import('tidemark').OffsetTracker };
    const isPending = (): Promise<boolean> =>
      tab.eval(() => (globalThis as Traced).tracker?.status('orders').pending !== undefined);
    await expect.poll(isPending).toBe(false);
  };

  test('a reload', async () => {
    const tab = await browser.newTab(origin);
    await until(tab, 50);
    await settled(tab);
    await tab.reload();
    log.append(51);
    await until(tab, 51);
    const all = await done(tab);
    note(/^A reload after 50/, all.length - new Set(all).size);
  });

  test('a reload while an event is being processed', async () => {
    const tab = await browser.newTab(`${origin}/ping`);
    await tab.eval(() => localStorage.setItem('stuck', '10'));
    await tab.goto(origin);
    await until(tab, 9);
    if (name !== 'tidemark') await until(tab, 50);
    await settled(tab);
    await tab.eval(() => localStorage.removeItem('stuck'));
    await tab.reload();
    log.append(51);
    await until(tab, 51);
    const all = new Set(await done(tab));
    note(/^A reload while/, 51 - all.size);
  });

  test('a drop and one 503', async () => {
    const tab = await browser.newTab(origin);
    await until(tab, 50);
    await settled(tab);
    refusals = 1;
    site.closeAllConnections();
    await expect.poll(() => refusals).toBe(0);
    for (let n = 51; n <= 100; n++) log.append(n);
    type Watched = typeof globalThis & { source?: EventSource };
    if (name === 'tidemark') await until(tab, 100);
    else await expect.poll(() => tab.eval(() => (globalThis as Watched).source?.readyState)).toBe(2);
    note(/^A drop/, 100 - new Set(await done(tab)).size);
  });

  test('six tabs', async () => {
    const tabs: Tab[] = [];
    for (let n = 0; n < 6; n++) tabs.push(await browser.newTab(origin));
    const wanted = name === 'tidemark' ? 1 : 6;
    await expect.poll(() => connections).toBe(wanted);
    note(/^Six tabs/, connections);
    const [tab, other] = tabs;
    if (!tab || !other) throw new Error('no tabs');
    type Answered = typeof globalThis & { answered?: boolean };
    const answered = (): Promise<boolean | undefined> => tab.eval(() => (globalThis as Answered).answered);
    await tab.eval(() => void fetch('/ping').then(() => ((globalThis as Answered).answered = true)));
    if (name !== 'tidemark') {
      expect(await answered()).toBeUndefined();
      await other.close();
    }
    await expect.poll(answered).toBe(true);
  });
});

test('the page says what was measured', () => {
  expect(rows).toHaveLength(4);
  expect(rows.map(({ what, cells }) => [what, cells])).toEqual(rows.map(({ what }) => [what, measured.get(what)]));
});
