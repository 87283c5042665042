// What a test can do in a tab, by `tab.eval(() => tab.record('orders', 1))`. Arguments and results are JSON.
import { Offset, type OffsetStore, OffsetTracker, type Strategy } from 'tidemark';
import { IndexedDBOffsetStore } from 'tidemark/indexeddb';
import { LocalStorageOffsetStore } from 'tidemark/local-storage';
import { type Marathon, type Progress, type Race, race, runOn } from './race.ts';

const kinds = ['indexeddb', 'local-storage'] as const;

/** Which store; each name keeps its own checkpoints. */
export interface Where {
  readonly kind: (typeof kinds)[number];
  readonly name: string;
}

const tab = {
  /** Makes the tab's own tracker. */
  start(where: Where, strategy: Strategy = 'auto') {
    store = makeStore(where);
    tracker = new OffsetTracker(store, { strategy });
  },

  record: (source: string, n: number) => current().tracker.record(source, Offset.sequence(n)),

  /** Commits 1, and records 2, which the tracker will commit in a minute: if the page lives so long. */
  async leaveSomething(where: Where, source: string) {
    tab.start(where, { intervalMs: 60_000 });
    await tab.record(source, 1);
    await current().tracker.commit(source);
    return tab.record(source, 2);
  },

  /** Commits an offset to both stores, each of which says that it has. */
  async commitToBoth(name: string, source: string, n: number): Promise<string[]> {
    const trackers = kinds.map((kind) => new OffsetTracker(makeStore({ kind, name })));
    return Promise.all(trackers.map((tracker) => tracker.record(source, Offset.sequence(n))));
  },

  reset: (source: string, n: number) => current().tracker.reset(source, Offset.sequence(n)),

  /** Where this tab's own tracker would go on. */
  resume: async (source: string) => numberOf(await current().tracker.getOffset(source)),

  /** What is stored: asked of a store that has heard nothing from anybody. */
  async stored(where: Where, sources: readonly string[]): Promise<Record<string, number>> {
    const fresh = new OffsetTracker(makeStore(where));
    const offsets = await Promise.all(sources.map(async (source) => [source, numberOf(await fresh.getOffset(source))]));
    await fresh.close();
    await fresh.store.close();
    return Object.fromEntries(offsets);
  },

  /** Begin to record at full speed; `progress` tells how it goes. */
  race(options: Race) {
    progress = race(current().store, current().tracker, options);
  },
  runOn(options: Marathon) {
    progress = runOn(current().store, current().tracker, options);
  },
  progress: (): Progress | undefined => progress,
};

/** In a browser that nobody drives the page acts by itself, as its address says, and reports to the server. */
async function actAlone(name: string): Promise<void> {
  const before: (number | undefined)[] = [];
  for (const kind of kinds) before.push((await tab.stored({ kind, name }, ['s'])).s);
  const n = Math.max(...before.map((found) => found ?? -1)) + 1;
  const outcomes = await tab.commitToBoth(name, 's', n);
  await fetch('/report', { method: 'POST', body: JSON.stringify({ before, n, outcomes }) });
}

declare global {
  interface Window {
    tab: typeof tab;
  }
}
window.tab = tab;
const alone = new URLSearchParams(location.search).get('alone');

let store: OffsetStore | undefined;
let tracker: OffsetTracker | undefined;
let progress: Progress | undefined;

function current(): { store: OffsetStore; tracker: OffsetTracker } {
  if (!store || !tracker) throw new Error('Call tab.start first.');
  return { store, tracker };
}

function makeStore({ kind, name }: Where): OffsetStore {
  return kind === 'indexeddb' ? new IndexedDBOffsetStore({ name }) : new LocalStorageOffsetStore({ name });
}

/** −1: from the earliest on. */
function numberOf(offset: Offset): number {
  return offset.kind === 'sequence' ? Number(offset.value) : -1;
}

if (alone !== null) {
  actAlone(alone).catch((error: unknown) => fetch('/report', { method: 'POST', body: JSON.stringify(String(error)) }));
}
