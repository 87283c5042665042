import { InMemoryOffsetStore, Offset, type OffsetStore, OffsetTracker, type TrackerEvent } from 'tidemark';
import { type FeedState, type FeedStateDetail, resume } from 'tidemark/feed';
import { IndexedDBOffsetStore } from 'tidemark/indexeddb';
import { LocalStorageOffsetStore } from 'tidemark/local-storage';
import { sse } from 'tidemark/sse';
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
  readonly #settings: Settings;
  readonly #log: ProcessedLog;
  readonly #observer: Observer;
  readonly #stop = new AbortController();
  #reading: Promise<void> | undefined;

  constructor(settings: Settings, log: ProcessedLog, observer: Observer) {
    this.source = settings.feed;
    this.#settings = settings;
    this.#log = log;
    this.#observer = observer;
    const { strategy } = strategies[settings.strategy];
    // A commit that failed is told by an event too; with this, nobody has to await every record.
    this.tracker = new OffsetTracker(makeStore(settings), { strategy, onError: () => {} });
    this.tracker.subscribe((event) => observer.tracked(event));
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

  /** Names, in the log, what is read between two resets of this store; a store that forgets has one a page. */
  runOf(generation: string): string {
    const { feed, store } = this.#settings;
    const life = store === 'memory' ? this.#log.page : store;
    return [feed, life, generation, this.tracker.status(feed).epoch].join(' ');
  }

  async #read(): Promise<void> {
    const { tracker, source } = this;
    const query = new URLSearchParams({ feed: source, ...(this.#settings.rate && { rate: this.#settings.rate }) });
    const feed = sse(`/feed?${query}`, {
      parse: (data): Reading => JSON.parse(data),
      // This server's own word for it: the protocol has none.
      id: ({ kind }) => (kind === 'latest' ? kind : undefined),
    });
    const options = {
      signal: this.#stop.signal,
      onState: (state: FeedState, detail: FeedStateDetail) => this.#observer.state(state, detail),
      onExpired: () => {
        this.#observer.expired();
        return Offset.earliest;
      },
    };
    for await (const { data: reading } of resume(tracker, source, feed, options)) {
      const { recorded, committed } = tracker.status(source);
      // Noted before the loop asks for the next event, that is, before this one is recorded: what is recorded is noted.
      const run = await this.#log.add(this.runOf(reading.generation), reading.n);
      this.#observer.processed(reading, numberOf(recorded ?? committed), run);
    }
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
