import { OffsetError, quote } from '../errors.ts';
import { type Offset, asOffset } from '../offset.ts';
import type { OffsetStore, StoreChange } from '../store.ts';
import { CaughtUp } from './caught-up.ts';
import { Committer } from './committer.ts';
import { Epochs } from './epochs.ts';
import { Health } from './health.ts';
import { Listeners } from './listeners.ts';
import { PageLife } from './page-life.ts';
import type { Position } from './position.ts';
import { Positions } from './positions.ts';
import { SourceReading, asyncDispose } from './reading.ts';
import { checkPolicy, startOf } from './reset-policy.ts';
import type { Rules } from './rules.ts';
import { Runs } from './runs.ts';
import { Standing } from './standing.ts';
import { snapshot, statusOf } from './status.ts';
import { triggersOf } from './strategy.ts';
import type {
  BeginOptions,
  CommitOutcome,
  ReadOptions,
  Reading,
  RecordOptions,
  RecordOutcome,
  SourceStatus,
  Ticket,
  TrackerEvent,
  TrackerOptions,
} from './types.ts';

/**
 * Records how far event feeds were processed, commits it to a store, and says where to go on.
 * @example
 * const tracker = new OffsetTracker(new InMemoryOffsetStore());
 * const reading = await tracker.read('orders');
 * await reading.record(Offset.sequence(1));
 * await reading.close();
 */
export class OffsetTracker<S extends OffsetStore = OffsetStore> {
  /** Where checkpoints live, as given. */
  readonly store: S;
  readonly #options: TrackerOptions;
  readonly #rules: Rules;
  readonly #committer: Committer;
  readonly #epochs: Epochs;
  readonly #positions: Positions;
  readonly #host;
  readonly #standing: Standing;
  readonly #caughtUp = new CaughtUp(this);
  #stop: (() => void) | undefined;
  #closing = false;
  #closed = false;
  /** Resets that are under way. */
  readonly #resets = new Set<Promise<void>>();
  #ending: Promise<void> | undefined;
  readonly #page: PageLife;
  readonly #health: Health;
  /** @internal For `resume`. */
  readonly runs: Runs;
  #unknown: SourceStatus | undefined;

  /**
   * Makes a tracker; nothing is started or read before its first call.
   * @param store where checkpoints live; it stays open when the tracker is closed
   * @throws TypeError for what is no store, and for options that make no sense
   * @example
   * const tracker = new OffsetTracker(new IndexedDBOffsetStore({ name: 'app' }), { strategy: { every: 100 } });
   */
  constructor(store: S, options: TrackerOptions = {}) {
    // A remote stub answers every property with a function.
    if (typeof store?.capabilities?.durability !== 'string') {
      throw new TypeError(`${quote(store)} is no store: give one with capabilities, as an OffsetStore has them`);
    }
    this.store = store;
    this.#options = options;
    checkPolicy(options.resetPolicy);
    const { maxInFlight = 1024, stuckAfterMs = 60_000, now = Date.now } = options;
    if (!(maxInFlight >= 1)) throw new TypeError(`maxInFlight ${maxInFlight}: give 1 or more`);
    this.#rules = { store, listeners: new Listeners(), now, maxInFlight, stuckAfterMs };
    this.#positions = new Positions(this.#rules);
    this.#health = new Health(this.#rules.listeners);
    this.runs = new Runs(this.#positions, this.#rules.listeners, (position) => this.#epochs.start(position));
    this.#page = new PageLife(store, this.#positions, {
      hide: () => this.commitAll().catch(() => {}),
      refresh: (position) => this.#epochs.start(position),
    });
    const host = {
      onError: options.onError,
      start: (position: Position) => this.#epochs.start(position),
      health: (error?: unknown) => this.#health.committed(error as Error | undefined),
      released: (position: Position) => this.#positions.release(position),
      page: this.#page,
    };
    this.#committer = new Committer(this.#rules, triggersOf(options.strategy ?? 'auto'), host);
    this.#epochs = new Epochs(this.#rules, this.#committer);
    this.#host = { ...host, rules: this.#rules, committer: this.#committer };
    this.#standing = new Standing(this.#positions, this.#host, (source) => this.#enter(source));
  }

  /**
   * The committed offset of a source, as the store has it; else what the reset policy says. It only looks: to read there is
   * `read`, and `status` does not ask the store.
   * @throws SourceNotFoundError under the policy 'none'; StorageError or SerializationError where the store cannot be read
   * @example
   * badge.textContent = Offset.format(await tracker.getOffset('orders'));
   */
  async getOffset(source: string): Promise<Offset> {
    this.#start();
    if (typeof source !== 'string') throw new TypeError(`a source is a string, found ${quote(source)}`);
    return (await this.store.get(source))?.offset ?? startOf(source, this.#options.resetPolicy);
  }

  /**
   * Begins to read a source: at the furthest that the store holds or this tracker has recorded, else where the reset policy
   * says.
   * @throws SourceNotFoundError under the policy 'none'; StorageError or SerializationError where the store cannot be read
   * @example
   * const reading = await tracker.read('orders');
   * for await (const order of fetchOrders(reading.from, reading.signal)) {
   *   await handle(order);
   *   await reading.record(Offset.sequence(order.id));
   * }
   * await reading.close();
   */
  async read(source: string, { fence = false }: ReadOptions = {}): Promise<Reading<S>> {
    const position = this.#enter(source);
    try {
      for (;;) {
        while (position.resetting) await position.resetting;
        if (fence && !(await this.#epochs.fence(position))) continue;
        if (!fence) await this.#epochs.refresh(position);
        const { life } = position;
        const from = position.recorded ?? (await startOf(source, this.#options.resetPolicy));
        if (this.#closing) throw new OffsetError('closed', 'the tracker is being closed: make a new one', { source });
        if (life === position.life && !position.resetting) return this.#begin(position, from, fence);
      }
    } finally {
      this.#positions.leave(position);
    }
  }

  /**
   * Says that an event has been processed, and all before it. An offset at or below what is recorded changes nothing. After
   * somebody else's reset it answers 'fenced' until `read` or a reset of this tracker's own.
   * @returns see {@link RecordOutcome}; rejects as `reading.record` does
   * @example
   * await tracker.record('orders', Offset.sequence(42));
   */
  record(source: string, offset: Offset, options?: RecordOptions): Promise<RecordOutcome> {
    try {
      return this.#standing.of(source).record(offset, options);
    } catch (error) {
      return this.#committer.watched(source, Promise.reject(error));
    }
  }

  /**
   * Begins an event that may finish in any order with others, as `reading.begin` does.
   * @example
   * const ticket = await tracker.begin('orders', Offset.sequence(42));
   * handle(order).then(() => ticket.done());
   */
  begin(source: string, offset: Offset, options?: BeginOptions): Promise<Ticket> {
    try {
      return this.#standing.of(source).begin(offset, options);
    } catch (error) {
      return this.#committer.watched(source, Promise.reject(error));
    }
  }

  /**
   * Commits what is pending for a source; 'none' where nothing is. Rejects with what the store fails with.
   * @example
   * const outcome = await tracker.commit('orders'); // 'committed', 'fenced' or 'none'
   */
  async commit(source: string): Promise<CommitOutcome | 'none'> {
    this.#checkOpen();
    if (this.#positions.isFenced(source)) return 'fenced';
    const position = this.#positions.get(source);
    return position?.pending ? this.#committer.ask(position, true) : 'none';
  }

  /** Commits all that is pending in one store write. Rejects with the first failure, after all others have ended. */
  async commitAll(): Promise<Map<string, CommitOutcome>> {
    this.#checkOpen();
    const asked = new Map<string, Promise<CommitOutcome>>();
    for (const position of this.#positions.all())
      if (position.pending) asked.set(position.source, this.#committer.ask(position, true));
    await Promise.allSettled(asked.values());
    const outcomes = new Map<string, CommitOutcome>();
    for (const [source, outcome] of asked) outcomes.set(source, await outcome);
    return outcomes;
  }

  /**
   * Sets a source to an offset on purpose, back or forward, for all who share the store: a new epoch begins, and every
   * reading of the source is fenced, this tracker's own too.
   * @throws InvalidOffsetError for what is no offset; what the store fails with
   * @example
   * await tracker.reset('orders', Offset.sequence(0)); // all tabs read again from there
   */
  async reset(source: string, offset: Offset): Promise<void> {
    await this.#tracked(this.#reset(source, { offset: asOffset(offset, source) }));
  }

  /** Forgets a source: reading starts where the reset policy says. Leaves a tombstone, which no late writer can undo. */
  async clear(source: string): Promise<void> {
    await this.#tracked(this.#reset(source, {}));
  }

  /**
   * Removes everything from the store physically. A tracker elsewhere that does not hear of it may commit its old offset
   * again; to start sources anew for all, `clear` each.
   */
  async clearAll(): Promise<void> {
    this.#start();
    const clearing = this.#committer.alone(async () => {
      await this.store.clearAll();
      // Before the next commit begins, which would bring back what is void.
      this.#cleared('local');
    });
    await this.#tracked(clearing);
  }

  /** The committed offsets of all sources in the store. */
  async getAllCommitted(): Promise<Map<string, Offset>> {
    this.#start();
    return new Map(
      [...(await this.store.getAll())].flatMap(([source, { offset }]) => (offset ? [[source, offset] as const] : [])),
    );
  }

  /** What is recorded and not yet durable, and nothing else. */
  getAllPending(): Map<string, Offset> {
    const offsets = new Map<string, Offset>();
    for (const { source, pending, recorded } of this.#positions.all())
      if (pending && recorded) offsets.set(source, recorded);
    return offsets;
  }

  /**
   * Listens to every change that `status` shows, here and elsewhere.
   * @returns a function that ends it
   * @example
   * const stop = tracker.subscribe(({ type, source, offset }) => console.log(type, source, offset));
   */
  subscribe(listener: (event: TrackerEvent) => void): () => void {
    this.#start();
    return this.#rules.listeners.add(listener);
  }

  /**
   * What is known of a source, without asking the store. The same object until something in it changes.
   * @example
   * const { pending, lastError } = tracker.status('orders');
   */
  status(source: string): SourceStatus {
    const { degraded } = this;
    const position = this.#positions.get(source);
    if (position) return statusOf(position, degraded);
    if (this.#unknown?.degraded !== degraded || !this.#unknown) this.#unknown = snapshot(undefined, degraded);
    return this.#unknown;
  }

  /**
   * Waits until the source is caught up with: all that its feed had when it last said so is recorded. May be called before
   * anything is known of the source; where the feed never says how far it is, it waits for ever.
   * @throws the reason of the signal once that is aborted; OffsetError 'closed' when the tracker is closed
   * @example
   * await tracker.caughtUp('orders', { signal: AbortSignal.timeout(10_000) });
   */
  caughtUp(source: string, { signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#caughtUp.wait(source, signal);
  }

  /**
   * Ends all readings, commits until nothing is pending, then releases timers, page and store events; the store stays open
   * for others. Records are refused from the call on. Where the store fails it rejects, keeps what is pending, and may be
   * called again.
   */
  close(): Promise<void> {
    this.#ending ??= this.#end().catch((error: unknown) => {
      this.#ending = undefined;
      throw error;
    });
    return this.#ending;
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Why the store does not work at the moment. */
  get degraded(): Error | undefined {
    return this.#health.failure;
  }

  /** @internal Reads where the store cannot be asked. */
  async readBlind(source: string): Promise<Reading> {
    const position = this.#enter(source);
    try {
      return this.#begin(position, position.recorded ?? (await startOf(source, this.#options.resetPolicy)));
    } finally {
      this.#positions.leave(position);
    }
  }

  /** A source somebody is about to read: it is kept until `leave`. */
  #enter(source: string): Position {
    this.#start();
    if (this.#closing) throw new OffsetError('closed', 'the tracker is being closed: make a new one', { source });
    return this.#positions.enter(source);
  }

  #begin(position: Position, from: Offset, fence = false): Reading<S> {
    position.fenced = false;
    const { standing } = position;
    if (standing && !position.readings.has(standing)) position.standing = undefined;
    position.changed();
    const reading = new SourceReading(position, this.#host, fence);
    reading.from = from;
    return reading as unknown as Reading<S>; // What its effects take is the store's to say.
  }

  async #reset(source: string, at: { readonly offset?: Offset }): Promise<void> {
    const position = this.#enter(source);
    const begun = this.#epochs.reset(position, at, () => void this.#standing.renew(position));
    position.holdFor(begun);
    try {
      await begun;
      await position.resetting;
    } finally {
      this.#positions.leave(position);
    }
  }

  #tracked(reset: Promise<void>): Promise<void> {
    const ended = reset.finally(() => this.#resets.delete(ended));
    this.#resets.add(ended);
    return ended;
  }

  #changed(change: StoreChange): void {
    switch (change.type) {
      case 'commit':
        for (const [source, checkpoint] of change.batch) this.#positions.heard(source, checkpoint);
        break;
      case 'clearAll':
        this.#cleared('remote');
        break;
      case 'health':
        this.#health.told(change.error);
    }
  }

  #cleared(origin: TrackerEvent['origin']): void {
    this.#positions.forget(origin);
    for (const position of this.#positions.all()) {
      const { standing } = position;
      position.enter(undefined, origin);
      if (standing && origin === 'local') this.#standing.renew(position);
      this.#positions.release(position);
    }
  }

  /** Not in the constructor: a Worker may make its tracker in global scope, where nothing may be started. */
  #start(): void {
    this.#checkOpen();
    if (this.#stop) return;
    const unsubscribe = this.store.subscribe?.((change) => this.#changed(change));
    const unwatch = this.#page.watch();
    this.#stop = () => {
      unwatch();
      unsubscribe?.();
    };
  }

  #checkOpen(): void {
    if (this.#closed) throw new OffsetError('closed', 'the tracker is closed: make a new one');
  }

  async #end(): Promise<void> {
    if (this.#closed) return;
    this.#closing = true;
    this.#caughtUp.close();
    for (const position of this.#positions.all()) position.end();
    // Resets that are under way end first, and whoever awaits them knows.
    await Promise.allSettled([...this.#resets, this.#committer.settled()]);
    while (this.getAllPending().size > 0) await this.commitAll();
    this.#closed = true;
    this.#stop?.();
    this.#committer.stop();
    for (const { timer } of this.#positions.all()) clearTimeout(timer);
  }
}
