import type { PreviewServer } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TidemarkDemo } from '../../demo/main.ts';
import type { Control } from '../../demo/server/requests.ts';
import { wantedEngines } from '../browsers/find.js';
import { type Browser, type Tab, open } from '../browsers/tabs.ts';
import { mulberry32 } from '../random.ts';
import { serveSite } from './site.ts';

declare const tidemarkDemo: TidemarkDemo;

const reloads = process.env.FULL ? 20 : 4;
const drops = reloads;

let server: PreviewServer;
let origin: string;
const serve = async (port?: number): Promise<void> => {
  ({ server, origin } = await serveSite(port));
};
beforeAll(() => serve());
afterAll(() => server.close());

describe.each(wantedEngines())('the built demo in %s', (engine) => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await open(engine);
  });
  afterAll(() => browser.close());

  test(`skips no event over ${reloads} reloads, ${drops} drops and a server restart, at 200 events a second`, async () => {
    const seed = Number(process.env.SEED ?? 20_260_101);
    const random = mulberry32(seed);
    const feed = `e2e-${engine}-${Date.now()}`;
    const control = async (body: Control): Promise<void> => {
      const headers = { 'content-type': 'application/json' };
      const { ok } = await fetch(`${origin}/feed/control?feed=${feed}`, {
        method: 'POST',
        headers,
        body: JSON.stringify(body),
      });
      expect(ok).toBe(true);
    };

    const tab = await browser.newTab(`${origin}/?feed=${feed}&rate=200&store=indexeddb&strategy=auto`);
    const turns = [...Array<string>(reloads).fill('reload'), ...Array<string>(drops).fill('drop')];
    turns.splice(turns.length / 2, 0, 'restart the server');
    for (let i = turns.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [turns[i], turns[j]] = [turns[j] ?? '', turns[i] ?? ''];
    }
    await loaded(tab);
    await expect.poll(() => processed(tab)).toBeGreaterThan(0);
    const run = (await counted(tab))?.run;
    for (const turn of turns) {
      // At a random moment, told by the feed's own progress: so much further than now, and then.
      await loaded(tab);
      const goal = (await processed(tab)) + 1 + Math.floor(random() * 60);
      await expect.poll(() => processed(tab), { interval: 30 }).toBeGreaterThanOrEqual(goal);
      if (turn === 'reload') {
        await tab.eval(noteInFlight);
        await tab.reload();
      }
      if (turn === 'drop') await control({ action: 'drop' });
      if (turn === 'restart the server') {
        const { port } = new URL(origin);
        await server.close();
        await serve(Number(port));
      }
    }

    await loaded(tab);
    await control({ action: 'rate', rate: 0 });
    const { head } = (await (await fetch(`${origin}/feed/status?feed=${feed}`)).json()) as { head: number };
    await expect
      // A busy machine may be far behind by now, and takes its time to catch up.
      .poll(async () => (await counted(tab))?.last, { timeout: 300_000, interval: 500 })
      .toBe(head)
      .catch(async (error: unknown) => {
        console.log(await tab.eval(() => document.body.innerText));
        throw error;
      });
    const tally = await counted(tab);
    const inFlight = await tab.eval(() => Number(sessionStorage.getItem('in flight')));
    console.log(
      `${engine}: events 0 to ${head}, ${tally?.missing} skipped, ${tally?.repeated} seen twice of ${inFlight} in flight at ${reloads} reloads, seed ${seed}`,
    );
    expect(tally).toMatchObject({ run, first: 0, processed: head + 1, missing: 0, skipped: 0 });
    expect(tally?.repeated, 'events seen twice').toBeLessThanOrEqual(inFlight);
  });
});

async function loaded(tab: Tab): Promise<void> {
  await expect.poll(() => tab.eval(() => 'tidemarkDemo' in globalThis)).toBe(true);
}

/** Has the page add up, as it goes, the events that are processed and not yet known to be committed. */
function noteInFlight(): void {
  addEventListener('pagehide', () => {
    const { recorded, committed } = tidemarkDemo.tracker.status(tidemarkDemo.source);
    const [ahead, behind] = [recorded, committed].map((offset) =>
      offset?.kind === 'custom' ? Number(offset.value.split('_')[1]) : -1,
    );
    // And the one that the loop has at hand.
    const inFlight = (ahead ?? -1) - (behind ?? -1) + 1;
    sessionStorage.setItem('in flight', String(Number(sessionStorage.getItem('in flight')) + inFlight));
  });
}

/** What all pages so far have processed. */
function counted(tab: Tab) {
  return tab.eval(() => tidemarkDemo.tally('tidemark'));
}

async function processed(tab: Tab): Promise<number> {
  return (await counted(tab))?.processed ?? 0;
}
