import { setTimeout as sleep } from 'node:timers/promises';
import { type FeedStatus, FeedServer } from '../../demo/server/http.ts';
import type { Control } from '../../demo/server/requests.ts';
import { processOf, seesProcesses } from '../browsers/processes.ts';
import type { Browser, Tab } from '../browsers/tabs.ts';
import type { Where } from './page/stores.ts';
import type { Processed, ReaderState } from './page/reader.ts';
import { type Site, openSite } from './site.ts';

/** So much time no takeover needs, even on a machine that is busy with something else; in ms. */
const patience = 40_000;

/** An event as it was reported, and when, in ms on this process's clock. */
export interface Report extends Processed {
  readonly at: number;
}

/** A site whose pages read a feed, and what they report. */
export interface FeedSite extends Site {
  readonly log: readonly Report[];
}

export async function openFeedSite(): Promise<FeedSite> {
  const feeds = new FeedServer();
  const site = await openSite((request, response) => feeds.handle(request, response));
  const log: Report[] = [];
  site.onReport = (report) => log.push({ ...(report as Processed), at: performance.now() });
  return Object.assign(site, {
    log,
    close: ((close) => () => {
      feeds.close();
      return close();
    })(site.close),
  });
}

/** A tab that has joined those that want to read. */
export interface ReaderTab {
  readonly name: string;
  readonly tab: Tab;
  /** Its process, where it was asked for. */
  readonly pid: number;
  state(): Promise<ReaderState>;
}

/** The tabs of a browser that read one feed in turn. */
export class Readers {
  readonly kind: Where['kind'];
  readonly takeoverAfterMs: number;
  readonly #site: FeedSite;
  readonly #browser: Browser;
  readonly #feed: string;
  #tabs = 0;

  constructor(
    site: FeedSite,
    browser: Browser,
    feed: string,
    kind: Where['kind'] = 'indexeddb',
    takeoverAfterMs = 1000,
  ) {
    this.#site = site;
    this.#browser = browser;
    this.#feed = feed;
    this.kind = kind;
    this.takeoverAfterMs = takeoverAfterMs;
  }

  get reports(): Report[] {
    return this.#site.log.filter(({ feed }) => feed === this.#feed);
  }

  /** Opens a tab, which reads where nobody else does, and waits otherwise, as the last of so many. */
  async join({ waiting = 0, own = false, reports = true } = {}): Promise<ReaderTab> {
    const name = String.fromCharCode(65 + this.#tabs++);
    const tab = await this.#browser.newTab(this.#site.here);
    const pid = own && seesProcesses ? await processOf(this.#browser, tab) : 0;
    const joined = { name, tab, pid, state: () => tab.eval(() => window.reader.state()) };
    const { takeoverAfterMs } = this;
    const options = { kind: this.kind, feed: this.#feed, tab: name, takeoverAfterMs, reports };
    await tab.eval((reading) => window.reader.start(reading), options);
    if (waiting === 0) await this.isReader(joined);
    else await this.queues(joined, waiting);
    return joined;
  }

  async isReader({ name, state }: ReaderTab): Promise<void> {
    await until(`${name} reads`, async () => (await state()).role === 'reader');
  }

  async queues({ name, tab, state }: ReaderTab, waiting: number): Promise<void> {
    await until(`${name} waits as one of ${waiting}`, async () => {
      const queue = await tab.eval((feed) => window.reader.queue(feed), this.#feed);
      return queue === waiting && (await state()).role === 'waiting';
    });
  }

  /** Waits until all that there is has been committed, as no more comes. */
  async rest({ name, state }: ReaderTab): Promise<void> {
    const { head } = await this.#setRate(0);
    await until(`${name} has committed ${head}`, async () => (await state()).committed === head);
  }

  /** Events come again. */
  goOn(): Promise<unknown> {
    return this.#setRate(50);
  }

  #setRate(rate: number) {
    return this.#control({ action: 'rate', rate });
  }

  async #control(control: Control): Promise<FeedStatus> {
    const response = await fetch(`${this.#site.elsewhere}feed/control?feed=${this.#feed}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(control),
    });
    return (await response.json()) as FeedStatus;
  }

  /** Waits until a tab has processed some more events. */
  async reads({ name }: ReaderTab, events = 10): Promise<void> {
    const from = this.#by(name).length;
    await until(`${name} reads on`, () => this.#by(name).length >= from + events);
  }

  /** The first event that a tab processes from now on. */
  firstBy({ name }: ReaderTab): Promise<Report> {
    const from = this.#by(name).length;
    return until(`${name} takes over`, () => this.#by(name)[from]);
  }

  #by(name: string): Report[] {
    return this.reports.filter(({ tab }) => tab === name);
  }

  /**
   * How many events were processed again at each takeover.
   * @throws an Error where one was skipped, one processed again that was known to be committed, or two tabs read at once
   */
  repeated(): number[] {
    const turns = new Map<string, Report[]>();
    for (const report of this.reports) {
      const turn = `${report.tab}${report.opening}`;
      turns.set(turn, [...(turns.get(turn) ?? []), report]);
    }
    const repeated: number[] = [];
    // Here a tab may be given its turn before localStorage, or the message, brings the last that the other has committed.
    const late = this.#browser.engine === 'webkit' && this.kind === 'local-storage' ? 5 : 0;
    let before: readonly Report[] = [];
    for (const [name, turn] of turns) {
      const [first] = turn;
      if (!first) continue;
      const last = before.at(-1) ?? { n: -1, committed: -1 };
      const wrongs = [
        turn.some(({ n }, i) => n !== first.n + i) && 'does not read in order',
        first.n > last.n + 1 && `skips some after ${last.n}`,
        first.n <= last.committed - late && `begins at ${first.n} after ${last.committed} was committed`,
        // All that a reader can still finish once another has begun is the event at hand.
        before.filter(({ at }) => at > first.at).length > 1 && 'reads beside the one before',
      ].filter(Boolean);
      if (wrongs.length) throw new Error(`${name} ${wrongs.join(', ')}: ${JSON.stringify(turn.slice(0, 5))}`);
      if (before.length) repeated.push(last.n + 1 - first.n);
      before = turn;
    }
    return repeated;
  }
}

async function until<T>(what: string, look: () => T | Promise<T>): Promise<NonNullable<T>> {
  for (const end = performance.now() + patience; performance.now() < end; await sleep(10)) {
    const found = await look();
    if (found) return found;
  }
  throw new Error(`Not within ${patience} ms: ${what}.`);
}
