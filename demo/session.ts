import {
  InMemoryOffsetStore,
  Offset,
  type OffsetStore,
  OffsetTracker,
  type TrackerEvent,
  type FeedState,
  type FeedStateDetail,
  resume,
  sse,
} from 'tidemark';
import { IndexedDBOffsetStore } from 'tidemark/indexeddb';
import { LocalStorageOffsetStore } from 'tidemark/local-storage';
import type { ProcessedLog, Run } from './log.ts';
import type { Reading } from './server/readings.ts';
import { type Settings, strategies } from './settings.ts';

/** What a session tells the page. */
export interface Observer {
  /** An event was processed; `before` is the event recorded last. */
  processed(reading: Reading, before: number | undefined, run: Run): void;
  state(state: FeedState, detail: FeedStateDetail): void;
  /** The server no longer has what comes next; the source is about to be reset to the earliest event. */
  expired(): void;
  tracked(event: TrackerEvent): void;
}

/** One reading of the feed with one store and one strategy: all that the demo does with tidemark. */
export class Session {
  readonly source: string;
  readonly tracker: OffsetTracker;
  /** Whether one tab reads at a time. That takes a store that tabs share, and Web Locks: https, or localhost. */
  readonly exclusive: boolean;
  readonly #settings: Settings;
  readonly #log: ProcessedLog;
  readonly #observer: Observer;
  readonly #stop = new AbortController();
  #reading: Promise<void> | undefined;
  /** The run that is counted, and the epoch and the generation in which it was looked for. */
  #run: { readonly name: string; readonly epoch: number; readonly generation: string } | undefined;
  /** The source was reset since. */
  #anew = false;

  constructor(settings: Settings, log: ProcessedLog, observer: Observer) {
    this.source = settings.feed;
    this.#settings = settings;
    this.#log = log;
    this.#observer = observer;
    const { strategy } = strategies[settings.strategy];
    // A commit that failed is told by an event too; with this, nobody has to await every record.
    this.tracker = new OffsetTracker(makeStore(settings), { strategy, onError: () => {} });
    this.exclusive = settings.store !== 'memory' && navigator.locks !== undefined;
    this.tracker.subscribe((event) => {
      if (event.type === 'reset' || event.type === 'cleared') this.#anew = true;
      observer.tracked(event);
    });
  }

  /** Reads until stopped; rejects with what ends the reading. */
  read(): Promise<void> {
    this.#reading = this.#read();
    return this.#reading;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#reading?.catch(() => {});
    await this.tracker.close();
  }

  /** What was counted last of a generation of the feed, by whichever tab reads it. */
  lastRun(generation: string): Promise<Run | undefined> {
    return this.#log.latest(this.#runsOf(generation));
  }

  /** How the log names what is read of this store until it is reset; a store that forgets has runs of each page. */
  #runsOf(generation: string): string {
    const { feed, store } = this.#settings;
    return `${feed} ${store === 'memory' ? this.#log.page : store} ${generation} `;
  }

  async #read(): Promise<void> {
    const { tracker, source } = this;
    const query = new URLSearchParams({ feed: source, ...(this.#settings.rate && { rate: this.#settings.rate }) });
    const feed = sse(`/feed?${query}`, {
      parse: (data): Reading => JSON.parse(data),
      // This server's own words for the ends of its log: the protocol has none.
      earliest: '',
      latest: 'latest',
    });
    const options = {
      signal: this.#stop.signal,
      exclusive: this.exclusive,
      onState: (state: FeedState, detail: FeedStateDetail) => this.#observer.state(state, detail),
      onExpired: () => {
        this.#observer.expired();
        return Offset.earliest;
      },
    };
    for await (const { data: reading } of resume(tracker, source, feed, options)) {
      const { recorded, committed, epoch } = tracker.status(source);
      // Noted before the loop asks for the next event, that is, before this one is recorded: what is recorded is noted.
      const run = await this.#log.add(await this.#runIn(reading.generation, epoch), reading.n);
      this.#observer.processed(reading, numberOf(recorded ?? committed), run);
    }
  }

  /** A reset begins a run. A tab whose turn it is begins an epoch too, and goes on in the run of the one before. */
  async #runIn(generation: string, epoch: number): Promise<string> {
    const before = this.#run;
    if (before?.epoch === epoch && before.generation === generation) return before.name;
    const latest = this.#anew ? undefined : await this.lastRun(generation);
    const name = latest?.run ?? `${this.#runsOf(generation)}${epoch}`;
    this.#run = { name, epoch, generation };
    this.#anew = false;
    return name;
  }
}

/** The number in an id of the demo's feed. */
export function numberOf(offset: Offset | undefined): number | undefined {
  return offset?.kind === 'custom' ? Number(offset.value.split('_')[1]) : undefined;
}

function makeStore({ store }: Settings): OffsetStore {
  switch (store) {
    case 'indexeddb':
      return new IndexedDBOffsetStore({ name: 'tidemark-demo' });
    case 'localstorage':
      return new LocalStorageOffsetStore({ name: 'tidemark-demo' });
    case 'memory':
      return new InMemoryOffsetStore();
  }
}
