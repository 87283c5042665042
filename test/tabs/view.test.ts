import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Chromium, openChromium } from '../browsers/chromium.ts';
import { type Engine, wantedEngines } from '../browsers/find.js';
import { processOf, seesProcesses } from '../browsers/processes.ts';
import { type Browser, type Tab, open } from '../browsers/tabs.ts';
import { mulberry32 } from '../random.ts';
import type { Viewing } from './page/view.ts';
import { type Site, openSite } from './site.ts';

const { VIEW_DEATHS = '8', VIEW_TABS = '4', VIEW_SEED = String(Date.now() % 2 ** 32) } = process.env;
const deaths = Number(VIEW_DEATHS);
const tabs = Number(VIEW_TABS);

/** One log a name, as server-sent events with ids that have no order; counts its connections. */
class Logs {
  readonly #heads = new Map<string, number>();
  readonly #open = new Map<string, Set<ServerResponse>>();
  readonly most = new Map<string, number>();

  handle(request: IncomingMessage, response: ServerResponse): void {
    const feed = new URL(request.url ?? '/', 'http://localhost').searchParams.get('feed') ?? '';
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    const from = Number(String(request.headers['last-event-id'] ?? 'x0').slice(1));
    response.write(': hello\n\n');
    for (let n = from + 1; n <= this.head(feed); n++) response.write(eventOf(n));
    const connections = this.#open.get(feed) ?? new Set();
    this.#open.set(feed, connections.add(response));
    this.most.set(feed, Math.max(this.most.get(feed) ?? 0, connections.size));
    response.on('close', () => connections.delete(response));
  }

  head(feed: string): number {
    return this.#heads.get(feed) ?? 0;
  }

  grow(feed: string): void {
    const n = this.head(feed) + 1;
    this.#heads.set(feed, n);
    for (const response of this.#open.get(feed) ?? []) response.write(eventOf(n));
  }

  open(feed: string): number {
    return this.#open.get(feed)?.size ?? 0;
  }
}

function eventOf(n: number): string {
  return `id: x${n}\ndata: {"n":${n}}\n\n`;
}

/** What becomes of a tab. The last three it outlives, with what it has seen. */
const fates = ['close', 'reload', 'crash', 'leave', 'freeze', 'stop', 'hang'] as const;
type Fate = (typeof fates)[number];
const outlived: ReadonlySet<Fate> = new Set(['freeze', 'stop', 'hang']);
const impossible: Record<Engine, readonly Fate[]> = {
  chromium: seesProcesses ? [] : ['crash', 'stop'],
  firefox: seesProcesses ? ['freeze'] : ['freeze', 'crash', 'stop'],
  // WebKitGTK's driver ends with the first page that crashes.
  webkit: seesProcesses ? ['freeze', 'crash'] : ['freeze', 'crash', 'stop'],
};

interface Member {
  readonly tab: Tab;
  /** Whether it is there, in one piece, from the first event to the last: one tab is. */
  readonly isWitness: boolean;
}

let logs: Logs;
let site: Site;
beforeAll(async () => {
  logs = new Logs();
  site = await openSite((request, response) => logs.handle(request, response));
});
afterAll(() => site.close());

describe.each(wantedEngines())('in %s', (engine) => {
  let browser: Browser;
  let chromium: Chromium | undefined;
  const feed = `view-${engine}`;
  beforeAll(async () => {
    chromium = engine === 'chromium' ? await openChromium() : undefined;
    browser = chromium ?? (await open(engine));
    // WebDriver's session ends with the last tab.
    await browser.newTab(site.here);
  });
  afterAll(() => browser?.close());

  const join = async (name: string, isWitness = false): Promise<Member> => {
    const tab = await browser.newTab(`${site.here}?view=${name}`);
    return { tab, isWitness };
  };
  const stateOf = ({ tab }: Member): Promise<Viewing> => tab.eval(() => window.viewing.state());

  test(
    'every tab shows every event once and in order, whatever becomes of the tab that reads',
    async () => {
      const random = mulberry32(Number(VIEW_SEED));
      const members: Member[] = [];
      while (members.length < tabs) members.push(await join(feed, members.length === 0));
      for (const member of members) {
        await expect.poll(async () => (await stateOf(member)).role).toMatch(/reader|waiting/);
        await expect.poll(async () => (await stateOf(member)).states).toContain('open');
      }
      const growing = setInterval(() => logs.grow(feed), 10);
      const counts: Partial<Record<Fate, number>> = {};
      const possible = fates.filter((fate) => !impossible[engine].includes(fate));
      const mild = possible.filter((fate) => outlived.has(fate));
      try {
        for (let n = 0; n < deaths; n++) {
          const roles = await Promise.all(members.map(async (member) => (await stateOf(member)).role));
          // Mostly the tab that reads; now and then one that waits.
          const at = roles.indexOf(random() < 0.75 ? 'reader' : 'waiting');
          const member = members[Math.max(0, at)];
          if (!member) continue;
          const kinds = member.isWitness ? mild : possible;
          const fate = kinds[Math.floor(random() * kinds.length)] ?? 'hang';
          await meet(fate, member);
          counts[fate] = (counts[fate] ?? 0) + 1;
          if (fate === 'close' || fate === 'crash') {
            members.splice(members.indexOf(member), 1);
            members.push(await join(feed));
          }
          await sleep(random() * 300);
        }
      } finally {
        clearInterval(growing);
      }
      const head = logs.head(feed);
      for (const member of members) {
        await expect.poll(async () => (await stateOf(member)).seen.at(-1) ?? head).toBe(head);
        const { began, seen, warnings, error } = await stateOf(member);
        const from = member.isWitness ? 1 : (seen[0] ?? head + 1);
        expect(from).toBeLessThanOrEqual((began ?? 0) + 1);
        expect(seen).toEqual(Array.from({ length: head - from + 1 }, (_, n) => from + n));
        // WebDriver has null for undefined.
        expect([warnings, error ?? undefined]).toEqual([[], undefined]);
      }
      await expect.poll(() => logs.open(feed)).toBe(1);
      // As many connections as tabs would leave none for this.
      const [first] = members;
      expect(await first?.tab.eval(() => fetch('/plain').then(({ status }) => status))).toBe(200);
      const most = logs.most.get(feed) ?? 0;
      const figures = `${head} events, ${tabs} tabs, at most ${most} connections`;
      console.log(`view in ${engine}, seed ${VIEW_SEED}: ${figures}; ${JSON.stringify(counts)}`);
      // A tab that hangs cannot close its connection, while another reads and a third one catches up.
      expect(most).toBeLessThanOrEqual(3);
    },
    60_000 + deaths * 10_000,
  );

  async function meet(fate: Fate, { tab }: Member): Promise<void> {
    const findProcess = (): Promise<number> => processOf(browser, tab).catch(() => 0);
    switch (fate) {
      case 'close':
        return tab.close();
      case 'crash': {
        const pid = await findProcess();
        if (pid > 0) process.kill(pid, 'SIGKILL');
        else await tab.close();
        return;
      }
      case 'reload':
        return tab.reload();
      case 'freeze':
        await chromium?.freeze(tab);
        await sleep(1500);
        return chromium?.thaw(tab);
      case 'stop': {
        const pid = await findProcess();
        if (pid === 0) return;
        process.kill(pid, 'SIGSTOP');
        await sleep(1500);
        process.kill(pid, 'SIGCONT');
        return;
      }
      case 'hang':
        return tab.eval(() => {
          for (const until = performance.now() + 2000; performance.now() < until;);
        });
      case 'leave': {
        const { href } = await tab.eval(() => ({ href: location.href }));
        await tab.goto(`${site.here}next`);
        // Drivers wait for a page to load, which one from the cache does not.
        await tab.eval(() => void setTimeout(() => history.back()));
        await expect.poll(() => tab.eval(() => location.href).catch(() => undefined)).toBe(href);
      }
    }
  }

  test('an event is shown in another tab about as soon as a bare BroadcastChannel brings it', async () => {
    const name = `${feed}-timed`;
    const url = `${site.here}?view=${name}&timed`;
    const reader = await browser.newTab(url);
    await expect.poll(() => reader.eval(() => window.viewing.state().role)).toBe('reader');
    const other = await browser.newTab(url);
    await expect.poll(() => other.eval(() => window.viewing.state().states)).toContain('open');
    const growing = setInterval(() => logs.grow(name), 5);
    await expect.poll(() => other.eval(() => window.viewing.latencies().relay.length)).toBeGreaterThan(400);
    clearInterval(growing);
    const { relay, bare } = await other.eval(() => window.viewing.latencies());
    const median = (times: readonly number[]) => [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? NaN;
    console.log(
      `latency in ${engine}: ${median(relay).toFixed(2)} ms, bare ${median(bare).toFixed(2)} ms (${relay.length})`,
    );
    await reader.close();
    await other.close();
  });
});
