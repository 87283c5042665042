import type { IDBPDatabase } from 'idb';
import { type Lanes, applyAlone } from '../database.ts';
import { process } from '../process.ts';
import type { Reading } from '../server/readings.ts';
import { count } from '../tally.ts';
import { readPlain } from './event-source.ts';

/** 'full': as many tabs as may hold a connection each do so already. */
export type PlainState = 'connecting' | 'open' | 'retrying' | 'closed' | 'full';

export interface PlainObserver {
  state(state: PlainState): void;
  shown(reading: Reading): void;
  /** The first event since the page was loaded, or since the connection was lost. */
  began(n: number): void;
}

/** Over HTTP/1.1 a browser has six connections to a server, and the other lane and its page need some. */
const mostTabs = 3;

/** The lane without tidemark: an EventSource, whose events are counted like the other's. */
export class PlainLane {
  readonly key: string;
  state: PlainState = 'connecting';
  /** The last event that came to this page. */
  position: number | undefined;
  /** When that was, by performance.now(). */
  heardAt: number | undefined;
  readonly #url: string;
  readonly #db: IDBPDatabase<Lanes>;
  readonly #observer: PlainObserver;
  #feed: EventSource | undefined;
  #isAwaited = true;
  /** Processed, and not counted yet. */
  #uncounted: Reading[] = [];
  #counting = false;

  constructor(feed: string, url: string, db: IDBPDatabase<Lanes>, observer: PlainObserver) {
    this.key = `${feed} plain`;
    this.#url = url;
    this.#db = db;
    this.#observer = observer;
  }

  /** Connects, unless too many tabs do. To be called again while the state is 'full'. */
  async start(): Promise<void> {
    if (this.#feed) return;
    if (!navigator.locks) return this.#open();
    for (let slot = 0; slot < mostTabs && !this.#feed; slot++) {
      await new Promise<void>((resolve) => {
        void navigator.locks.request(`tidemark-demo-plain/${slot}`, { ifAvailable: true }, (lock) => {
          if (lock && !this.#feed) this.#open();
          resolve();
          // Held for as long as the page lives.
          return lock ? new Promise(() => {}) : undefined;
        });
      });
    }
    if (!this.#feed) this.#tell('full');
  }

  #open(): void {
    const feed = (this.#feed = readPlain({ url: this.#url, keep: (reading) => this.#keep(reading) }));
    feed.addEventListener('open', () => this.#tell('open'));
    feed.addEventListener('error', () => {
      this.#isAwaited = true;
      this.#tell(feed.readyState === EventSource.CLOSED ? 'closed' : 'retrying');
    });
    this.#tell('connecting');
  }

  #tell(state: PlainState): void {
    if (state === this.state) return;
    this.state = state;
    this.#observer.state(state);
  }

  #keep(reading: Reading): void {
    const { n } = reading;
    this.heardAt = performance.now();
    if (this.#isAwaited) this.#observer.began(n);
    this.#isAwaited = false;
    this.position = n;
    this.#observer.shown(reading);
    process(reading);
    this.#uncounted.push(reading);
    if (!this.#counting) void this.#count();
  }

  /** All that came since goes into one transaction: a reload brings thousands of events at once. */
  async #count(): Promise<void> {
    this.#counting = true;
    try {
      while (this.#uncounted.length > 0) {
        const readings = this.#uncounted.splice(0);
        const generation = readings.at(-1)?.generation ?? '';
        const numbers = readings.filter((reading) => reading.generation === generation).map(({ n }) => n);
        await applyAlone(this.#db, (tx) => count(tx, { lane: this.key, generation, numbers }));
      }
    } finally {
      this.#counting = false;
    }
  }
}
