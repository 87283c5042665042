// A tab that reads a feed from the moment it is shown, as its address says, and tells the server all it does.
import { Offset, OffsetTracker, resume, sse } from 'tidemark';
import { IndexedDBOffsetStore } from 'tidemark/indexeddb';

/** A place in the feed; n is −1 before the first event, the epoch −1 while nothing is stored. */
export interface Place {
  readonly epoch: number;
  readonly n: number;
}

export type ChaosReport = { readonly feed: string; readonly tab: string } & (
  | ({ readonly type: 'processed'; readonly generation: string } & Place)
  /** What the tracker told of as its own commit. */
  | ({ readonly type: 'committed' } & Place)
  /** The tab reset the source, and so began an epoch. */
  | ({ readonly type: 'reset' } & Place)
  /** What the observer found in the store. */
  | ({ readonly type: 'stored' } & Place)
  | { readonly type: 'failed'; readonly error: string }
);

const source = 'chaos';

export const chaos = {
  reset: (): Promise<void> => running().reset(source, Offset.earliest),
};

/** @param name of the tab, which reads several events at once if it ends in an even digit; 'observer' only looks at what is stored */
export function takePart(name: string, feed: string): void {
  const about = { feed, tab: `${name}/${performance.timeOrigin}` };
  const store = new IndexedDBOffsetStore({ name: feed });
  (name === 'observer' ? observe(store, about) : read(store, about, /[02468]$/.test(name))).catch((error: unknown) =>
    tell({ ...about, type: 'failed', error: String(error) }),
  );
}

let tracker: OffsetTracker | undefined;

function running(): OffsetTracker {
  if (!tracker) throw new Error('This tab does not read.');
  return tracker;
}

type About = Pick<ChaosReport, 'feed' | 'tab'>;

/** @param several events at once, or one after the other */
async function read(store: IndexedDBOffsetStore, about: About, several: boolean): Promise<void> {
  const reads = (tracker = new OffsetTracker(store, { strategy: 'auto' }));
  const epoch = (): number => reads.status(source).epoch;
  reads.subscribe(({ type, origin, offset }) => {
    if ((type !== 'committed' && type !== 'reset') || origin !== 'local') return;
    // Told without delay, and even if the page ends right now.
    const report: ChaosReport = { ...about, type, epoch: epoch(), n: placeOf(offset).n };
    navigator.sendBeacon('/report', JSON.stringify(report));
  });
  const processed = ({ offset }: { readonly offset?: Offset | undefined }): Promise<unknown> =>
    tell({ ...about, type: 'processed', epoch: epoch(), ...placeOf(offset) });
  const events = sse(`/feed?feed=${about.feed}`);
  const options = { exclusive: true, takeoverAfterMs: 1000 };
  if (several) return resume(reads, source, events, { ...options, concurrency: 4, handler: processed });
  for await (const event of resume(reads, source, events, options)) await processed(event);
}

/** As often as the server answers, since the timers of a tab out of sight come once a second. */
async function observe(store: IndexedDBOffsetStore, about: About): Promise<never> {
  for (;;) {
    const stored = await store.get(source);
    await tell({ ...about, type: 'stored', epoch: stored?.epoch ?? -1, n: placeOf(stored?.offset).n });
  }
}

/** Once the server has it. A page on its way out cannot reach it any more, and gets no further. */
function tell(report: ChaosReport): Promise<unknown> {
  return fetch('/report', { method: 'POST', body: JSON.stringify(report) }).catch(() => new Promise(() => {}));
}

function placeOf(offset: Offset | undefined): { generation: string; n: number } {
  const [generation = '', n = -1] = offset?.kind === 'custom' ? offset.value.split('_') : [];
  return { generation, n: Number(n) };
}
