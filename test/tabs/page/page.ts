// What a test can do in a tab, by `tab.eval(() => tab.record('orders', 1))`. Arguments and results are JSON.
import { Offset, type OffsetStore, OffsetTracker, type Strategy } from 'tidemark';
import { type Part, actAlone, commitToBoth } from './alone.ts';
import { type Marathon, type Progress, type Race, race, runOn } from './race.ts';
import { reader } from './reader.ts';
import { type Where, makeStore, numberOf, storedIn } from './stores.ts';

export type { Where } from './stores.ts';

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

  commitToBoth,

  reset: (source: string, n: number) => current().tracker.reset(source, Offset.sequence(n)),

  /** Where this tab's own tracker would go on. */
  resume: async (source: string) => numberOf(await current().tracker.getOffset(source)),

  stored: storedIn,

  /** Begin to record at full speed; `progress` tells how it goes. */
  race(options: Race) {
    progress = race(current().store, current().tracker, options);
  },
  runOn(options: Marathon) {
    progress = runOn(current().store, current().tracker, options);
  },
  progress: (): Progress | undefined => progress,
};

declare global {
  interface Window {
    tab: typeof tab;
    reader: typeof reader;
  }
}
window.tab = tab;
window.reader = reader;

let store: OffsetStore | undefined;
let tracker: OffsetTracker | undefined;
let progress: Progress | undefined;

function current(): { store: OffsetStore; tracker: OffsetTracker } {
  if (!store || !tracker) throw new Error('Call tab.start first.');
  return { store, tracker };
}

const alone = new URLSearchParams(location.search);
const part = alone.get('alone') as Part | null; // The tests ask for nothing else.
if (part) void actAlone(part, alone.get('name') ?? '');
