import { Offset, type OffsetStore, type OffsetTracker } from 'tidemark';
import { Watch } from './watch.ts';

/** One tab of several that record to the same sources as fast as they can. */
export interface Race {
  /** The tab records every n-th number of all: its own. */
  readonly tab: number;
  readonly tabs: number;
  readonly records: number;
  readonly sources: number;
}

export interface Progress {
  done: boolean;
  recorded: number;
  fenced: number;
  /** Offsets at which reading started again after a reset. */
  readonly restarts: number[];
  readonly watch: Watch;
}

/** Records in bursts, and looks after each whether anything went back or any promise was broken. */
export function race(store: OffsetStore, tracker: OffsetTracker, { tab, tabs, records, sources }: Race): Progress {
  const progress = begin(store, tracker);
  const { watch } = progress;
  const record = async (source: string, n: number): Promise<void> => {
    const offset = Offset.sequence(n);
    const outcome = await tracker.record(source, offset);
    progress.recorded++;
    if (outcome === 'committed') watch.promise(source, offset);
    else watch.wrong(`${source}: ${n} is ${outcome}`);
  };
  return run(progress, async () => {
    for (let i = 0, burst = 0; i < records; burst++) {
      const end = Math.min(records, i + 1 + ((burst * 7 + tab) % 12));
      const last = i;
      const recorded: Promise<void>[] = [];
      for (; i < end; i++) recorded.push(record(`s${i % sources}`, i * tabs + tab));
      await Promise.all(recorded);
      await turn();
      await (burst % 16 === 0 ? watch.lookAtAll() : watch.look(`s${last % sources}`));
    }
    await watch.lookAtAll();
  });
}

/** A tab that records until the source is reset elsewhere, does not notice at first, and then reads on from there. */
export interface Marathon {
  readonly source: string;
  readonly from: number;
  /** How many more events the tab processes at the old place before it notices. */
  readonly late: number;
  /** How far to read after the reset. */
  readonly until: number;
}

export function runOn(store: OffsetStore, tracker: OffsetTracker, { source, from, late, until }: Marathon): Progress {
  const progress = begin(store, tracker);
  const { watch } = progress;
  const record = async (n: number): Promise<'committed' | 'fenced' | 'pending'> => {
    const outcome = await tracker.record(source, Offset.sequence(n));
    progress.recorded++;
    if (outcome === 'committed') watch.promise(source, Offset.sequence(n));
    if (outcome === 'fenced') progress.fenced++;
    return outcome;
  };
  return run(progress, async () => {
    for (let n = from; progress.restarts.length === 0 || n <= until; n++) {
      const outcome = await record(n);
      await turn();
      if (n % 10 === 0) await watch.look(source);
      if (outcome !== 'fenced') continue;
      // A loop that is still running at the old place must not move the new epoch.
      for (let more = 1; more <= late; more++) {
        const answer = await record(n + more);
        if (answer !== 'fenced') watch.wrong(`${source}: ${n + more} of the old epoch is ${answer}`);
        await turn();
        await watch.look(source);
      }
      const { from: at } = await tracker.read(source);
      n = at.kind === 'sequence' ? Number(at.value) : -1;
      progress.restarts.push(n);
    }
    await watch.look(source);
  });
}

/** Lets the page hear what has happened: a store that answers at once would keep it from everything else. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

function begin(store: OffsetStore, tracker: OffsetTracker): Progress {
  return { done: false, recorded: 0, fenced: 0, restarts: [], watch: new Watch(store, tracker) };
}

function run(progress: Progress, work: () => Promise<void>): Progress {
  work()
    .catch((error: unknown) => progress.watch.wrong(String(error)))
    .finally(() => (progress.done = true));
  return progress;
}
