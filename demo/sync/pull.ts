import type { IDBPDatabase } from 'idb';
import { type FeedState, type FeedStateDetail, Offset, OffsetTracker, type TrackerEvent, poll, resume } from 'tidemark';
import { IndexedDBOffsetStore } from 'tidemark/indexeddb';
import type { Change, ChangePage } from '../server/changes.ts';
import { type Schema, apply } from './database.ts';

/** What a pull tells the page. */
export interface Observer {
  state(state: FeedState, detail: FeedStateDetail): void;
  /** Also what other tabs have stored: time to read the book again. */
  tracked(event: TrackerEvent): void;
}

/** Pulls the changes of a feed into the page's own database: all that this page does with tidemark. */
export class Pull {
  readonly source = 'changes';
  readonly tracker;
  readonly #url: string;
  readonly #observer: Observer;
  #stop: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(name: string, open: () => Promise<IDBPDatabase<Schema>>, url: string, observer: Observer) {
    this.tracker = new OffsetTracker(new IndexedDBOffsetStore<Schema>({ name, db: open }));
    this.#url = url;
    this.#observer = observer;
    this.tracker.subscribe((event) => observer.tracked(event));
  }

  /** Pulls until `disconnect`; rejects with what ends it before. */
  connect(): Promise<void> {
    if (this.#stop) return this.#running;
    const { signal } = (this.#stop = new AbortController());
    this.#running = this.#running
      .catch(() => {})
      .then(() => this.#pull(signal))
      .finally(() => {
        if (this.#stop?.signal === signal) this.#stop = undefined;
      });
    return this.#running;
  }

  /** Closes the connection; what is applied stays applied. */
  disconnect(): void {
    this.#stop?.abort();
    this.#stop = undefined;
  }

  /** Has everything pulled anew. The first change empties the book, in the transaction that applies it. */
  async restart(): Promise<void> {
    await this.tracker.reset(this.source, Offset.earliest);
  }

  async #pull(signal: AbortSignal): Promise<void> {
    const feed = poll<Change, ChangePage>(this.#url, {
      query: 'after',
      earliest: '',
      events: (page) => page.changes,
      offset: ({ n }) => Offset.sequence(n),
      more: () => true, // The server holds its answer until there is something new.
    });
    await resume(this.tracker, this.source, feed, {
      signal,
      exclusive: true,
      transact: ['ships', 'counters'],
      batch: { size: 100, intervalMs: 50 },
      handler: (changes, { tx }) =>
        apply(
          tx,
          changes.map(({ data }) => data),
        ),
      onState: (state, detail) => this.#observer.state(state, detail),
    });
  }
}
