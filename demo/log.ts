import { type DBSchema, type IDBPDatabase, openDB } from 'idb';

/**
 * What was counted of a run: the reading of one generation of a feed, between two resets of one store. Only within a run
 * is every event to be seen exactly once.
 */
export interface Run {
  readonly run: string;
  readonly first: number;
  readonly last: number;
  /** Different events that were processed. */
  readonly processed: number;
  /** Events that were processed again. */
  readonly duplicates: number;
  /** Not among these: events a page began with, which were in flight when the page before it went away. */
  readonly inFlight: number;
  readonly lastAt: number;
}

interface Schema extends DBSchema {
  processed: { key: [run: string, n: number]; value: { readonly page: string; readonly count: number } };
  runs: { key: string; value: Run; indexes: { lastAt: number } };
}

const keptRuns = 12;

/**
 * Which events were processed, and how often, in a database of its own: it judges the tracker and therefore knows
 * nothing of it.
 */
export class ProcessedLog {
  /** This page load, among all that write to the log. */
  readonly page = Math.random().toString(36).slice(2, 8);
  /** Runs of which this page has noted an event that was new. */
  readonly #begun = new Set<string>();
  readonly #name: string;
  #opening: Promise<IDBPDatabase<Schema>> | undefined;

  constructor(name = 'tidemark-demo-log') {
    this.#name = name;
  }

  /** Notes an event; resolves, once that is durable, with what was counted of its run. */
  async add(run: string, n: number): Promise<Run> {
    const db = await this.#open();
    const tx = db.transaction(['processed', 'runs'], 'readwrite', { durability: 'relaxed' });
    const events = tx.objectStore('processed');
    const runs = tx.objectStore('runs');
    const [seen, before] = await Promise.all([events.get([run, n]), runs.get(run)]);
    const counted = before ?? { run, first: n, last: n, processed: 0, duplicates: 0, inFlight: 0, lastAt: 0 };
    const as = !seen ? 'processed' : this.#begun.has(run) ? 'duplicates' : 'inFlight';
    const after: Run = {
      ...counted,
      [as]: counted[as] + 1,
      first: Math.min(counted.first, n),
      last: Math.max(counted.last, n),
      lastAt: Date.now(),
    };
    void events.put({ page: this.page, count: (seen?.count ?? 0) + 1 }, [run, n]);
    void runs.put(after);
    tx.commit();
    await tx.done;
    if (!seen) this.#begun.add(run);
    return after;
  }

  /** The latest of the runs whose names begin so. */
  async latest(prefix: string): Promise<Run | undefined> {
    const byTime = (await this.#open()).transaction('runs').store.index('lastAt');
    let cursor = await byTime.openCursor(null, 'prev');
    while (cursor && !cursor.value.run.startsWith(prefix)) cursor = await cursor.continue();
    return cursor?.value;
  }

  /** All runs, the latest last. */
  async runs(): Promise<Run[]> {
    return (await this.#open()).getAllFromIndex('runs', 'lastAt');
  }

  /** Counts a run anew from the single events, for whoever does not believe the running counts. */
  async audit(
    run: string,
  ): Promise<{ first: number; last: number; processed: number; seen: number; missing: number[] }> {
    const db = await this.#open();
    const [keys, values] = await Promise.all([
      db.getAllKeys('processed', eventsOf(run)),
      db.getAll('processed', eventsOf(run)),
    ]);
    const numbers = keys.map(([, n]) => n);
    const first = numbers[0] ?? 0;
    const last = numbers.at(-1) ?? -1;
    const there = new Set(numbers);
    const missing: number[] = [];
    for (let n = first; n <= last; n++) if (!there.has(n)) missing.push(n);
    const seen = values.reduce((sum, { count }) => sum + count, 0);
    return { first, last, processed: numbers.length, seen, missing };
  }

  /** Forgets all but the latest runs. */
  async prune(): Promise<void> {
    const old = (await this.runs()).slice(0, -keptRuns);
    const db = await this.#open();
    for (const { run } of old) {
      const tx = db.transaction(['processed', 'runs'], 'readwrite');
      void tx.objectStore('processed').delete(eventsOf(run));
      void tx.objectStore('runs').delete(run);
      await tx.done;
    }
  }

  #open(): Promise<IDBPDatabase<Schema>> {
    const forget = () => (this.#opening = undefined);
    this.#opening ??= openDB<Schema>(this.#name, 1, {
      upgrade(db) {
        db.createObjectStore('processed');
        db.createObjectStore('runs', { keyPath: 'run' }).createIndex('lastAt', 'lastAt');
      },
      blocking: (_current, _blocked, event) => (event.target as IDBDatabase).close(),
      terminated: forget,
    });
    this.#opening.catch(forget);
    return this.#opening;
  }
}

/** Events of a run between its first and its last that were not processed. */
export function gapsOf({ first, last, processed }: Run): number {
  return last - first + 1 - processed;
}

function eventsOf(run: string): IDBKeyRange {
  return IDBKeyRange.bound([run], [run, []]);
}
