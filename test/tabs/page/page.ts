// What a test can do in a tab, by `tab.eval(() => tab.record('orders', 1))`. Arguments and results are JSON.
import { Offset, type OffsetStore, OffsetTracker, type Strategy } from 'tidemark';
import { type Part, actAlone, commitToBoth } from './alone.ts';
import { awake } from './awake.ts';
import { chaos, takePart } from './chaos.ts';
import { effects } from './effects.ts';
import { type Marathon, type Progress, type Race, race, runOn } from './race.ts';
import { reader } from './reader.ts';
import { served } from './served.ts';
import { view, viewing } from './view.ts';
import { type Where, makeStore, numberOf, storedIn } from './stores.ts';

export type { Where } from './stores.ts';

const tab = {
  /** Makes the tab's own tracker. */
  start(where: Where, strategy: Strategy = 'auto') {
    store = makeStore(where);
    tracker = new OffsetTracker(store, { strategy });
    const heard: string[] = (events = []);
    tracker.subscribe(({ type }) => heard.push(type));
  },

  record: (source: string, n: number) => current().tracker.record(source, Offset.sequence(n)),

  /** As `record`; with what it was rejected with, where it was. */
  attempt: (source: string, n: number) => tab.record(source, n).catch(String),

  commit: (source: string) => current().tracker.commit(source),

  /** What the tracker has told since `start`, records and commits left out, and what it knows of a source. */
  condition(source: string) {
    const { committed, pending, degraded } = current().tracker.status(source);
    return {
      told: events.filter((type) => type !== 'committed' && type !== 'recorded'),
      committed: committed ? numberOf(committed) : null,
      pending: pending ? numberOf(pending) : null,
      degraded: degraded ? String(degraded) : null,
    };
  },

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
  resume: async (source: string) => numberOf((await current().tracker.read(source)).from),

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
    chaos: typeof chaos;
    effects: typeof effects;
    awake: typeof awake;
    served: typeof served;
    viewing: typeof viewing;
  }
}
window.tab = tab;
window.reader = reader;
window.chaos = chaos;
window.effects = effects;
window.awake = awake;
window.served = served;
window.viewing = viewing;

let store: OffsetStore | undefined;
let tracker: OffsetTracker | undefined;
let events: string[] = [];
let progress: Progress | undefined;

function current(): { store: OffsetStore; tracker: OffsetTracker } {
  if (!store || !tracker) throw new Error('Call tab.start first.');
  return { store, tracker };
}

const address = new URLSearchParams(location.search);
const part = address.get('alone') as Part | null; // The tests ask for nothing else.
if (part) void actAlone(part, address.get('name') ?? '');
const name = address.get('chaos');
if (name) takePart(name, address.get('feed') ?? '');
const viewed = address.get('view');
if (viewed) view(viewed, address.has('timed'));
