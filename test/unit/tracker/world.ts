import {
  type Batch,
  type Checkpoint,
  Offset,
  type OffsetStore,
  type StoreChange,
  StorageError,
  compareCheckpoints,
  join,
} from '../../../src/index.ts';
import { beginEpoch, isFence } from '../../../src/checkpoint.ts';

/** What becomes of a call of the store: it fails before it had an effect, or after, or for one source of its batch. */
export type Fate = 'ok' | 'before' | 'after' | 'guilty';

/** A feed's events have places 1, 2, 3 …; what a tracker sees of them are offsets. */
export interface Feed {
  offset(place: number): Offset;
  place(offset: Offset | undefined): number;
}

export const places = 100;

/** Numbers with holes between them. */
export const numberedFeed: Feed = {
  offset: (place) => Offset.sequence(place * 3),
  place: (offset) => (offset?.kind === 'sequence' ? Number(offset.value) / 3 : 0),
};

/** Cursors that say nothing about their order. */
export const opaqueFeed: Feed = {
  offset: (place) => Offset.custom(cursors[place] ?? ''),
  place: (offset) => (offset?.kind === 'custom' ? cursors.indexOf(offset.value) : 0),
};
const cursors = Array.from({ length: places + 1 }, (_, place) => `cursor ${(place * 37) % (places + 1)}`);

interface Call {
  readonly by: SlowStore;
  /** Its effect; undefined once it has been had. */
  effect: ((fate: Fate) => void) | undefined;
  /** Its answer. */
  readonly answer: () => void;
}

interface Message {
  readonly to: SlowStore;
  readonly batch: Batch;
}

/** A source's life between two resets, as seen by somebody who sees everything. */
interface Epoch {
  /** The places it was reset to, or where it was fenced: one, unless two trackers reset it at the same moment. */
  readonly bases: Set<number>;
  /** The events that somebody processed who began to read in this epoch. */
  readonly processed: Set<number>;
}

/** One storage for several trackers, in which nothing happens by itself, and whatever happens is checked. */
export class World {
  readonly feed: Feed;
  readonly stored = new Map<string, Checkpoint>();
  readonly calls: Call[] = [];
  readonly messages: Message[] = [];
  /** What pages saved as they went away: joined when somebody reads. */
  readonly slots: Batch[] = [];
  readonly stores = new Set<SlowStore>();
  /** Events that somebody processed who did not ask where to begin, by source: they count in any epoch. */
  readonly #loose = new Map<string, Set<number>>();
  readonly #epochs = new Map<string, Epoch>();
  /** The first thing that was found wrong where nobody could be told at once. */
  wrong: unknown;

  readonly atomic: boolean;

  constructor(feed: Feed, atomic: boolean) {
    this.feed = feed;
    this.atomic = atomic;
  }

  /** Checks something inside a promise or a listener, whose errors would be taken for something else. */
  guard(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.wrong ??= error;
    }
  }

  epoch(source: string, number: number): Epoch {
    const key = `${source} ${number}`;
    let epoch = this.#epochs.get(key);
    if (epoch === undefined) {
      epoch = { bases: new Set(number === 0 ? [0] : []), processed: new Set() };
      this.#epochs.set(key, epoch);
    }
    return epoch;
  }

  /**
   * Where two resets met in one epoch, opaque cursors of both are ordered by rank from two starts: repeating is allowed
   * then.
   */
  isExact(source: string, epoch: number): boolean {
    return this.feed === numberedFeed || (!this.isLoose(source) && this.epoch(source, epoch).bases.size <= 1);
  }

  isLoose(source: string): boolean {
    return this.#loose.has(source);
  }

  /** Processes the event after what is stored. */
  loosen(source: string): number {
    const place = this.feed.place(this.stored.get(source)?.offset) + 1;
    const loose = this.#loose.get(source) ?? new Set();
    this.#loose.set(source, loose.add(place));
    return place;
  }

  /** Up to where all has been processed in an epoch. */
  watermark(source: string, epoch: number): number {
    const { bases, processed } = this.epoch(source, epoch);
    let place = Math.max(0, ...bases, ...(this.#loose.get(source) ?? []));
    while (processed.has(place + 1)) place++;
    return place;
  }

  /** Whether a record of a place in an epoch is durable now. */
  holds(source: string, epoch: number, place: number): boolean {
    const now = this.stored.get(source);
    if (now === undefined) return false;
    return now.epoch > epoch || (now.epoch === epoch && this.feed.place(now.offset) >= place);
  }

  /** One thing happens: the effect of a call, or its answer. */
  step(pick: number, fate: Fate): void {
    const call = this.calls[pick % Math.max(1, this.calls.length)];
    if (call === undefined) return;
    if (call.effect) {
      call.effect(fate);
      call.effect = undefined;
    } else {
      this.calls.splice(this.calls.indexOf(call), 1);
      if (!call.by.dead) call.answer();
    }
  }

  /** Joins what pages saved. */
  fold(): void {
    for (const batch of this.slots.splice(0)) this.commit(batch, undefined);
  }

  deliver(pick: number, keep: boolean): void {
    const message = this.messages[pick % Math.max(1, this.messages.length)];
    if (message === undefined) return;
    if (!keep) this.messages.splice(this.messages.indexOf(message), 1);
    if (!message.to.suspended) message.to.listener?.({ type: 'commit', batch: message.batch });
  }

  lose(pick: number): void {
    if (this.messages.length > 0) this.messages.splice(pick % this.messages.length, 1);
  }

  /** Joins a batch into what is stored, and holds that to the promises of the design. */
  commit(batch: Batch, by: SlowStore | undefined): Map<string, Checkpoint> {
    const stands = new Map<string, Checkpoint>();
    for (const [source, incoming] of batch) {
      const before = this.stored.get(source);
      const after = join(before, incoming, source);
      stands.set(source, after);
      this.stored.set(source, after);
      if (after === incoming && after.epoch > (before?.epoch ?? 0)) {
        const place = this.feed.place(after.offset);
        // A fence carries over what was processed in an epoch before it.
        if (isFence(after.epoch))
          this.guard(() => claim(this.#carries(source, after.epoch, place), 'a fence moves nothing'));
        this.epoch(source, after.epoch).bases.add(place);
      }
      this.guard(() => this.#check(source, before, after));
    }
    for (const store of this.stores) {
      if (store !== by) this.messages.push({ to: store, batch: stands });
    }
    return stands;
  }

  #carries(source: string, number: number, place: number): boolean {
    if (place === 0) return true;
    for (const key of this.#epochs.keys()) {
      const [name, epoch] = key.split(' ');
      if (name === source && Number(epoch) < number && place <= this.watermark(source, Number(epoch))) return true;
    }
    return false;
  }

  #check(source: string, before: Checkpoint | undefined, after: Checkpoint): void {
    const place = this.feed.place(after.offset);
    claim(place <= this.watermark(source, after.epoch), 'what is committed has been processed');
    if (before === undefined) return;
    claim(compareCheckpoints(after, before, source) >= 0, 'nothing goes back');
    if (before.epoch === after.epoch && this.isExact(source, after.epoch)) {
      claim(place >= this.feed.place(before.offset), 'nothing goes back within an epoch');
    }
  }
}

/** What one tracker has of the storage: calls that take effect and are answered when the world says so. */
export class SlowStore implements OffsetStore {
  readonly capabilities = {
    durability: 'durable',
    transactional: false,
    consistency: 'strong',
    shared: 'tabs',
  } as const;
  /** Its tab is gone: what it asked for may still take effect, but is not answered. */
  dead = false;
  /** Its page is away: it hears nothing. */
  suspended = false;
  listener: ((change: StoreChange) => void) | undefined;
  readonly #world: World;

  readonly begin?: NonNullable<OffsetStore['begin']>;

  /** @param atomic whether it begins an epoch by itself */
  constructor(world: World, atomic: boolean) {
    this.#world = world;
    if (atomic)
      this.begin = (source, at) =>
        this.#call(() => {
          const mine = beginEpoch(world.stored.get(source), at, 0);
          return world.commit(new Map([[source, mine]]), this).get(source) ?? mine;
        }, source);
    world.stores.add(this);
  }

  get(source: string): Promise<Checkpoint | undefined> {
    return this.#call(() => {
      this.#world.fold();
      return this.#world.stored.get(source);
    }, source);
  }

  getAll(): Promise<Map<string, Checkpoint>> {
    return this.#call(() => new Map(this.#world.stored));
  }

  commit(batch: Batch): Promise<Map<string, Checkpoint>> {
    const copy = new Map(batch);
    return this.#call(() => this.#world.commit(copy, this), copy.keys().next().value);
  }

  clearAll(): Promise<void> {
    return this.#call(() => this.#world.stored.clear());
  }

  async close(): Promise<void> {}

  commitOnHide(batch: Batch): void {
    this.#world.slots.push(new Map(batch));
  }

  suspend(): void {
    this.suspended = true;
  }

  wake(): void {
    this.suspended = false;
  }

  subscribe(listener: (change: StoreChange) => void): () => void {
    this.listener = listener;
    return () => {
      this.listener = undefined;
    };
  }

  die(): void {
    this.dead = true;
    this.listener = undefined;
    this.#world.stores.delete(this);
  }

  #call<T>(effect: () => T, source?: string): Promise<T> {
    return new Promise((resolve, reject) => {
      let answer = (): void => {};
      this.#world.calls.push({
        by: this,
        effect: (fate) => {
          if (fate === 'ok' || fate === 'after') {
            const result = effect();
            answer = () => resolve(result);
          }
          if (fate !== 'ok') {
            const options = fate === 'guilty' ? { source } : {};
            answer = () => reject(new StorageError(`the disk failed: ${fate}`, options));
          }
        },
        answer: () => answer(),
      });
    });
  }
}

/** A cheap `expect`: there are hundreds of thousands of them. */
export function claim(truth: boolean, what: string): asserts truth {
  if (!truth) throw new Error(`not so: ${what}`);
}
