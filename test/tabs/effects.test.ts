import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findBrowser, wantedEngines } from '../browsers/find.js';
import { processOf, seesProcesses } from '../browsers/processes.ts';
import { open } from '../browsers/tabs.ts';
import { type Site, openSite } from './site.ts';

const times = process.env.FULL ? 50 : 8;

let site: Site;
beforeAll(async () => {
  site = await openSite();
});
afterAll(() => site.close());

describe.each(wantedEngines())('in %s', (engine) => {
  test.runIf(seesProcesses && findBrowser(engine)?.driver === 'playwright')(
    'effects are applied exactly once while tabs that race for them are killed',
    async () => {
      const browser = await open(engine);
      try {
        const reader = await browser.newTab(site.here);
        const applied = () => reader.eval(() => window.effects.applied('effects'));
        /** Begins to apply in a tab of its own. @returns a function that kills it once it has got on */
        const start = async () => {
          const tab = await browser.newTab(site.here);
          const victim = await processOf(browser, tab);
          await tab.eval(() => void window.effects.apply('effects'));
          return async (further: number) => {
            const { count } = await applied();
            const gotOn = async () => {
              const failure = await tab.eval(() => window.effects.failure);
              if (failure) throw new Error(`the tab has stopped: ${failure}`);
              return (await applied()).count > count + further;
            };
            await expect.poll(gotOn, { interval: 1 }).toBe(true);
            process.kill(victim, 'SIGKILL');
          };
        };
        for (let n = 1; n <= times; n++) {
          const killers = [await start(), await start()];
          for (const [index, kill] of killers.entries()) await kill(5 * n + index);
          const { offset, sum, count } = await applied();
          expect({ sum, count }).toEqual({ sum: (offset * (offset + 1)) / 2, count: offset });
        }
      } finally {
        await browser.close();
      }
    },
    30_000 + times * 10_000,
  );
});
