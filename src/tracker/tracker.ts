/// <reference lib="esnext.disposable" preserve="true" />
import type { Checkpoint } from '../checkpoint.ts';
import { OffsetError, SourceNotFoundError, quote } from '../errors.ts';
import { type Offset, asOffset, earliest, equals, latest } from '../offset.ts';
import type { OffsetStore, StoreChange } from '../store.ts';
import { Committer } from './committer.ts';
import type { Cycle } from './cycle.ts';
import { watchPage } from './page-life.ts';
import { Listeners, guard } from './listeners.ts';
import { Position } from './position.ts';
import type { Rules } from './rules.ts';
import { type Triggers, triggersOf } from './strategy.ts';
import type { CommitOutcome, RecordOutcome, SourceStatus, Ticket, TrackerEvent, TrackerOptions } from './types.ts';
import type { Entry, Window } from './window.ts';

// Not every supported browser has the symbol; code that `await using` is compiled to falls back on this one too.
const asyncDispose: typeof Symbol.asyncDispose = /* @__PURE__ */ (() =>
  Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose'))() as typeof Symbol.asyncDispose;

/** Records how far event feeds were processed, commits it to a store, and says where to go on. */
export class OffsetTracker {
  readonly store: OffsetStore;
  readonly #options: TrackerOptions;
  readonly #triggers: Triggers;
  readonly #rules: Rules;
  readonly #committer: Committer;
  readonly #positions = new Map<string, Position>();
  /** One answer for all, so that a record allocates nothing. */
  readonly #answers = {
    pending: Promise.resolve('pending' as const),
    committed: Promise.resolve('committed' as const),
    fenced: Promise.resolve('fenced' as const),
  };
  #stop: (() => void) | undefined;
  #closing: Promise<void> | undefined;
  #closed = false;
  #degraded: Error | undefined;

  /** @throws TypeError for options that make no sense */
  constructor(store: OffsetStore, options: TrackerOptions = {}) {
    this.store = store;
    this.#options = options;
    this.#triggers = triggersOf(options.strategy ?? 'auto');
    const { maxInFlight = 1024, stuckAfterMs = 60_000, now = Date.now } = options;
    if (!(maxInFlight >= 1)) throw new TypeError(`maxInFlight ${maxInFlight}: give 1 or more`);
    this.#rules = { store, listeners: new Listeners(), now, maxInFlight, stuckAfterMs };
    this.#committer = new Committer(this.#rules, (position, error, cycle) => this.#failed(position, error, cycle));
  }

  /**
   * Where to start reading, strictly after it: the committed offset, read from the store; else what the reset policy
   * says. Reading starts again here: open tickets are void, and a fenced source may be recorded again. To look without
   * meaning to read there is `status`.
   * @throws SourceNotFoundError under the policy 'none'; StorageError or SerializationError where the store cannot be read
   */
  async getOffset(source: string): Promise<Offset> {
    const position = this.#position(source);
    const before = position.committed;
    const stored = await this.store.get(source);
    position.learn(stored);
    if (stored) position.meet(stored, 'remote');
    // What a strong store no longer holds, though nothing moved since it was asked, was removed by clearAll elsewhere.
    const removed = before && position.committed === before && (stored?.epoch ?? -1) < before.epoch;
    if (removed && this.store.capabilities.consistency === 'strong') position.begin(stored);
    position.restart();
    return position.committed?.offset ?? this.#policy(source);
  }

  /**
   * Says that an event has been processed, and all before it. An offset at or below what is recorded changes nothing.
   * @returns see {@link RecordOutcome}; rejects with InvalidOffsetError for an offset that does not fit the source, and,
   * where this record triggers a commit, with what that fails with: the offset stays pending then
   */
  record(source: string, offset: Offset): Promise<RecordOutcome> {
    try {
      const position = this.#position(source);
      if (position.fenced) return this.#answers.fenced;
      if (position.window.size > 0) return this.begin(source, offset).done();
      position.check(offset);
      position.record(offset);
      return this.#recorded(position, 1);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Commits what is pending for a source; 'none' where nothing is. Rejects with what the store fails with. */
  async commit(source: string): Promise<CommitOutcome | 'none'> {
    const position = this.#position(source);
    if (position.fenced) return 'fenced';
    return position.pending ? this.#committer.ask(position) : 'none';
  }

  /** Commits all that is pending in one store write. Rejects with the first failure, after all others have ended. */
  async commitAll(): Promise<Map<string, CommitOutcome>> {
    this.#checkOpen();
    const asked = new Map<string, Promise<CommitOutcome>>();
    for (const [source, position] of this.#positions) {
      if (position.pending) asked.set(source, this.#committer.ask(position));
    }
    await Promise.allSettled(asked.values());
    const outcomes = new Map<string, CommitOutcome>();
    for (const [source, outcome] of asked) outcomes.set(source, await outcome);
    return outcomes;
  }

  /**
   * Sets a source to an offset on purpose, back or forward, for all who share the store: a new epoch begins. Whatever
   * others had pending for it is void.
   * @throws InvalidOffsetError for what is no offset; what the store fails with
   */
  async reset(source: string, offset: Offset): Promise<void> {
    await this.#begin(source, asOffset(offset, source));
  }

  /** Forgets a source: reading starts where the reset policy says. Leaves a tombstone, which no late writer can undo. */
  async clear(source: string): Promise<void> {
    await this.#begin(source, undefined);
  }

  /**
   * Removes everything from the store physically. A tracker elsewhere that does not hear of it may commit its old offset
   * again; to start sources anew for all, `clear` each.
   */
  async clearAll(): Promise<void> {
    this.#start();
    await this.#committer.alone(() => this.store.clearAll());
    this.#cleared('local');
  }

  /** The committed offsets of all sources in the store. */
  async getAllCommitted(): Promise<Map<string, Offset>> {
    this.#start();
    const offsets = new Map<string, Offset>();
    for (const [source, { offset }] of await this.store.getAll()) if (offset) offsets.set(source, offset);
    return offsets;
  }

  /** What is recorded and not yet durable, and nothing else. */
  getAllPending(): Map<string, Offset> {
    const offsets = new Map<string, Offset>();
    for (const [source, { pending, recorded }] of this.#positions) {
      if (pending && recorded) offsets.set(source, recorded);
    }
    return offsets;
  }

  /**
   * Begins an event that may finish in any order with others; call it in the order of the feed. Only the watermark, the
   * last offset before which all have finished, is recorded.
   * @throws OffsetError 'in-flight' at `maxInFlight`: await `ready` first; InvalidOffsetError as `record`
   */
  begin(source: string, offset: Offset): Ticket {
    const position = this.#position(source);
    const { window, fenced } = position;
    if (!fenced) position.check(offset);
    if (window.full) {
      throw new OffsetError('in-flight', `${window.size} events of ${quote(source)} in flight: await ready() first`, {
        source,
      });
    }
    const entry = fenced ? undefined : window.begin(offset);
    return {
      offset,
      done: () => this.#finish(position, window, entry, 'done'),
      abandon: () => void this.#finish(position, window, entry, 'abandoned'),
    };
  }

  /** Resolves when one more ticket may begin. */
  async ready(source: string): Promise<void> {
    await this.#position(source).window.room();
  }

  /** Listens to commits, resets and troubles, here and elsewhere. @returns a function that ends it */
  subscribe(listener: (event: TrackerEvent) => void): () => void {
    this.#start();
    return this.#rules.listeners.add(listener);
  }

  /** What is known of a source, without asking the store. */
  status(source: string): SourceStatus {
    const { committed, recorded, pending, window, epoch, fenced, voidTickets, lastError, role } = this.#at(source);
    return {
      recorded,
      committed: committed?.offset,
      pending: pending ? recorded : undefined,
      inFlight: window.open,
      lastCommitAt: committed?.committedAt,
      epoch,
      fenced,
      voidTickets,
      lastError,
      degraded: this.#degraded,
      role,
    };
  }

  /** Commits all that is pending, then lets go of timers, page and store events; the store stays open for others. */
  close(): Promise<void> {
    return (this.#closing ??= this.commitAll().then(
      () => this.#letGo(),
      (error: unknown) => {
        this.#letGo();
        throw error;
      },
    ));
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal For `resume`: which part this tab has in reading a source. */
  setRole(source: string, role: SourceStatus['role']): void {
    this.#at(source).role = role;
  }

  #position(source: string): Position {
    this.#start();
    return this.#at(source);
  }

  #at(source: string): Position {
    let position = this.#positions.get(source);
    if (position === undefined) {
      if (typeof source !== 'string') throw new TypeError(`a source is a string, found ${quote(source)}`);
      position = new Position(source, this.#rules);
      this.#positions.set(source, position);
    }
    return position;
  }

  /** Not in the constructor: a Worker may make its tracker in global scope, where nothing may be started. */
  #start(): void {
    this.#checkOpen();
    if (this.#stop) return;
    const unsubscribe = this.store.subscribe?.((change) => this.#changed(change));
    const unwatch = watchPage({
      hide: () => this.commitAll().catch(() => {}),
      leave: () => this.#leave(),
      restore: () => this.#restore(),
    });
    this.#stop = () => {
      unwatch();
      unsubscribe?.();
    };
  }

  #checkOpen(): void {
    if (this.#closed) throw new OffsetError('closed', 'the tracker is closed: make a new one');
  }

  #recorded(position: Position, count: number): Promise<RecordOutcome> {
    if (!position.pending) {
      position.unasked = 0;
      return this.#answers.committed;
    }
    const { every, intervalMs } = this.#triggers;
    const timed = intervalMs < Infinity;
    if (position.unasked === 0 && timed) position.firstAt = this.#rules.now();
    position.unasked += count;
    if (position.unasked >= every || (timed && this.#rules.now() - position.firstAt >= intervalMs)) {
      return this.#committer.ask(position);
    }
    if (timed) this.#arm(position);
    return this.#answers.pending;
  }

  #arm(position: Position): void {
    position.timer ??= setTimeout(() => {
      position.timer = undefined;
      if (position.pending) this.#committer.ask(position).catch(() => {});
    }, this.#triggers.intervalMs);
  }

  #failed(position: Position, error: unknown, cycle: Cycle): void {
    const { source } = position;
    position.lastError = error;
    if (this.#triggers.intervalMs < Infinity && position.pending && !this.#closing) this.#arm(position);
    const { onError } = this.#options;
    if (onError) {
      cycle.promise.catch(() => {});
      guard(() => onError(error, source));
    }
    cycle.reject(error);
    this.#rules.listeners.tell('error', 'local', source, undefined, error);
  }

  #finish(
    position: Position,
    window: Window,
    entry: Entry | undefined,
    state: 'done' | 'abandoned',
  ): Promise<RecordOutcome> {
    if (!entry || position.window !== window) {
      position.voidTickets++;
      return this.#answers.fenced;
    }
    const passed = window.finish(entry, state, position);
    if (passed === undefined) position.voidTickets++;
    return passed ? this.#recorded(position, passed) : this.#answers.pending;
  }

  /** With no commit under way, whose answer could not be told from a reset by somebody else. */
  #begin(source: string, offset: Offset | undefined): Promise<void> {
    const position = this.#position(source);
    return this.#committer.alone(async () => {
      for (;;) {
        const stored = await this.store.get(source);
        const epoch = Math.max(stored?.epoch ?? 0, position.committed?.epoch ?? 0) + 1;
        const mine: Checkpoint = { epoch, rank: 0, offset, committedAt: this.#rules.now() };
        const stands = (await this.store.commit(new Map([[source, mine]]))).get(source);
        // Another reset of the same epoch may have won: ours came later, so it goes on top.
        if (stands?.epoch !== epoch || stands.rank !== 0 || !equals(stands.offset, offset)) continue;
        const heard = position.committed;
        // One of a later epoch has been heard of meanwhile. Of a source that is not known yet it has fenced nothing.
        if (heard && heard.epoch > epoch) return position.known ? undefined : position.reset(heard, 'remote');
        position.reset(mine, 'local');
        // Others may have gone on from this reset before its answer came.
        if (heard?.epoch === epoch) position.meet(heard, 'remote');
        return;
      }
    });
  }

  #changed(change: StoreChange): void {
    switch (change.type) {
      case 'commit':
        for (const [source, checkpoint] of change.batch) this.#position(source).meet(checkpoint, 'remote');
        break;
      case 'clearAll':
        this.#cleared('remote');
        break;
      case 'health':
        this.#degraded = change.error;
        this.#rules.listeners.tell(
          change.error ? 'degraded' : 'recovered',
          'local',
          undefined,
          undefined,
          change.error,
        );
    }
  }

  #cleared(origin: TrackerEvent['origin']): void {
    for (const position of this.#positions.values()) position.reset(undefined, origin);
  }

  #leave(): void {
    const batch = new Map<string, Checkpoint>();
    for (const [source, position] of this.#positions) {
      if (position.pending) batch.set(source, position.checkpoint(this.#rules.now()));
    }
    if (batch.size > 0) this.store.commitOnHide?.(batch);
    this.store.suspend?.();
  }

  #restore(): void {
    this.store.wake?.();
    for (const position of this.#positions.values()) {
      this.store.get(position.source).then(
        (stored) => stored && position.meet(stored, 'remote'),
        (error: unknown) => this.#rules.listeners.tell('error', 'local', position.source, undefined, error),
      );
    }
  }

  async #policy(source: string): Promise<Offset> {
    const { resetPolicy = 'earliest' } = this.#options;
    if (resetPolicy === 'none') throw new SourceNotFoundError(source);
    if (typeof resetPolicy === 'function') return asOffset(await resetPolicy(source), source);
    return asOffset({ earliest, latest }[resetPolicy], source);
  }

  #letGo(): void {
    this.#closed = true;
    this.#stop?.();
    for (const position of this.#positions.values()) {
      clearTimeout(position.timer);
      position.drop();
    }
  }
}
