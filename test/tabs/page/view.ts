// A tab that shows a feed that one of them reads, from the moment it is opened, as its address says.
import { type Checkpoint, OffsetTracker, resume, sse } from 'tidemark';
import { IndexedDBOffsetStore } from 'tidemark/indexeddb';

export interface Viewing {
  readonly role: string | undefined;
  /** The event that the store had last when this tab first found one there: it begins after it at the latest. */
  readonly began: number | undefined;
  readonly seen: readonly number[];
  readonly states: readonly string[];
  readonly warnings: readonly string[];
  readonly error: string | undefined;
}

export const viewing = {
  state: (): Viewing => ({
    role: tracker?.status(source).role,
    began,
    seen,
    states,
    warnings,
    error,
  }),

  /** How long the relay and a bare BroadcastChannel take from one tab to another, in ms: each event is timed as it is shown. */
  latencies: (): { readonly relay: readonly number[]; readonly bare: readonly number[] } => ({ relay, bare }),
};

const source = 'viewed';
const seen: number[] = [];
const states: string[] = [];
const warnings: string[] = [];
const relay: number[] = [];
const bare: number[] = [];
let tracker: OffsetTracker | undefined;
let error: string | undefined;
let began: number | undefined;

class WatchedStore extends IndexedDBOffsetStore {
  override async get(name: string): Promise<Checkpoint | undefined> {
    const checkpoint = await super.get(name);
    if (checkpoint?.offset?.kind === 'custom') began ??= Number(checkpoint.offset.value.slice(1));
    return checkpoint;
  }
}

/** @param timed whether the reading tab posts each event on a channel of its own, too, with the time */
export function view(feed: string, timed: boolean): void {
  const reads = (tracker = new OffsetTracker(new WatchedStore({ name: feed })));
  reads.subscribe(({ type, code }) => type === 'warning' && warnings.push(String(code)));
  const now = (): number => performance.timeOrigin + performance.now();
  const channel = timed ? new BroadcastChannel(`bare-${feed}`) : undefined;
  if (channel) channel.onmessage = ({ data }: MessageEvent<{ readonly at: number }>) => void bare.push(now() - data.at);
  const open = sse<{ readonly n: number; at?: number }>(`/feed?feed=${feed}`, { earliest: 'x0', parse: JSON.parse });
  const stamped: typeof open = (from, context) => {
    const items = open(from, context);
    if (!channel) return items;
    return (async function* () {
      for await (const item of items) {
        if ('data' in item) item.data.at = now();
        // Every other one first, so that neither is always behind the other.
        if ('data' in item && item.data.n % 2) channel.postMessage({ ...item, at: now() });
        yield item;
        if ('data' in item && item.data.n % 2 === 0) channel.postMessage({ ...item, at: now() });
      }
    })();
  };
  resume(reads, source, stamped, {
    exclusive: true,
    takeoverAfterMs: 1000,
    minDelayMs: 100,
    onState: (state) => void states.push(state),
    view: ({ data }, { origin }) => {
      seen.push(data.n);
      if (origin === 'remote' && data.at) relay.push(now() - data.at);
    },
  }).catch((thrown: unknown) => (error = String(thrown)));
}
