import {
  type CommitOutcome,
  OffsetError,
  OffsetTracker,
  type Reading as Handle,
  type Strategy,
  StorageError,
  type Ticket,
} from '../../../src/index.ts';
import { isNode } from '../runtime.ts';
import { SlowStore, type World, claim, places } from './world.ts';

const maxInFlight = 4;

/** What a tab makes of one `read`, or of its own reset: events begun in the order of the feed, finished in any. */
interface Reading {
  /** Undefined after a reset of this tab's own, which goes on by `tracker.record`. */
  readonly handle: Handle | undefined;
  readonly epoch: number;
  readonly events: { readonly place: number; state: 'open' | 'done' | 'abandoned' }[];
  /** Before the first of `events`. */
  readonly start: number;
  /** Where the next `read` is under way, it reads no more, though events that have begun may finish. */
  ended: boolean;
}

interface Owed {
  readonly epoch: number;
  readonly place: number;
}

interface Begun {
  readonly source: string;
  readonly reading: Reading;
  readonly event: Reading['events'][number];
  readonly ticket: Ticket;
}

/** A tab with a tracker that reads feeds as an application does, and checks all that it is told. */
export class Tab {
  readonly #world: World;
  readonly #strategy: Strategy;
  readonly #readings = new Map<string, Reading>();
  /** The furthest that this tab's tracker owes to the store. */
  readonly #owed = new Map<string, Owed>();
  /** Sources of which it depends on a reset what is owed. */
  readonly #vague = new Set<string>();
  readonly #seen = new Map<string, Owed>();
  readonly #told = new Set<string>();
  /** Sources with a reset of this tab's own under way, which makes void what is recorded meanwhile. */
  readonly #resetting: string[] = [];
  #begun: Begun[] = [];
  /** Whether a reading was closed, which refuses what waited for a reset until then. */
  #closes = false;
  /** What has been promised and has not come. */
  readonly unsettled = new Set<string>();
  #promises = 0;
  store: SlowStore;
  tracker: OffsetTracker;
  #page: ReadonlyMap<string, (event: unknown) => void> = new Map();

  constructor(world: World, strategy: Strategy) {
    this.#world = world;
    this.#strategy = strategy;
    [this.store, this.tracker] = this.#open();
  }

  #open(): [SlowStore, OffsetTracker] {
    const store = new SlowStore(this.#world, this.#world.atomic);
    const tracker = new OffsetTracker(store, {
      strategy: this.#strategy,
      maxInFlight,
      onError: () => {},
      now: () => 0,
    });
    const unwatch = watchPage();
    tracker.subscribe(({ type, source = '', origin }) => {
      if (origin === 'local' || (type !== 'reset' && type !== 'cleared')) return;
      // What nobody reads here is told as it comes, and not kept.
      if (tracker.status(source).epoch === 0) return;
      const fence = `${source} ${tracker.status(source).epoch}`;
      this.#world.guard(() => claim(!this.#told.has(fence), 'a reset elsewhere is told once'));
      this.#told.add(fence);
    });
    this.#page = unwatch();
    return [store, tracker];
  }

  /** The page goes away. What runs in it still runs: it has handlers of its own. */
  hide(): void {
    this.#page.get('pagehide')?.({});
  }

  /** The page comes back out of the cache. */
  show(): void {
    this.#page.get('pageshow')?.({ persisted: true });
  }

  /** The tab crashes, and somebody opens it again. */
  crash(): void {
    this.store.die();
    this.tracker.close().catch(() => {});
    for (const memory of [this.#readings, this.#owed, this.#vague, this.#seen, this.#told, this.unsettled])
      memory.clear();
    this.#begun = [];
    this.#resetting.length = 0;
    [this.store, this.tracker] = this.#open();
  }

  read(source: string, fence = false): void {
    const { tracker } = this;
    const before = this.#readings.get(source);
    if (before?.ended) return;
    const ended = before ?? { handle: undefined, epoch: -1, events: [], start: 0, ended: true };
    ended.ended = true;
    this.#readings.set(source, ended);
    this.#expect('read', tracker.read(source, { fence }), (handle) => {
      if (tracker !== this.tracker) return;
      claim(!handle.signal.aborted && !tracker.status(source).fenced, 'reading starts again');
      this.#start(source, this.#world.feed.place(handle.from), handle);
    }).catch(() => {
      if (before) before.ended = false;
      else if (this.#readings.get(source) === ended) this.#readings.delete(source);
    });
  }

  record(source: string): void {
    const reading = this.#next(source);
    if (!reading) return;
    const event = { place: this.#place(reading) + 1, state: 'done' as const };
    this.#process(source, reading, event, () => this.#record(source, reading, event.place));
  }

  /** The feed sends an event that it has sent already. */
  repeat(source: string): void {
    const reading = this.#next(source);
    const last = reading?.events.at(-1);
    if (!reading || !last || reading.events.some(({ state }) => state !== 'done')) return;
    this.#hold(source, reading.epoch, last.place, this.#record(source, reading, last.place));
  }

  begin(source: string): void {
    const reading = this.#next(source);
    if (!reading) return;
    const event = { place: this.#place(reading) + 1, state: 'open' as const };
    const offset = this.#world.feed.offset(event.place);
    reading.events.push(event);
    const { tracker } = this;
    const begin = reading.handle ? reading.handle.begin(offset) : tracker.begin(source, offset);
    this.#expect('begin', begin, (ticket) => {
      if (tracker === this.tracker) this.#begun.push({ source, reading, event, ticket });
    }).catch(() => {});
  }

  done(pick: number): void {
    const begun = this.#take(pick);
    if (!begun) return;
    const { source, reading, event, ticket } = begun;
    this.#process(source, reading, event, () => ticket.done());
  }

  abandon(pick: number): void {
    const begun = this.#take(pick);
    if (!begun) return;
    begun.event.state = 'abandoned';
    begun.ticket.abandon();
  }

  /** An application that keeps no reading says that the event after what is stored is processed. */
  blind(source: string): void {
    const { tracker } = this;
    if (this.#readings.has(source) || this.#resetting.includes(source)) return;
    const place = this.#world.loosen(source);
    if (place > places) return;
    this.#expect('blind record', tracker.record(source, this.#world.feed.offset(place)), () => {}).catch(() => {});
  }

  close(source: string): void {
    const reading = this.#readings.get(source);
    if (!reading?.handle || reading.ended) return;
    this.#readings.delete(source);
    const { handle } = reading;
    this.#closes = true;
    // What waits for the end of a reset is refused.
    if (this.#resetting.includes(source)) {
      this.#owed.delete(source);
      this.#vague.add(source);
    }
    this.#begun = this.#begun.filter((begun) => begun.reading !== reading);
    this.#expect('close', handle.close(), () => claim(handle.signal.aborted, 'a closed reading is over')).catch(
      () => {},
    );
  }

  commit(source: string): void {
    const owed = this.#due(source);
    const due = this.tracker.status(source).pending && owed;
    this.#expect('commit', this.tracker.commit(source), (outcome) => {
      if (outcome === 'committed' && due) this.#isDurable(source, due.epoch, due.place);
    }).catch(() => {});
  }

  /** What a commit that is asked for now must write; what is recorded during an own reset waits for its end. */
  #due(source: string): Owed | undefined {
    return this.#resetting.includes(source) ? undefined : this.#owed.get(source);
  }

  commitAll(): Promise<Map<string, CommitOutcome> | undefined> {
    const due = new Map([...this.tracker.getAllPending().keys()].map((source) => [source, this.#due(source)]));
    return this.#expect('commitAll', this.tracker.commitAll(), (outcomes) => {
      claim(outcomes.size === due.size, 'commitAll answers for what was pending');
      for (const [source, outcome] of outcomes) {
        const owed = due.get(source);
        if (outcome === 'committed' && owed) this.#isDurable(source, owed.epoch, owed.place);
      }
    }).catch(() => undefined);
  }

  /** @param place where to; undefined: clear */
  reset(source: string, place: number | undefined): void {
    const { tracker } = this;
    const reset = place ? tracker.reset(source, this.#world.feed.offset(place)) : tracker.clear(source);
    this.#resetting.push(source);
    const ended = (): void => void this.#resetting.splice(this.#resetting.indexOf(source), 1);
    this.#expect('reset', reset, () => {
      ended();
      // A later reset by somebody else may have come first: it fenced this tab, and its own loop must ask where to start.
      if (tracker !== this.tracker || tracker.status(source).fenced) return;
      claim(this.#world.holds(source, tracker.status(source).epoch, 0), 'its epoch stands');
      this.#start(source, place ?? 0, undefined);
    }).catch(ended);
  }

  /** What the tracker shows at any time. */
  check(): void {
    const pending = this.tracker.getAllPending();
    for (const source of ['a', 'b']) {
      const { epoch, committed, fenced, recorded } = this.tracker.status(source);
      const exact = this.#world.isExact(source, epoch);
      const owed = this.#owed.get(source);
      const found = pending.get(source);
      if (found) {
        claim(!fenced, 'nothing is pending behind a fence');
        claim(found === recorded, 'what is pending is what is recorded');
        if (this.#resetting.includes(source) || this.#vague.has(source) || this.#world.isLoose(source)) continue;
        claim(owed?.epoch === epoch, 'what is pending is of this epoch');
        claim(!exact || this.#world.feed.place(found) === owed.place, 'what is pending is the watermark');
      }
      // Until it has read, a tracker has only heard of the source, and has no epoch of its own.
      if ((this.#readings.get(source)?.epoch ?? -1) < 0) continue;
      const place = this.#world.feed.place(committed);
      const before = this.#seen.get(source) ?? { epoch: 0, place: 0 };
      claim(epoch >= before.epoch, 'a later epoch stays');
      claim(epoch > before.epoch || place >= before.place || !exact, 'what is shown as committed does not go back');
      this.#seen.set(source, { epoch, place });
    }
  }

  /** What it must have reached once nothing fails any more and a commit was asked for. */
  checkEnd(): void {
    claim(this.tracker.getAllPending().size === 0, 'one more trigger commits everything');
    for (const [source, { epoch, place }] of this.#owed) {
      const status = this.tracker.status(source);
      if (!status.fenced && status.epoch === epoch) this.#isDurable(source, epoch, place);
    }
    claim(this.unsettled.size === 0, `no promise hangs, as ${[...this.unsettled].join()}`);
  }

  #record(source: string, { handle }: Reading, place: number): ReturnType<Ticket['done']> {
    const offset = this.#world.feed.offset(place);
    return handle ? handle.record(offset) : this.tracker.record(source, offset);
  }

  #start(source: string, start: number, handle: Handle | undefined): void {
    const { epoch } = this.tracker.status(source);
    // What the tracker starts at, it has recorded or the store holds.
    if (this.#vague.delete(source) && handle && start > 0) this.#owed.set(source, { epoch, place: start });
    this.#readings.set(source, { handle, epoch, events: [], start, ended: false });
    if (this.#owed.get(source)?.epoch !== epoch) this.#owed.delete(source);
  }

  #next(source: string): Reading | undefined {
    const reading = this.#readings.get(source);
    if (!reading || reading.ended || this.#place(reading) >= places) return undefined;
    return reading.events.length - this.#passed(reading) < maxInFlight ? reading : undefined;
  }

  #place(reading: Reading): number {
    return reading.start + reading.events.length;
  }

  /** How many events the watermark has passed. */
  #passed(reading: Reading): number {
    const held = reading.events.findIndex(({ state }) => state !== 'done');
    return held < 0 ? reading.events.length : held;
  }

  #take(pick: number): Begun | undefined {
    return this.#begun.splice(pick % Math.max(1, this.#begun.length), 1)[0];
  }

  #process(
    source: string,
    reading: Reading,
    event: Reading['events'][number],
    tell: () => ReturnType<Ticket['done']>,
  ): void {
    const isVoid = this.tracker.status(source).fenced || this.tracker.status(source).epoch !== reading.epoch;
    event.state = 'done';
    if (!reading.events.includes(event)) reading.events.push(event);
    this.#world.epoch(source, reading.epoch).processed.add(event.place);
    if (!isVoid && this.#passed(reading) > 0) {
      const place = reading.start + this.#passed(reading);
      const owed = this.#owed.get(source);
      if (owed === undefined || owed.epoch !== reading.epoch || owed.place < place) {
        this.#owed.set(source, { epoch: reading.epoch, place });
      }
    }
    const told = tell();
    if (isVoid)
      this.#expect('void', told, (outcome) => claim(outcome === 'fenced', 'what is void is told so')).catch(() => {});
    else this.#hold(source, reading.epoch, event.place, told);
  }

  #hold(source: string, epoch: number, place: number, told: ReturnType<Ticket['done']>): void {
    const { tracker } = this;
    const resetting = this.#resetting.includes(source);
    this.#expect('record', told, (outcome) => {
      if (outcome === 'committed') this.#isDurable(source, epoch, place);
      // During an own reset the tracker does not show yet what somebody else's has done.
      const mayBe = resetting || this.#resetting.includes(source) || tracker.status(source).epoch > epoch;
      if (outcome === 'fenced') claim(mayBe, 'what is fenced was reset');
    }).catch(() => {});
  }

  #isDurable(source: string, epoch: number, place: number): void {
    if (!this.#world.isExact(source, epoch)) return;
    claim(this.#world.holds(source, epoch, place), `'committed' is true of ${source} ${epoch}:${place}`);
  }

  /** Waits for a promise, which may reject with what the disk failed with, but with nothing else, and must not hang. */
  #expect<T>(what: string, promise: Promise<T>, check: (value: T) => void): Promise<T | undefined> {
    const name = `${what} ${this.#promises++}`;
    const { tracker } = this;
    this.unsettled.add(name);
    return promise.then(
      (value) => {
        this.unsettled.delete(name);
        this.#world.guard(() => check(value));
        return value;
      },
      (error: unknown) => {
        this.unsettled.delete(name);
        if (tracker !== this.tracker) throw error;
        const closed = this.#closes && error instanceof OffsetError && error.code === 'closed';
        this.#world.guard(() =>
          claim(closed || error instanceof StorageError, `it fails as the disk did, not with ${String(error)}`),
        );
        throw error;
      },
    );
  }
}

/** Gives a tracker that starts a page to watch. @returns a function that ends it, with the tracker's listeners by event */
function watchPage(): () => ReadonlyMap<string, (event: unknown) => void> {
  const listeners = new Map<string, (event: unknown) => void>();
  if (!isNode) return () => listeners;
  const own = {
    document: { hidden: false },
    addEventListener: (type: string, on: () => void) => listeners.set(type, on),
  };
  Object.assign(globalThis, own);
  return () => {
    for (const name of Object.keys(own)) Reflect.deleteProperty(globalThis, name);
    return listeners;
  };
}
