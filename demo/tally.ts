import type { IDBPDatabase } from 'idb';
import { type Effects, type Kept, type Lanes, below } from './database.ts';

const blockSize = 256;
/** More often is not told apart. */
const mostTimes = 254;
/** Stands for an event that was given up. */
const skipped = 255;
/** How many events the list of a lane keeps. */
const keptEvents = 50;

/** What happened to events of a lane. */
export interface Happened {
  readonly lane: string;
  readonly generation: string;
  readonly numbers: readonly number[];
  /** They were given up, and not processed. */
  readonly areSkipped?: boolean;
  /** The lane was reset, so that counting begins anew. */
  readonly isAnew?: boolean;
}

/** Counts events, in the transaction that processes them. */
export async function count(tx: Effects, { lane, generation, numbers, areSkipped, isAnew }: Happened): Promise<void> {
  const run = await runOf(tx, lane, generation, isAnew === true);
  const counts = tx.objectStore('counts');
  const blocks = new Map<number, Uint8Array>();
  for (const n of numbers) {
    const block = Math.floor(n / blockSize);
    const cells = blocks.get(block) ?? (await counts.get([run, block])) ?? new Uint8Array(blockSize);
    blocks.set(block, cells);
    const before = cells[n % blockSize] ?? 0;
    const times = before === skipped ? 0 : before;
    cells[n % blockSize] = areSkipped ? times || skipped : Math.min(times + 1, mostTimes);
  }
  await Promise.all([...blocks].map(([block, cells]) => counts.put(cells, [run, block])));
}

/** Adds to the list of the last events. */
export async function list(tx: Effects, lane: string, kept: Kept): Promise<void> {
  const events = tx.objectStore('events');
  const { n } = kept.reading;
  await Promise.all([
    events.put(kept, [lane, n]),
    events.delete(IDBKeyRange.bound([lane], [lane, Math.max(0, n - keptEvents)])),
  ]);
}

/** The last events, in the order of the feed. */
export async function readList(db: IDBPDatabase<Lanes>, lane: string): Promise<Kept[]> {
  return db.getAll('events', below(lane));
}

/** A count begins with a generation of the feed, and with a reset; what was counted before is let go. */
async function runOf(tx: Effects, lane: string, generation: string, isAnew: boolean): Promise<string> {
  const runs = tx.objectStore('runs');
  const before = await runs.get(lane);
  if (before?.generation === generation && !isAnew) return before.name;
  const life = Number(before?.name.split('/').at(-1) ?? 0) + 1;
  const run = { name: `${lane}/${generation}/${life}`, generation };
  await Promise.all([
    runs.put(run, lane),
    before && tx.objectStore('counts').delete(below(before.name)),
    tx.objectStore('events').delete(below(lane)),
  ]);
  return run.name;
}

/** How often each event of a lane was processed, by all tabs, over reloads and crashes: what is stored. */
export class Tally {
  readonly run: string;
  readonly generation: string;
  /** Of those that were processed. */
  first = Infinity;
  last = -1;
  /** Different events. */
  processed = 0;
  /** How many times an event was processed that had been processed before. */
  repeated = 0;
  /** Events that were given up. */
  skipped = 0;
  readonly #blocks: ReadonlyMap<number, Uint8Array>;

  constructor(run: string, generation: string, blocks: ReadonlyMap<number, Uint8Array>) {
    this.run = run;
    this.generation = generation;
    this.#blocks = blocks;
    for (const [block, cells] of blocks) {
      for (const [i, times] of cells.entries()) if (times > 0) this.#add(block * blockSize + i, times);
    }
  }

  static async read(db: IDBPDatabase<Lanes>, lane: string): Promise<Tally | undefined> {
    const tx = db.transaction(['runs', 'counts']);
    const run = await tx.objectStore('runs').get(lane);
    if (!run) return undefined;
    const counts = tx.objectStore('counts');
    const [keys, blocks] = await Promise.all([counts.getAllKeys(below(run.name)), counts.getAll(below(run.name))]);
    return new Tally(run.name, run.generation, new Map(keys.map(([, block], i) => [block, blocks[i] ?? nothing])));
  }

  /** How often an event was processed. */
  timesOf(n: number): number {
    const times = this.#cell(n);
    return times === skipped ? 0 : times;
  }

  /** How many of the events from `from` to `until` were neither processed nor given up. */
  missing(from: number, until: number): number {
    let missing = 0;
    for (let n = from; n <= until; n++) if (this.#cell(n) === 0) missing++;
    return missing;
  }

  #cell(n: number): number {
    return this.#blocks.get(Math.floor(n / blockSize))?.[n % blockSize] ?? 0;
  }

  #add(n: number, times: number): void {
    if (times === skipped) return void this.skipped++;
    this.first = Math.min(this.first, n);
    this.last = Math.max(this.last, n);
    this.processed++;
    this.repeated += times - 1;
  }
}

const nothing = new Uint8Array(blockSize);
