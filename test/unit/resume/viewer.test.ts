import { Offset } from 'tidemark';
import { describe, expect, test, vi } from 'vitest';
import { Placer } from '../../../src/resume/place.ts';
import { viewTransitions } from '../../../src/resume/view-states.ts';
import { Viewer } from '../../../src/resume/viewer.ts';
import { type Item, type RelayMessage, isRelayMessage } from '../../../src/tabs/relay.ts';
import { mulberry32 } from '../../random.ts';
import { turn } from './feeds.ts';

interface Event {
  readonly offset?: Offset;
  readonly n: number;
}

/** A log, in which every third event may be without an offset of its own; and the tabs that view it. */
class World {
  readonly opaque: boolean;
  readonly log: Event[] = [];
  readonly tabs = new Set<Tab>();
  /** Epochs that the store knows of. */
  epoch = 1;
  readings = 0;
  mostReadings = 0;

  constructor({ opaque = false } = {}) {
    this.opaque = opaque;
  }

  grow(): void {
    const n = this.log.length + 1;
    const offset = this.opaque ? Offset.custom(`c${(n * 7919) % 10_007}`) : Offset.sequence(n);
    this.log.push(n % 3 === 2 ? { n } : { n, offset });
  }

  /** The index in the log that follows an offset. */
  after(offset: Offset): number {
    if (offset.kind === 'earliest') return 0;
    return this.log.findIndex((event) => event.offset && Offset.equals(event.offset, offset)) + 1;
  }
}

class Tab {
  readonly seen: number[] = [];
  readonly viewer: Viewer;
  readonly world: World;
  readonly failures: unknown[] = [];
  away = false;
  #stream: { at: number; readonly placer: Placer; readonly epoch: number } | undefined;

  constructor(world: World, { view }: { readonly view?: (n: number) => unknown } = {}) {
    this.world = world;
    world.tabs.add(this);
    this.viewer = new Viewer(
      {
        source: 'orders',
        compare: undefined,
        id: crypto.randomUUID(),
        view: (event) => {
          const { n } = event as Event;
          this.seen.push(n);
          return view?.(n);
        },
        fail: (error) => this.failures.push(error),
        reader: () =>
          this.#stream && {
            at: this.#stream.placer.place,
            life: { epoch: this.#stream.epoch, ...this.viewer.life },
          },
        hasBegun: async (epoch) => world.epoch >= epoch,
        read: (from, signal, take) => this.#readAlone(from.offset, signal, take),
        lost: (error) => this.failures.push(error),
      },
      {
        post: (message) => this.post(structuredClone(message)),
        suspend: () => (this.away = true),
        wake: () => (this.away = false),
      },
    );
  }

  post(message: unknown): void {
    for (const tab of this.world.tabs) {
      if (tab !== this && !tab.away && isRelayMessage(message)) tab.viewer.hear(structuredClone(message));
    }
  }

  get reads(): boolean {
    return this.#stream !== undefined;
  }

  /** Becomes the reader, from an offset. */
  take(from: Offset): void {
    this.#stream = { at: this.world.after(from), placer: new Placer(from), epoch: ++this.world.epoch };
    this.viewer.readerChanged();
  }

  lose(): void {
    this.#stream = undefined;
  }

  /** Reads one event, if there is one. */
  read(): void {
    const stream = this.#stream;
    const event = stream && this.world.log[stream.at];
    if (!event || this.away) return;
    stream.at++;
    const item = { ...stream.placer.next(event.offset), event };
    this.post(structuredClone({ type: 'item', epoch: stream.epoch, ...this.viewer.life, ...item }));
    this.viewer.read(item);
  }

  die(): void {
    this.viewer.close();
    this.lose();
    this.world.tabs.delete(this);
  }

  async #readAlone(from: Offset, signal: AbortSignal, take: (item: Item) => Promise<void> | undefined): Promise<void> {
    const { world } = this;
    world.mostReadings = Math.max(world.mostReadings, ++world.readings);
    const placer = new Placer(from);
    for (let at = world.after(from); !signal.aborted;) {
      const event = world.log[at];
      await turn();
      if (!event || signal.aborted) continue;
      at++;
      await take({ ...placer.next(event.offset), event });
    }
    world.readings--;
  }
}

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

describe.each([{ opaque: false }, { opaque: true }])('viewers of a log (opaque offsets: $opaque)', ({ opaque }) => {
  test.each(Array.from({ length: 6 }, (_, seed) => seed))(
    'see every event once and in order, whoever reads and sleeps (seed %i)',
    async (seed) => {
      const random = mulberry32(seed);
      const world = new World({ opaque });
      const tabs = Array.from({ length: 4 }, () => new Tab(world));
      for (const { viewer } of tabs) viewer.begin(Offset.earliest, 0);
      const any = (): Tab => tabs[Math.floor(random() * tabs.length)] as Tab;
      // What the reader has processed is behind what it has relayed; two readers for a moment, when one has slept.
      const stored = (): Offset =>
        world.log
          .slice(0, Math.max(0, Math.min(...tabs.map(({ seen }) => seen.length)) - Math.floor(random() * 9)))
          .reduce<Offset>((last, { offset }) => offset ?? last, Offset.earliest);
      for (let step = 0; step < 600; step++) {
        const tab = any();
        const kind = random();
        if (kind < 0.5) world.grow();
        if (kind < 0.9) for (const each of tabs) each.read();
        if (kind > 0.97) tab.take(stored());
        else if (kind > 0.95) tab.lose();
        else if (kind > 0.93) tab.viewer.leave();
        else if (kind > 0.9) tab.viewer.return();
        if (step % 50 === 0) await turn();
      }
      for (const tab of tabs) {
        tab.viewer.return();
        tab.lose();
      }
      any().take(stored());
      while (tabs.some(({ seen }) => seen.length < world.log.length)) {
        for (const tab of tabs) tab.read();
        await turn();
      }
      for (const { seen } of tabs) expect(seen).toEqual(upTo(world.log.length));
      await vi.waitFor(() => expect(world.readings).toBe(0), 10_000);
      for (const tab of tabs) tab.die();
    },
  );

  test('go on where a reset says, whoever reads then, and heed no reader that slept through it', async () => {
    const world = new World({ opaque });
    const [first, second, third] = [new Tab(world), new Tab(world), new Tab(world)];
    const all = [first, second, third];
    for (const { viewer } of all) viewer.begin(Offset.earliest, 0);
    for (let n = 0; n < 10; n++) world.grow();
    first.take(Offset.earliest);
    for (let n = 0; n < 8; n++) first.read();
    // Only the next reader hears of it by itself.
    const reset = ++world.epoch;
    second.viewer.resetTo(Offset.earliest, reset);
    second.take(Offset.earliest);
    second.read();
    await vi.waitFor(() => expect(third.viewer.life.reset).toBe(reset));
    first.read();
    first.lose();
    for (let n = 0; n < 9; n++) second.read();
    await vi.waitFor(() => expect(third.seen).toEqual([...upTo(8), ...upTo(10)]));
    expect(second.seen).toEqual([...upTo(8), ...upTo(10)]);
    for (const tab of all) tab.die();
  });
});

describe('a viewer', () => {
  test('follows no reset that the store does not know of', async () => {
    const world = new World();
    const [reader, other] = [new Tab(world), new Tab(world)];
    for (const { viewer } of [reader, other]) viewer.begin(Offset.earliest, 0);
    reader.take(Offset.earliest);
    for (let n = 0; n < 5; n++) world.grow();
    reader.read();
    const place = { offset: Offset.sequence(99), index: 0 };
    other.viewer.hear({
      type: 'item',
      epoch: 1e15,
      reset: 1e15,
      start: place.offset,
      after: place,
      place,
      event: { n: 99 },
    });
    await turn();
    for (let n = 0; n < 4; n++) reader.read();
    expect(other.seen).toEqual(upTo(5));
    reader.die();
    other.die();
  });

  test('shows events one after the other where showing them takes a while, and none twice', async () => {
    const world = new World();
    let running = 0;
    const slow = async (): Promise<void> => {
      expect(++running).toBe(1);
      await turn();
      running--;
    };
    const [reader, other] = [new Tab(world), new Tab(world, { view: slow })];
    for (const { viewer } of [reader, other]) viewer.begin(Offset.earliest, 0);
    reader.take(Offset.earliest);
    // More than may wait, so that the rest is asked for later.
    for (let n = 0; n < 1500; n++) world.grow();
    for (let n = 0; n < 1500; n++) reader.read();
    await vi.waitFor(() => expect(other.seen.length).toBe(1500), 50_000);
    expect(other.seen).toEqual(upTo(1500));
    reader.die();
    other.die();
  });

  test('ends its tab with what showing an event fails with, and shows no further one', () => {
    const world = new World();
    const failing = new Tab(world, {
      view: (n) => {
        if (n === 2) throw new Error('no room');
      },
    });
    failing.viewer.begin(Offset.earliest, 0);
    failing.take(Offset.earliest);
    for (let n = 0; n < 3; n++) world.grow();
    for (let n = 0; n < 3; n++) failing.read();
    expect([failing.seen, failing.failures]).toEqual([[1, 2], [new Error('no room')]]);
    failing.die();
  });

  test('has an answer to every event in every state', () => {
    const events = Object.keys(viewTransitions.joined);
    for (const answers of Object.values(viewTransitions)) expect(Object.keys(answers)).toEqual(events);
  });
});

describe('a message between tabs', () => {
  const place = { offset: Offset.sequence(1), index: 0 };
  const life = { epoch: 1, reset: 0, start: Offset.earliest };
  const item: RelayMessage = { type: 'item', ...life, after: place, place, event: { offset: place.offset } };

  test('is taken in the form that readers and viewers give it', () => {
    for (const message of [
      item,
      { type: 'ask', id: 'a', after: place },
      { type: 'answer', id: 'a', ...life, items: [{ after: place, place }], at: place },
      { type: 'answer', id: 'a', ...life },
      { type: 'state', state: 'retrying', attempt: 1, retryInMs: 5 },
      { type: 'progress', upToDate: true, head: place.offset },
    ])
      expect(isRelayMessage(message)).toBe(true);
  });

  test.each(
    [
      undefined,
      null,
      1,
      'item',
      [],
      {},
      { type: 'toString' },
      { ...item, epoch: NaN },
      { ...item, epoch: Infinity },
      { ...item, reset: '1' },
      { ...item, start: 1 },
      { ...item, place: { offset: place.offset, index: -1 } },
      { ...item, place: { offset: place.offset, index: 0.5 } },
      { ...item, place: { offset: { kind: 'sequence', value: 1 }, index: 0 } },
      { ...item, after: undefined },
      { ...item, event: 1 },
      { ...item, event: null },
      { ...item, event: { offset: 5 } },
      { ...item, lost: 'yes' },
      { type: 'ask', id: 5, after: place },
      { type: 'answer', id: 'a', ...life, items: [{}] },
      { type: 'answer', id: 'a', ...life, items: { length: 1 } },
      { type: 'answer', id: 'a', ...life, items: Array.from({ length: 100_000 }, () => ({ after: place, place })) },
      { type: 'state', state: 'closed', attempt: 0 },
      { type: 'state', state: 'open', attempt: -1 },
      { type: 'state', state: 'retrying', attempt: 1, error: {} },
      { type: 'progress', upToDate: 1 },
    ].map((message, i) => [i, message] as const),
  )('is ignored where it is malformed (%i)', (_, message) => {
    expect(isRelayMessage(message)).toBe(false);
  });
});
