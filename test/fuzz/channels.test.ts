import { afterAll, vi } from 'vitest';
import { Offset, OffsetTracker } from '../../src/index.ts';
import { isCheckpoint } from '../../src/checkpoint.ts';
import { Viewer } from '../../src/resume/viewer.ts';
import { LocalStorageOffsetStore } from '../../src/stores/local-storage/store.ts';
import { isRelayMessage } from '../../src/tabs/relay.ts';
import { fuzz } from './fuzz.ts';
import type { Random } from './random.ts';
import { webStorage } from './web-storage.ts';

/** The channel that a store has opened, to which anything can be posted. */
class Posted {
  static last: Posted | undefined;
  onmessage: ((event: { data: unknown }) => void) | undefined;
  constructor() {
    Posted.last = this;
  }
  postMessage(): void {}
  close(): void {}
}
vi.stubGlobal('BroadcastChannel', Posted);
afterAll(() => void vi.unstubAllGlobals());

const store = new LocalStorageOffsetStore({ storage: webStorage(new Map()) });
const tracker = new OffsetTracker(store, { strategy: 'manual' });
tracker.subscribe(() => {});
store.subscribe((change) => {
  if (change.type !== 'commit') return;
  for (const checkpoint of change.batch.values()) {
    if (!isCheckpoint({ ...checkpoint })) throw new Error(`told of ${JSON.stringify(checkpoint)}`);
  }
});
await tracker.record('orders', Offset.sequence(1));
const { onmessage } = Posted.last ?? {};

fuzz('messages of any kind between tabs', async (random) => {
  const batch = new Map([[random.chance(0.5) ? random.source() : `source ${random.below(1e9)}`, random.checkpoint()]]);
  const type = random.pick(['commit', 'leaving', 'clearAll', 'other']);
  const message = { type, batch, generation: random.pick(['first', undefined, 'other']) };
  const before = store.malformedMessages;
  const data: unknown = structuredClone(random.chance(0.2) ? message : random.altered(message));
  if (!onmessage) throw new Error('the store listens to no channel');
  onmessage({ data });
  if (random.chance(0.05)) await tracker.record('orders', Offset.sequence(2));
  const known = tracker.status('orders').recorded;
  if (before === store.malformedMessages && data === undefined) throw new Error('nothing is taken for a message');
  if (known && typeof Offset.format(known) !== 'string') throw new Error('no offset');
  // What is left is written before the next input.
  if (type === 'leaving') await new Promise((resolve) => setImmediate(resolve));
});

fuzz('messages of any kind to a tab that views', (random) => {
  const viewer = viewerOf(random);
  for (let count = 1 + random.below(8); count > 0; count--) {
    const message = messageOf(random);
    const data: unknown = structuredClone(random.chance(0.3) ? message : random.altered(message));
    if (isRelayMessage(data)) viewer.hear(data);
  }
  viewer.close();
});

function viewerOf(random: Random): Viewer {
  const reads = random.chance(0.3);
  const life = { epoch: 1, reset: 0, start: Offset.earliest };
  const viewer = new Viewer(
    {
      source: 'orders',
      compare: undefined,
      id: 'me',
      view: () => {},
      fail: () => {},
      reader: () => (reads ? { at: { offset: Offset.sequence(1), index: 0 }, life } : undefined),
      hasBegun: async () => random.chance(0.5),
      read: async () => {},
      lost: () => {},
    },
    { post: () => {}, suspend: () => {}, wake: () => {} },
  );
  if (random.chance(0.9)) viewer.begin(Offset.sequence(random.below(3)), 1);
  return viewer;
}

function messageOf(random: Random): object {
  const place = () => ({ offset: Offset.sequence(random.below(5)), index: random.below(2) });
  const life = { epoch: random.below(3), reset: random.below(3), start: random.offset() };
  const item = () => ({ after: place(), place: place(), event: random.chance(0.8) ? { data: 1 } : undefined });
  return random.pick<object>([
    { type: 'item', ...life, ...item() },
    { type: 'ask', id: 'other', after: place() },
    { type: 'answer', id: 'me', ...life, items: [item(), item()], at: place() },
    { type: 'state', state: 'open', attempt: 0 },
    { type: 'progress', head: random.offset(), upToDate: true },
  ]);
}
