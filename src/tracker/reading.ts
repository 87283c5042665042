import { asyncDispose } from '../async-dispose.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { FencedError, OffsetError, quote } from '../errors.ts';
import { type Offset, asOffset, earliest, equals } from '../offset.ts';
import { type Committer, answers, isOfStore } from './committer.ts';
import type { Member, Position } from './position.ts';
import type { Rules } from './rules.ts';
import type { ReadingState } from './states.ts';
import type { TransactOutcome } from './transact-types.ts';
import { type Applies, type Step, isCovered, transactOf } from './transacting.ts';
import type { BeginOptions, CommitOutcome, Reading, RecordOptions, RecordOutcome, Ticket } from './types.ts';
import { type Entry, Window } from './window.ts';

export { asyncDispose };

/** What readings of one tracker have in common. */
export interface ReadingHost {
  readonly rules: Rules;
  readonly committer: Committer;
  /** Asks the store for a source that is not known yet. */
  start(position: Position): Promise<void>;
  released(position: Position): void;
}

/** See `states.ts` for what each of its states answers. */
export class SourceReading implements Reading, Member, Applies {
  readonly position: Position;
  from: Offset = earliest;
  last: Offset | undefined;
  rank = 0;
  /** Whether it began its epoch, so that no older reading writes in it. */
  readonly isFencing: boolean;
  readonly #host: ReadingHost;
  #end: FencedError | 'closed' | undefined;
  #window: Window | undefined;
  #controller: AbortController | undefined;
  /** Effects that are to be applied. */
  #transacting = 0;
  /** The store's last failure to apply an effect. */
  #failure: { readonly error: OffsetError } | undefined;

  constructor(position: Position, host: ReadingHost, isFencing = false) {
    this.position = position;
    this.#host = host;
    this.isFencing = isFencing;
    position.admit(this);
  }

  get source(): string {
    return this.position.source;
  }

  get state(): ReadingState {
    if (this.#end) return this.#end === 'closed' ? 'closed' : 'fenced';
    return this.position.known ? 'live' : 'starting';
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#end) this.#controller.abort(this.#reason());
    }
    return this.#controller.signal;
  }

  get inFlight(): number {
    return this.#window?.open ?? 0;
  }

  get newest(): Offset | undefined {
    return this.#window?.size ? this.#window.newest : undefined;
  }

  record(offset: Offset, options?: RecordOptions): Promise<RecordOutcome> {
    try {
      const { position } = this;
      // What was processed before an own reset is not to be recorded after it.
      if (position.resetting) return this.#watched(position.resetting.then(() => this.record(offset, options)));
      if (this.#end) return this.#refuse(answers.fenced);
      if (this.#transacting > 0) return this.#watched(this.#afterEffects(() => this.#record(offset, options)));
      return this.#record(offset, options);
    } catch (error) {
      return this.#watched(Promise.reject(error));
    }
  }

  #record(offset: Offset, options?: RecordOptions): Promise<RecordOutcome> {
    try {
      const { position } = this;
      if (this.#isFenced()) return answers.fenced;
      if (this.#window && this.#window.size > 0)
        return this.#watched(this.#begin(offset, options ?? {}).then((ticket) => ticket.done()));
      const own = position.check(offset, this);
      position.record(this, own, options?.heartbeat === true);
      return this.#host.committer.recorded(position, 1);
    } catch (error) {
      return this.#watched(Promise.reject(error));
    }
  }

  begin(offset: Offset, options: BeginOptions = {}): Promise<Ticket> {
    return this.#watched(this.#begin(offset, options), options.signal);
  }

  async #begin(offset: Offset, options: BeginOptions): Promise<Ticket> {
    const { position } = this;
    const { heartbeat = false, signal } = options;
    if (!this.#end && position.resetting) return position.resetting.then(() => this.#begin(offset, options));
    if (!this.#end && !position.known) {
      await this.#host.start(position);
      return this.#begin(offset, options);
    }
    if (!this.#end && this.#transacting > 0) await this.#host.committer.settled();
    if (this.#end) return this.#refuse(this.#ticket(offset, undefined, undefined));
    const own = position.check(offset, this);
    const window = (this.#window ??= new Window(this.source, this.#host.rules));
    const entry = window.begin(own, heartbeat) ?? (await window.wait(own, heartbeat, signal));
    position.ticketsChanged();
    return this.#ticket(own, window, entry);
  }

  transact(offset: Offset, ...effect: readonly unknown[]): Promise<TransactOutcome> {
    return this.apply({ offsets: [offset], effect: () => effect, divisible: false });
  }

  /** Applies a step after those before it. */
  async apply(step: Step): Promise<TransactOutcome> {
    if (this.#end) return this.#refuse('fenced' as const);
    const { committer } = this.#host;
    const before = this.#failure;
    const work = async (): Promise<TransactOutcome> => {
      // An effect that jumps over one that failed would make its repeat a duplicate.
      if (this.#failure && this.#failure !== before) throw this.#failure.error;
      return this.#apply(step);
    };
    const failed = (error: unknown): void => {
      if (isOfStore(error) && this.#failure === before) this.#failure = { error };
    };
    this.#transacting++;
    try {
      return await committer.effect(this.position, work, failed);
    } finally {
      this.#transacting--;
    }
  }

  async commit(): Promise<CommitOutcome | 'none'> {
    const { position } = this;
    if (this.#end) return this.#refuse('fenced' as const);
    return position.pending ? this.#host.committer.ask(position, true) : 'none';
  }

  async close(): Promise<void> {
    const { position } = this;
    this.end();
    try {
      if (this.#transacting > 0) await this.#host.committer.settled();
      if (this.state !== 'fenced' && position.pending) await this.#host.committer.ask(position, true);
    } finally {
      this.#host.released(position);
    }
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The source is in another epoch. */
  fence(error: FencedError): void {
    if (this.#end) return;
    this.#end = error;
    this.#window?.drop();
    this.#controller?.abort(error);
  }

  /** Nothing more is recorded here; what was stays pending. */
  end(): void {
    if (this.#end) return;
    const { position } = this;
    this.#end = 'closed';
    position.readings.delete(this);
    if (position.standing === this) position.standing = undefined;
    const hadTickets = this.inFlight > 0;
    this.#window?.drop(this.#reason());
    if (hadTickets) position.ticketsChanged();
    else position.changed();
    this.#controller?.abort(this.#reason());
  }

  /** Compares and sets, from the place that this reading knows, until that is decided. */
  async #apply({ offsets, effect, divisible }: Step): Promise<TransactOutcome> {
    const { position, source } = this;
    const { committer, rules } = this.#host;
    const { store } = rules;
    if (offsets.length === 0) return 'duplicate';
    const last = asOffset(offsets[offsets.length - 1], source);
    for (let from = 0; ;) {
      if (this.#isFenced()) return 'fenced';
      if (this.#window && this.#window.size > 0) throw this.#unfinished();
      const offset = position.check(last, this);
      const transact = transactOf(store, source, offset, this.isFencing);
      const place = { ...position.checkpoint(), offset: this.last, rank: this.rank };
      if (!divisible && isCovered(offset, place, source, store.compare)) return 'duplicate';
      // A try before this one, which failed later, may have found what comes first applied by somebody else.
      while (divisible && isCovered(offsets[from] ?? last, place, source, store.compare))
        if (++from >= offsets.length) return 'duplicate';
      // Who is behind others need not ask the store for each event that they have applied.
      const { committed } = position;
      if (
        committed?.epoch === position.epoch &&
        !equals(committed.offset, this.last) &&
        isCovered(offset, committed, source, store.compare)
      )
        return this.#skip(offset, committed);
      const change = position.changeFor(this, offset, offsets.length - from);
      const { outcome, stands } = await transact(source, change, ...effect(from).map((each) => committer.timed(each)));
      if (outcome === 'applied') {
        position.applied(this, change.next, offsets);
        return outcome;
      }
      // Nothing is stored any more: somebody has removed everything.
      if (stands) position.merge(stands, 'remote');
      else position.enter(undefined, 'remote');
      if (stands === undefined || outcome === 'fenced' || this.#isFenced()) return 'fenced';
      const covered = (each: Offset): boolean => isCovered(each, stands, source, store.compare);
      if (covered(offset)) return this.#skip(offset, stands);
      // Somebody else has got as far by another count, or has applied what comes first here.
      const isSame = equals(stands.offset, this.last);
      const isOrdered = offset.kind !== 'custom' || store.compare !== undefined;
      if (!isSame && !(divisible && isOrdered)) return this.#overtaken();
      while (covered(offsets[from] ?? last)) from++;
      this.last = stands.offset;
      this.rank = stands.rank;
    }
  }

  /** Somebody else has applied this, and all before it. */
  #skip(offset: Offset, { rank }: Checkpoint): 'duplicate' {
    this.last = offset;
    this.rank = Math.max(this.rank, rank);
    return 'duplicate';
  }

  /** Somebody else has moved the source in this epoch: what is in hand here may be applied in part. */
  #overtaken(): 'fenced' {
    const { position } = this;
    position.readings.delete(this);
    if (position.standing === this) position.standing = undefined;
    this.fence(new FencedError(this.source, 'reader'));
    position.changed();
    return 'fenced';
  }

  #isFenced(): boolean {
    return this.#end !== undefined && this.#end !== 'closed';
  }

  #unfinished(): OffsetError {
    const { source } = this;
    const what = 'has unfinished tickets: finish them before it transacts, or transact by another reading';
    return new OffsetError('in-flight', `the reading of ${quote(source)} ${what}`, { source });
  }

  /** Records in the order of the calls. */
  async #afterEffects(record: () => Promise<RecordOutcome>): Promise<RecordOutcome> {
    const [recorded] = await this.#host.committer.alone(async () => [record()] as const);
    return recorded;
  }

  #ticket(offset: Offset, window: Window | undefined, entry: Entry | undefined): Ticket {
    return {
      offset,
      done: () => this.#finish(window, entry, 'done'),
      abandon: () => void this.#finish(window, entry, 'abandoned').catch(() => {}),
    };
  }

  #finish(window: Window | undefined, entry: Entry | undefined, state: 'done' | 'abandoned'): Promise<RecordOutcome> {
    try {
      const { position } = this;
      if (this.#end || !window || !entry) return this.#refuse(answers.fenced);
      const record = (offset: Offset, heartbeat: boolean): void => position.record(this, offset, heartbeat);
      const passed = window.finish(entry, state, record);
      if (passed !== undefined) position.ticketsChanged();
      return passed ? this.#host.committer.recorded(position, passed) : answers.pending;
    } catch (error) {
      // Who gives an event up is not told that it is not recorded.
      return state === 'done' ? this.#watched(Promise.reject(error)) : Promise.reject(error);
    }
  }

  /** What nobody has to await, where errors are listened to. */
  #watched<T>(outcome: Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#host.committer.watched(this.source, outcome, signal);
  }

  /** @throws OffsetError 'closed' where the reading was closed; a fenced one answers */
  #refuse<T>(fenced: T): T {
    if (this.#end === 'closed') throw this.#reason();
    return fenced;
  }

  /** Why it has ended. Made where somebody asks: a tracker that is closed ends the readings of all sources. */
  #reason(): OffsetError | undefined {
    const { source } = this;
    if (this.#end !== 'closed') return this.#end;
    return new OffsetError('closed', `the reading of ${quote(source)} is closed: read again`, { source });
  }
}
