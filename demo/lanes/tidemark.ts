import type { IDBPDatabase } from 'idb';
import { Offset, OffsetTracker, type TrackerEvent, type FeedState, type FeedStateDetail } from 'tidemark';
import { type Effects, type Kept, type Lanes, applyAlone } from '../database.ts';
import { process } from '../process.ts';
import type { Reading } from '../server/readings.ts';
import type { Settings } from '../settings.ts';
import { count, list, readList } from '../tally.ts';
import { readAlone } from './alone.ts';
import { readAtLeastOnce } from './at-least-once.ts';
import { ownStore, stores, strategies } from './choices.ts';
import { readExactlyOnce } from './exactly-once.ts';
import type { Lines } from './lines.ts';

export interface TidemarkObserver {
  state(state: FeedState, detail: FeedStateDetail): void;
  /** Events that were shown before the page was loaded. */
  listed(kept: readonly Kept[]): void;
  shown(reading: Reading, origin: 'local' | 'remote'): void;
  /** This tab has processed an event; `before` is the one recorded last. */
  kept(n: number, before: number | undefined): void;
  tracked(event: TrackerEvent): void;
}

/** How a lane reads: which of the three ways its lines are. */
export type Way = 'at least once' | 'exactly once' | 'alone';

/** The lane with tidemark: one reading of the feed with one store and one strategy. */
export class TidemarkLane {
  readonly source: string;
  readonly tracker: OffsetTracker;
  readonly way: Way;
  /** Under which its events are counted: each store has its own place. */
  readonly key: string;
  /** When the last event was shown, by performance.now(). */
  heardAt: number | undefined;
  readonly #own: OffsetTracker<ReturnType<typeof ownStore>> | undefined;
  readonly #url: string;
  readonly #tab: string;
  readonly #db: IDBPDatabase<Lanes>;
  readonly #observer: TidemarkObserver;
  readonly #stop = new AbortController();
  #reading: Promise<void> = Promise.resolve();
  /** The source was reset since an event was counted. */
  #isAnew = false;

  constructor(settings: Settings, url: string, tab: string, db: IDBPDatabase<Lanes>, observer: TidemarkObserver) {
    this.source = settings.feed;
    this.way = wayOf(settings);
    this.key = `${settings.feed} ${placeOf(settings)}`;
    this.#url = url;
    this.#tab = tab;
    this.#db = db;
    this.#observer = observer;
    // A commit that failed is told by an event too; with this, nobody has to await every record.
    const onError = () => {};
    this.#own = this.way === 'exactly once' ? new OffsetTracker(ownStore(), { onError }) : undefined;
    const strategy = settings.strategy === 'once' ? 'auto' : strategies[settings.strategy];
    this.tracker = this.#own ?? new OffsetTracker(stores[settings.store](), { strategy, onError });
    this.tracker.subscribe((event) => this.#follow(event));
  }

  /** Reads until stopped; rejects with what ends the reading. */
  read(): Promise<void> {
    this.#reading = this.#read();
    return this.#reading;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#reading.catch(() => {});
    await this.tracker.close();
  }

  async #read(): Promise<void> {
    const events = await readList(this.#db, this.key);
    this.#observer.listed(events);
    const last = events.at(-1)?.reading;
    const lines: Lines = {
      tracker: this.tracker,
      source: this.source,
      url: this.#url,
      signal: this.#stop.signal,
      viewFrom: last && Offset.custom(`${last.generation}_${last.n}`),
      keep: (reading) => this.#keepAlone(reading),
      show: (reading, origin) => this.#show(reading, origin),
      showState: (state, detail) => this.#observer.state(state, detail),
    };
    if (this.#own) {
      const keep = (tx: Effects, reading: Reading) => this.#keep(tx, reading);
      return readExactlyOnce({ ...lines, tracker: this.#own, keep });
    }
    return this.way === 'alone' ? readAlone(lines) : readAtLeastOnce(lines);
  }

  #show(reading: Reading, origin: 'local' | 'remote'): void {
    this.heardAt = performance.now();
    this.#observer.shown(reading, origin);
  }

  #keepAlone(reading: Reading): Promise<void> {
    process(reading); // before a transaction is begun for it
    return applyAlone(this.#db, (tx) => this.#keep(tx, reading));
  }

  async #keep(tx: Effects, reading: Reading): Promise<void> {
    process(reading);
    const { recorded, committed } = this.tracker.status(this.source);
    await this.#count(tx, reading.generation, reading.n);
    await list(tx, this.key, { reading, tab: this.#tab });
    this.#observer.kept(reading.n, numberOf(recorded ?? committed));
  }

  async #count(tx: Effects, generation: string, n: number, areSkipped = false): Promise<void> {
    const isAnew = this.#isAnew;
    if (isAnew) void tx.done.then(() => (this.#isAnew = false)).catch(() => {});
    await count(tx, { lane: this.key, generation, numbers: [n], areSkipped, isAnew });
  }

  #follow(event: TrackerEvent): void {
    if (event.type === 'reset' || event.type === 'cleared') this.#isAnew = true;
    const [generation, n] = [generationOf(event.offset), numberOf(event.offset)];
    if (event.type === 'skipped' && generation !== undefined && n !== undefined) {
      void applyAlone(this.#db, (tx) => this.#count(tx, generation, n, true));
    }
    this.#observer.tracked(event);
  }
}

/** Which place a lane keeps: tabs with different ones know nothing of each other. */
export function placeOf({ store, strategy }: Settings): string {
  return strategy === 'once' ? 'once' : store;
}

function wayOf({ store, strategy }: Settings): Way {
  // One tab reads for all where they share a store and there are Web Locks: on https, or on localhost.
  if (navigator.locks === undefined) return 'alone';
  if (strategy === 'once') return 'exactly once';
  return store === 'memory' ? 'alone' : 'at least once';
}

/** The number in an id of the demo's feed. */
export function numberOf(offset: Offset | undefined): number | undefined {
  return offset?.kind === 'custom' ? Number(offset.value.split('_')[1]) : undefined;
}

function generationOf(offset: Offset | undefined): string | undefined {
  return offset?.kind === 'custom' ? offset.value.split('_')[0] : undefined;
}
