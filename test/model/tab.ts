import { OffsetError, OffsetTracker, type Reading, StorageError } from '../../src/index.ts';
import type { RecordOutcome, Ticket } from '../../src/index.ts';
import { Platform } from './platform.ts';
import { type Answer, ModelStore } from './store.ts';
import type { Input, Operation, Output, Setup, View } from './steps.ts';
import { Violation, claim, source } from './values.ts';

/** What the application makes of one `read`, or of its own reset. */
interface Pass {
  /** Undefined after an own reset: it goes on by `tracker.record`. */
  readonly handle: Reading | undefined;
  readonly epoch: number;
  readonly start: number;
  readonly events: { readonly place: number; done: boolean }[];
  /** Where the next `read` is under way, it reads no more, though events that have begun may finish. */
  ended: boolean;
}

interface Begun {
  readonly pass: Pass;
  readonly event: Pass['events'][number];
  readonly ticket: Ticket;
}

/** More than any program begins. */
const maxInFlight = 16;

/** One life of a tab: an application with the real tracker, which checks what it is told. */
export class Tab {
  outputs: Output[] = [];
  readonly #setup: Setup;
  readonly #platform: Platform;
  readonly #store: ModelStore;
  readonly #tracker: OffsetTracker;
  readonly #calls = new Map<number, (answer: Answer) => void>();
  readonly #unsettled = new Map<number, string>();
  readonly #tickets: Begun[] = [];
  #pass: Pass | undefined;
  #owed: View['owed'];
  #resetting = 0;
  #began: number | undefined;
  /** Records that wait for the end of a reset. */
  #vague = 0;
  #away = false;
  #closed = false;
  #seen = { epoch: 0, place: 0 };
  #count = 0;

  /** @param salt tells apart the lives of all tabs of a run */
  constructor(setup: Setup, salt: number) {
    this.#setup = setup;
    this.#platform = new Platform(salt);
    this.#store = new ModelStore({
      ...setup,
      luck: () => this.#platform.random(),
      call: (call) =>
        new Promise((resolve) => {
          const id = this.#count++;
          this.#calls.set(id, resolve);
          this.outputs.push({ type: 'call', id, call });
        }),
      saved: (checkpoint) => this.outputs.push({ type: 'saved', checkpoint }),
      suspended: (away) => {
        this.#away = away;
        this.outputs.push({ type: 'away', away });
      },
    });
    this.#tracker = new OffsetTracker(this.#store, {
      strategy: setup.strategy,
      maxInFlight,
      onError: () => {},
      now: () => this.#platform.clock,
    });
  }

  /** Runs until nothing moves any more. @returns what it did to the outside */
  async step(input: Input): Promise<readonly Output[]> {
    this.outputs = [];
    await this.#platform.run(() => this.#guard(() => this.#take(input)));
    this.#guard(() => this.#check());
    return this.outputs;
  }

  get view(): View {
    return {
      can: this.#able(),
      armed: this.#platform.isArmed,
      owed: this.#isVoid(this.#owed) ? undefined : this.#owed,
      unsettled: [...this.#unsettled.values()],
      pending: this.#tracker.getAllPending().size > 0,
      busy: [...this.#unsettled.values()].some((what) => what === 'read' || what === 'reset'),
    };
  }

  #able(): Set<Operation> {
    const able = new Set<Operation>(['read', 'fence', 'reset', 'clear', 'commit', 'close']);
    const reads = this.#pass !== undefined && !this.#pass.ended;
    if (reads) for (const operation of ['record', 'begin'] as const) able.add(operation);
    // One after another: of those that were asked for at once, one that fails is left out.
    const applies = [...this.#unsettled.values()].includes('apply');
    if (reads && this.#pass?.handle && !applies) able.add('apply').add('both');
    if (this.#tickets.length > 0) able.add('done');
    if (this.#tickets.length > 1) able.add('last');
    able.add(this.#away ? 'wake' : 'hide');
    if (this.#platform.isPatient && this.#calls.size > 0) able.add('tire');
    return able;
  }

  #take(input: Input): void {
    switch (input.type) {
      case 'operation':
        return this.#operate(input.operation);
      case 'answer': {
        const resolve = this.#calls.get(input.call);
        this.#calls.delete(input.call);
        return resolve?.(input.answer);
      }
      case 'message':
        return this.#store.listener?.({ type: 'commit', batch: new Map([[source, input.checkpoint]]) });
      case 'timer':
        return this.#platform.tick();
    }
  }

  #operate(operation: Operation): void {
    switch (operation) {
      case 'read':
        return this.#read(false);
      case 'fence':
        return this.#read(true);
      case 'record':
        return this.#record();
      case 'begin':
        return this.#begin();
      case 'done':
        return this.#done(this.#tickets.shift());
      case 'last':
        return this.#done(this.#tickets.pop());
      case 'commit':
        return this.#commit();
      case 'reset':
        return this.#reset(1);
      case 'clear':
        return this.#reset(undefined);
      case 'apply':
        return this.#apply(1);
      case 'both':
        return this.#apply(2);
      case 'hide':
        this.#platform.turn('pagehide', {});
        return this.#safe();
      case 'wake':
        return this.#platform.turn('pageshow', { persisted: true });
      case 'tire':
        return this.#platform.tick();
      case 'close':
        this.#closed = true;
        return void this.#expect('close', this.#tracker.close(), () => {});
    }
  }

  #read(fence: boolean): void {
    if (this.#pass) this.#pass.ended = true;
    const own = this.#resetting + this.#vague > 0 || this.#isVoid(this.#owed) ? undefined : this.#owed;
    this.outputs.push({ type: 'asks' });
    const ask = (): void => {
      const begun = (handle: Reading): void => {
        const place = this.#setup.feed.place(handle.from);
        const { epoch } = this.#tracker.status(source);
        this.#start({ handle, epoch, start: place, events: [], ended: false }, own);
      };
      // Whoever has to read tries until it can.
      this.#expect('read', this.#tracker.read(source, { fence }), begun, ask);
    };
    ask();
  }

  #start(pass: Pass, own?: View['owed']): void {
    this.#pass = pass;
    const { epoch, start: place } = pass;
    this.outputs.push({ type: 'starts', asked: pass.handle !== undefined, epoch, place, own });
  }

  #record(): void {
    const pass = this.#pass;
    if (!pass) return;
    const place = pass.start + pass.events.length + 1;
    const event = { place, done: false };
    pass.events.push(event);
    const offset = this.#setup.feed.offset(place);
    this.#process(pass, event, () => pass.handle?.record(offset) ?? this.#tracker.record(source, offset));
  }

  #begin(): void {
    const pass = this.#pass;
    if (!pass) return;
    const event = { place: pass.start + pass.events.length + 1, done: false };
    pass.events.push(event);
    const offset = this.#setup.feed.offset(event.place);
    const begun = pass.handle?.begin(offset) ?? this.#tracker.begin(source, offset);
    this.#expect('begin', begun, (ticket) => this.#tickets.push({ pass, event, ticket }));
  }

  #done(begun: Begun | undefined): void {
    if (begun) this.#process(begun.pass, begun.event, () => begun.ticket.done());
  }

  /** An event has been processed, and the tracker is told so. */
  #process(pass: Pass, event: Pass['events'][number], tell: () => Promise<RecordOutcome>): void {
    const { epoch } = pass;
    const wasVoid = this.#isVoid(pass);
    const resetting = this.#resetting > 0;
    event.done = true;
    this.outputs.push({ type: 'processed', epoch, place: event.place });
    const open = pass.events.find(({ done }) => !done);
    const passed = open ? open.place - 1 : pass.start + pass.events.length;
    const told = tell();
    const owes = (): void => {
      if (passed > pass.start && pass.epoch === this.#tracker.status(source).epoch) this.#owe(epoch, passed);
    };
    // What is recorded during an own reset waits for its end, which makes it void, or not.
    if (resetting) this.#vague++;
    else if (!wasVoid) owes();
    const settle = (): void => {
      if (resetting) this.#vague--;
      if (this.#tracker.status(source).pending) owes();
    };
    const came = (outcome: RecordOutcome): void => {
      if (resetting) this.#vague--;
      if (wasVoid) return claim(outcome === 'fenced', `what is void is told so, not '${outcome}'`);
      if (outcome === 'fenced') {
        const now = this.#tracker.status(source).epoch;
        return claim(resetting || this.#resetting > 0 || now > epoch, `what is fenced was reset: ${epoch} to ${now}`);
      }
      owes();
      if (outcome === 'committed') this.#rely(epoch, event.place, 'a record was told');
    };
    this.#expect('record', told, came, settle);
    if (this.#away && !resetting) this.#safe();
  }

  #owe(epoch: number, place: number): void {
    if (this.#owed?.epoch !== epoch || this.#owed.place < place) this.#owed = { epoch, place };
  }

  /** Applies the effect of the next events, until it is decided what became of it. */
  #apply(count: number): void {
    const pass = this.#pass;
    if (!pass?.handle) return;
    const { handle, epoch } = pass;
    const from = pass.start + pass.events.length;
    const to = from + count;
    for (let place = from + 1; place <= to; place++) {
      pass.events.push({ place, done: true });
      this.outputs.push({ type: 'processed', epoch, place });
    }
    // What it takes beside the offset is the store's own.
    const { transact } = handle as unknown as {
      transact(...args: unknown[]): Promise<'applied' | 'duplicate' | 'fenced'>;
    };
    const came = (outcome: 'applied' | 'duplicate' | 'fenced'): void => {
      if (outcome === 'fenced') pass.ended = true;
      else this.#rely(epoch, to, `an effect is ${outcome}`);
    };
    const ask = (): void => this.#expect('apply', transact.call(handle, this.#setup.feed.offset(to), from), came, ask);
    ask();
  }

  #commit(): void {
    const owed = this.#resetting > 0 ? undefined : this.#owed;
    const { pending, fenced } = this.#tracker.status(source);
    this.#expect('commit', this.#tracker.commit(source), (outcome) => {
      if (outcome === 'none') claim(!pending && !fenced, 'a commit writes what is pending');
      if (outcome === 'committed' && owed) this.#rely(owed.epoch, owed.place, 'a commit was told');
    });
  }

  /** @param place where to; undefined: clear */
  #reset(place: number | undefined): void {
    const tracker = this.#tracker;
    const reset = place ? tracker.reset(source, this.#setup.feed.offset(place)) : tracker.clear(source);
    this.#resetting++;
    // Of resets that overlap, the last that went through counts.
    const ended = (): void => {
      if (--this.#resetting > 0) return;
      const began = this.#began;
      this.#began = undefined;
      // A later reset by somebody else may have come first: it fenced this tab, which must ask where to start.
      const { fenced, epoch } = tracker.status(source);
      if (began === undefined || fenced) return;
      this.#rely(epoch, 0, 'a reset was told');
      this.#start({ handle: undefined, epoch, start: began, events: [], ended: false });
    };
    const done = (): void => {
      this.#began = place ?? 0;
      ended();
    };
    this.#expect('reset', reset, done, ended);
  }

  /** A page that is away has saved what is pending. */
  #safe(): void {
    const owed = this.#isVoid(this.#owed) ? undefined : this.#owed;
    if (owed && this.#resetting + this.#vague === 0) this.outputs.push({ type: 'safe', ...owed });
  }

  #rely(epoch: number, place: number, why: string): void {
    this.outputs.push({ type: 'told', epoch, place, why });
  }

  #isVoid(pass: { readonly epoch: number } | undefined): boolean {
    const { fenced, epoch } = this.#tracker.status(source);
    return fenced || pass?.epoch !== epoch;
  }

  /** What a tracker shows at any time. */
  #check(): void {
    const { epoch, committed, fenced, recorded, pending } = this.#tracker.status(source);
    const { feed } = this.#setup;
    if (pending) {
      claim(!fenced, 'nothing is pending behind a fence');
      claim(pending === recorded, 'what is pending is what is recorded');
      if (this.#resetting + this.#vague === 0) {
        claim(this.#owed?.epoch === epoch, 'what is pending is of this epoch');
        claim(feed.place(pending) === this.#owed.place, 'what is pending is the watermark');
      }
    }
    if (!this.#pass) return;
    const place = feed.place(committed);
    claim(epoch >= this.#seen.epoch, 'a later epoch stays');
    claim(epoch > this.#seen.epoch || place >= this.#seen.place, 'what is shown as committed does not go back');
    this.#seen = { epoch, place };
  }

  /** Waits for a promise, which may reject with what the store failed with, but with nothing else, and must not hang. */
  #expect<T>(what: string, promise: Promise<T>, came: (value: T) => void, failed: () => void = () => {}): void {
    const id = this.#count++;
    this.#unsettled.set(id, what);
    promise.then(
      (value) => this.#settled(id, () => came(value)),
      (error: unknown) =>
        this.#settled(id, () => {
          const closed = this.#closed && error instanceof OffsetError && error.code === 'closed';
          claim(closed || error instanceof StorageError, `it fails as the store did, not with ${String(error)}`);
          failed();
        }),
    );
  }

  #settled(id: number, work: () => void): void {
    this.#unsettled.delete(id);
    this.#guard(work);
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.outputs.push({ type: 'wrong', what: error instanceof Violation ? error.message : String(error) });
    }
  }
}
