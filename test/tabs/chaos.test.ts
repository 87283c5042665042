import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FeedStatus, FeedServer } from '../../demo/server/http.ts';
import type { Control } from '../../demo/server/requests.ts';
import { type Chromium, openChromium } from '../browsers/chromium.ts';
import { type Engine, wantedEngines } from '../browsers/find.js';
import { processOf, seesProcesses } from '../browsers/processes.ts';
import { type Browser, type Tab, open } from '../browsers/tabs.ts';
import { Ledger } from './ledger.ts';
import type { ChaosReport } from './page/chaos.ts';
import { type Site, openSite } from './site.ts';
import { mulberry32 } from '../random.ts';

const { CHAOS_SECONDS, CHAOS_SEEDS = '1', CHAOS_SEED = String(Date.now() % 2 ** 32) } = process.env;
const seeds = Array.from({ length: Number(CHAOS_SEEDS) }, (_, i) => (Number(CHAOS_SEED) + i) % 2 ** 32);
const maxTabs = 6;
/** Firefox and WebKit take longer for all of it. */
const duration: Record<Engine, number> = { chromium: 60, firefox: 20, webkit: 20 };
/** Events a second: not more than a tab of Firefox, which reports each to the server, catches up with in time. */
const rate = 40;

/** What happens, and how often beside the others. */
const weights = {
  open: 5,
  close: 2,
  crash: 3,
  freeze: 2,
  hang: 2,
  reload: 3,
  reset: 0.5,
  drop: 2,
  refuse: 1,
};
type Kind = keyof typeof weights;

/** What a driver cannot have happen: WebKitGTK's ends with the first page that crashes, and only Chromium's freezes tabs. */
const impossible: Record<Engine, readonly Kind[]> = {
  chromium: seesProcesses ? [] : ['crash'],
  firefox: seesProcesses ? ['freeze'] : ['freeze', 'crash'],
  webkit: ['freeze', 'crash'],
};

let feeds: FeedServer;
let site: Site;
beforeAll(async () => {
  feeds = new FeedServer();
  site = await openSite((request, response) => feeds.handle(request, response));
});
afterAll(async () => {
  feeds.close();
  await site.close();
});

describe.each(wantedEngines())('in %s', (engine) => {
  const seconds = Number(CHAOS_SECONDS ?? duration[engine]);
  /** By then the tabs have caught up, even on a machine that is busy with something else; in ms. */
  const patience = seconds * 2000 + 100_000;

  test.each(seeds)(
    'whatever becomes of six tabs that read in turn, none skips an event, and no checkpoint goes back (seed %i)',
    async (seed) => {
      const chromium = engine === 'chromium' ? await openChromium() : undefined;
      const browser = chromium ?? (await open(engine));
      const chaos = new Chaos(browser, chromium, `chaos-${seed}`, mulberry32(seed));
      try {
        await chaos.begin();
        await chaos.rage(seconds * 1000);
        const head = await chaos.settle(patience);
        expect(chaos.ledger.verdict(head)).toEqual([]);
      } finally {
        const { events, repeats, takeovers, looks, wrongs } = chaos.ledger;
        const figures = `${events} events, ${repeats} repeated, ${takeovers} takeovers, ${looks} looks`;
        console.log(`chaos in ${engine}, seed ${seed}: ${figures}; ${chaos.done}${wrongs.length ? ': FAILED' : ''}`);
        await browser.close();
      }
    },
    seconds * 1000 + patience + 120_000,
  );
});

/** A tab that takes part. */
interface Member {
  readonly name: string;
  readonly tab: Tab;
  /** Its process; 0 where it cannot be told. */
  readonly pid: number;
  /** Whether something that takes a while happens to it. */
  busy: boolean;
  dead: boolean;
  /** Resolves when its process has ended; what it was asked for may never be answered then. */
  readonly end: Promise<void>;
  die(): void;
}

class Chaos {
  readonly ledger: Ledger;
  readonly #browser: Browser;
  readonly #chromium: Chromium | undefined;
  readonly #feed: string;
  readonly #random: () => number;
  readonly #counts = new Map<Kind, number>();
  readonly #underWay = new Set<Promise<void>>();
  #members: Member[] = [];
  #opened = 0;

  constructor(browser: Browser, chromium: Chromium | undefined, feed: string, random: () => number) {
    this.#browser = browser;
    this.#chromium = chromium;
    this.#feed = feed;
    this.#random = random;
    this.ledger = new Ledger(feed);
    site.onReport = (report) => this.ledger.take(report as ChaosReport);
  }

  get #crashes(): boolean {
    return !impossible[this.#browser.engine].includes('crash');
  }

  get done(): string {
    return [...this.#counts].map(([kind, count]) => `${kind} ${count}`).join(', ');
  }

  async begin(): Promise<void> {
    await this.#control({ action: 'retention', events: 1_000_000 });
    await this.#control({ action: 'rate', rate: 0 });
    await this.#browser.newTab(this.#url('observer'));
    while (this.#members.length < maxTabs) await this.#open();
    await this.#control({ action: 'rate', rate });
  }

  async rage(ms: number): Promise<void> {
    for (const end = performance.now() + ms; performance.now() < end; await sleep(50 + this.#random() * 450)) {
      const kind = this.#choose();
      if (await this.#act(kind)) this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    }
  }

  /** Lets what is under way end, and a tab read all there is. @returns the last event of the feed */
  async settle(patience: number): Promise<number> {
    const { head } = await this.#control({ action: 'rate', rate: 0 });
    await Promise.all(this.#underWay);
    await this.#open();
    const settled = () => this.ledger.stored.n === head;
    for (const end = performance.now() + patience; performance.now() < end && !settled();) await sleep(50);
    return head;
  }

  #choose(): Kind {
    const kinds = (Object.entries(weights) as [Kind, number][]).filter(
      ([kind]) => !impossible[this.#browser.engine].includes(kind),
    );
    let left = this.#random() * kinds.reduce((sum, [, weight]) => sum + weight, 0);
    return kinds.find(([, weight]) => (left -= weight) < 0)?.[0] ?? 'open';
  }

  /** @returns false where that is not possible now */
  async #act(kind: Kind): Promise<boolean> {
    if (kind === 'drop') {
      await this.#control({ action: 'drop' });
      return true;
    }
    if (kind === 'refuse') {
      await this.#control({ action: 'unavailable', seconds: 1 });
      return true;
    }
    if (kind === 'open') {
      if (this.#members.length < maxTabs) await this.#open();
      else return false;
      return true;
    }
    const member = this.#pick(kind);
    if (!member) return false;
    const { name, tab, pid } = member;
    const stalledMs = this.#random() * 800;
    /** What is being processed as the page ends has not been, however often the tracker commits meanwhile. */
    const leave = async (end: () => Promise<void>) => {
      this.ledger.stall(name);
      await sleep(stalledMs);
      // Whoever ends it: the process may have died meanwhile.
      await Promise.race([end(), member.end]).finally(() => this.ledger.release(name));
    };
    switch (kind) {
      case 'close':
        this.#remove(member);
        this.#during(member, () => leave(() => tab.close()));
        break;
      case 'crash':
        this.#remove(member);
        this.#during(member, () =>
          leave(async () => {
            member.die();
            process.kill(pid, 'SIGKILL');
          }),
        );
        break;
      case 'freeze': {
        const frozenMs = 1200 + this.#random() * 1500;
        this.#during(member, async () => {
          await this.#chromium?.freeze(tab);
          await sleep(frozenMs);
          await this.#chromium?.thaw(tab);
        });
        break;
      }
      case 'hang':
        this.#during(member, () =>
          tab.eval(() => {
            for (const until = performance.now() + 1500; performance.now() < until;);
          }),
        );
        break;
      case 'reload':
        this.#during(member, () => leave(() => tab.reload()));
        break;
      case 'reset':
        this.#during(member, () => tab.eval(() => window.chaos.reset()));
    }
    return true;
  }

  /** Every other time the tab that reads, if it may be. */
  #pick(kind: Kind): Member | undefined {
    const [toReader, which] = [this.#random() < 0.5, this.#random()];
    if (this.#members.length < 2 && (kind === 'close' || kind === 'crash')) return undefined;
    // One that sleeps may crash; what else happens to it would wait until it is awake.
    const fit = this.#members.filter(({ busy, pid }) => (kind === 'crash' ? pid > 0 : !busy));
    const reader = fit.find(({ name }) => this.ledger.reader.startsWith(`${name}/`));
    return (toReader ? reader : undefined) ?? fit[Math.floor(which * fit.length)];
  }

  async #open(): Promise<void> {
    const name = `tab${++this.#opened}`;
    const tab = await this.#browser.newTab(this.#url(name));
    const pid = this.#crashes ? await processOf(this.#browser, tab).catch(() => 0) : 0;
    let ended = (): void => {};
    const end = new Promise<void>((resolve) => (ended = resolve));
    const member: Member = {
      name,
      tab,
      pid,
      busy: false,
      dead: false,
      end,
      die: () => {
        member.dead = true;
        this.#remove(member);
        ended();
      },
    };
    this.#members.push(member);
    // With the process of another, too.
    tab.page?.once('crash', () => member.die());
  }

  #remove(member: Member): void {
    this.#members = this.#members.filter((other) => other !== member);
  }

  /** Something that happens to a tab while others go on. */
  #during(member: Member, happen: () => Promise<void>): void {
    member.busy = true;
    const happening: Promise<void> = Promise.race([happen(), member.end])
      .catch((error: unknown) => {
        if (!member.dead) this.ledger.wrong(`${member.name}: ${error}`);
      })
      .finally(() => {
        member.busy = false;
        this.#underWay.delete(happening);
      });
    this.#underWay.add(happening);
  }

  #url(tab: string): string {
    return `${site.here}?chaos=${tab}&feed=${this.#feed}`;
  }

  async #control(control: Control): Promise<FeedStatus> {
    const response = await fetch(`${site.elsewhere}feed/control?feed=${this.#feed}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(control),
    });
    return (await response.json()) as FeedStatus;
  }
}
