import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { wantedEngines } from '../browsers/find.js';
import { seesProcesses } from '../browsers/processes.ts';
import { open } from '../browsers/tabs.ts';
import { sendSignal } from '../send-signal.ts';
import { type Site, openSite } from './site.ts';
import { printTable } from './table.ts';

/** How long a browser sleeps, in ms: what is shorter than ten seconds need not be noticed. */
const asleepMs = process.env.FULL ? 60_000 : 15_000;

/** A log of numbers, whose connections may die without a word: nothing comes of them any more, and they stay open. */
const log = { head: 0, alive: new Set<ServerResponse>() };
const figures: string[][] = [];
let site: Site;
beforeAll(async () => {
  site = await openSite((request, response) => {
    const from = Number(request.headers['last-event-id'] ?? log.head);
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(': hello\n\n');
    for (let n = from + 1; n <= log.head; n++) response.write(eventOf(n));
    log.alive.add(response);
    response.on('close', () => log.alive.delete(response));
  });
});
afterAll(async () => {
  await site.close();
  printTable(['a browser that slept', 'asleep', 'the first new event after'], figures);
});

function grow(): void {
  log.head++;
  for (const response of log.alive) response.write(eventOf(log.head));
}

const eventOf = (n: number): string => `id: ${n}\ndata: ${n}\n\n`;

describe.each(wantedEngines())('in %s', (engine) => {
  test.runIf(seesProcesses)(
    'a page that slept while its connection died reads on as soon as it is awake',
    async () => {
      log.head = 0;
      const browser = await open(engine);
      let pids = browser.processes();
      const send = (name: 'SIGSTOP' | 'SIGCONT'): void => {
        for (const pid of pids) sendSignal(pid, name);
      };
      try {
        const tab = await browser.newTab(site.here);
        const found = () => tab.eval(() => window.awake.found());
        await tab.eval((url) => window.awake.start(url), `${site.here}feed`);
        await expect.poll(() => log.alive.size).toBe(1);
        for (let n = 1; n <= 3; n++) grow();
        await expect.poll(async () => (await found()).seen).toEqual([1, 2, 3]);
        pids = browser.processes();
        send('SIGSTOP');
        log.alive.clear();
        grow();
        // Sleep is what is tested.
        await sleep(asleepMs);
        send('SIGCONT');
        const woken = performance.now();
        await expect.poll(async () => (await found()).seen, { interval: 20 }).toEqual([1, 2, 3, 4]);
        figures.push([engine, `${asleepMs / 1000} s`, `${(performance.now() - woken).toFixed(0)} ms`]);
        expect((await found()).reasons).toContain('asleep');
        grow();
        await expect.poll(async () => (await found()).seen).toEqual([1, 2, 3, 4, 5]);
      } finally {
        send('SIGCONT');
        await browser.close();
      }
    },
    asleepMs + 120_000,
  );
});
