import { type Change, type Checkpoint, type CompareCustom, compareInEpoch, isFence, join } from '../checkpoint.ts';
import { FencedError, InvalidOffsetError, type OffsetError, quote } from '../errors.ts';
import { type Offset, asOffset, equals, format, isConcrete } from '../offset.ts';
import type { Cycle } from './cycle.ts';
import { Progress, type Told } from './progress.ts';
import type { Rules } from './rules.ts';
import type { RecordOutcome, Role, SourceStatus, TrackerEvent } from './types.ts';

/** Heartbeats between two events add this to the rank. */
const heartbeatStep = 2 ** -20;

/** What a position knows of a reading. */
export interface Member {
  /** The last offset that it recorded, or started at, and the rank there. */
  last: Offset | undefined;
  rank: number;
  readonly inFlight: number;
  /** The last offset that a ticket was asked for. */
  readonly newest: Offset | undefined;
  fence(error: FencedError): void;
  end(): void;
}

/** What a tracker knows of a `resume` that reads with it. */
export interface Run {
  readonly role: Role | undefined;
  /** The tracker is being closed. */
  closed(): void;
  /** A commit of the source failed, or went through. */
  failed(error: unknown): void;
  committed(): void;
}

/** All that a tracker knows of one source. Whatever moves `committed` is a join. */
export class Position {
  readonly source: string;
  readonly #rules: Rules;
  readonly #compare: CompareCustom | undefined;

  /** What the store holds, as far as is known. */
  committed: Checkpoint | undefined;
  epoch = 0;
  /** Whether epoch and rank continue what is stored; until then they count from 0. */
  known = false;
  /** While the store is asked for the first time: settles when `known` is true, or the store failed. */
  starting: Promise<void> | undefined;
  /** What records are answered meanwhile. */
  answer: Promise<RecordOutcome> | undefined;
  /** Counts epochs, so that what was under way across two can tell. */
  life = 0;
  /** A reading was fenced from elsewhere, and nobody has read since. */
  fenced = false;

  /** The furthest recorded here in this epoch. */
  #head: Offset | undefined;
  #headRank = 0;
  /** Whether `#head` is beyond `committed`. */
  pending = false;
  feed: string | undefined;

  readonly readings = new Set<Member>();
  /** The reading of `tracker.record`; one of `readings`. */
  standing: Member | undefined;
  readonly runs = new Set<Run>();
  /** Calls of `read` and `reset` that are under way. */
  pins = 0;
  /** Settles when the resets that this tracker has under way have ended. What is heard meanwhile waits in `#heard`. */
  resetting: Promise<void> | undefined;
  /** Goes on in the epoch of an own reset, once all that are under way have ended: who recorded before knew nothing of it. */
  renew: (() => void) | undefined;
  #resets = 0;
  #release = (): void => {};
  #heard: Checkpoint | undefined;

  /** The commit that what is recorded now will be part of, once asked for. */
  cycle: Cycle | undefined;
  /** Records since a commit was last asked for, and the time (ms) of the first of them. */
  unasked = 0;
  firstAt = 0;
  timer: ReturnType<typeof setTimeout> | undefined;
  lastError: unknown;
  /** Its last commit failed while that of others went through: what fails next is no failure of the whole store. */
  failsAlone = false;
  progress: Progress;
  /** What was last shown, and whether something may have changed since. */
  snapshot: SourceStatus | undefined;
  stale = false;

  /** @param heard what others are known to have committed */
  constructor(source: string, rules: Rules, heard?: Checkpoint) {
    this.source = source;
    this.#heard = heard;
    this.#rules = rules;
    this.#compare = rules.store.compare;
    this.progress = new Progress(source, this.#compare);
  }

  /** Where the next reading starts: the furthest that is recorded here or stored. */
  get recorded(): Offset | undefined {
    return this.pending ? this.#head : this.committed?.offset;
  }

  get role(): Role | undefined {
    let role: Role | undefined;
    for (const run of this.runs) ({ role } = run);
    return role;
  }

  get inFlight(): number {
    let count = 0;
    for (const { inFlight } of this.readings) count += inFlight;
    return count;
  }

  /** Whether nobody needs what is kept here. */
  get idle(): boolean {
    return this.readings.size + this.runs.size + this.pins === 0 && !this.pending && !this.cycle && !this.resetting;
  }

  /** Has a reading start at the furthest that is recorded or stored. */
  admit(member: Member): void {
    member.last = this.recorded;
    member.rank = this.pending ? this.#headRank : (this.committed?.rank ?? 0);
    this.readings.add(member);
  }

  /**
   * Takes an offset that a reading wants to record.
   * @throws InvalidOffsetError for what cannot be recorded here
   */
  check(offset: Offset, { newest, last }: Member): Offset {
    const own = asOffset(offset, this.source);
    this.#checkKind(own, newest ?? last ?? this.#head);
    this.#checkKind(own, this.committed?.offset);
    return own;
  }

  /** Takes a checked offset as processed. An offset at or below the reading's place changes nothing. */
  record(member: Member, offset: Offset, heartbeat: boolean): void {
    const { source } = this;
    const compare = this.#compare;
    const { last, rank: before } = member;
    if (equals(offset, last)) return;
    const whole = Math.floor(before);
    // Where a million heartbeats come between two events, the last of them share a rank.
    const rank = heartbeat ? Math.min(before + heartbeatStep, whole + 1 - heartbeatStep) : whole + 1;
    if (compareInEpoch(offset, rank, last, before, source, compare) <= 0) return;
    member.rank = rank;
    member.last = offset;
    const isFurthest = last === this.#head && before === this.#headRank;
    if (!isFurthest && compareInEpoch(offset, rank, this.#head, this.#headRank, source, compare) <= 0) return;
    this.#head = offset;
    this.#headRank = rank;
    // What is further than something that is pending is pending.
    if (!this.pending) this.#updatePending();
    this.stale = true;
    if (this.#rules.listeners.any) this.#rules.listeners.tell('recorded', 'local', source, offset);
    this.#reached(offset);
  }

  /** What is to be committed now. */
  checkpoint(): Checkpoint {
    return this.#checkpointAt(this.#head, this.#headRank);
  }

  /** One step of a reading: from its own place, which need not be where the source stands. @param count of events */
  changeFor({ last, rank }: Member, offset: Offset, count: number): Change {
    const isFirst = this.epoch === 0 && last === undefined;
    return {
      expected: isFirst ? undefined : this.#checkpointAt(last, rank),
      next: this.#checkpointAt(offset, Math.floor(rank) + count),
    };
  }

  /** A step of a reading is stored. */
  applied(member: Member, next: Checkpoint, offsets: readonly Offset[]): void {
    member.last = next.offset;
    member.rank = next.rank;
    this.lastError = undefined;
    this.merge(next, 'local');
    this.changed();
    if (this.committed === next) this.tell('committed', 'local');
    for (const offset of offsets) this.#reached(offset);
  }

  /**
   * Continues epoch and rank from what is stored, where they are not known yet.
   * @throws InvalidOffsetError where what was recorded is of another kind than what is stored; it is dropped then
   */
  adopt(stored: Checkpoint | undefined): void {
    if (this.known) return;
    this.known = true;
    const rank = stored?.rank ?? 0;
    this.epoch = stored?.epoch ?? 0;
    this.feed = stored?.feed ?? this.feed;
    this.#headRank += rank;
    for (const member of this.readings) member.rank += rank;
    this.committed = stored;
    this.changed();
    try {
      if (this.#head) this.#checkKind(this.#head, stored?.offset);
    } catch (error) {
      this.#head = undefined;
      for (const member of this.readings) {
        member.last = stored?.offset;
        member.rank = rank;
      }
      throw error;
    } finally {
      this.#updatePending();
      this.#mergeHeard();
    }
  }

  /** Joins a checkpoint that was stored or heard of; one of another epoch than this tracker's fences its readings. */
  merge(checkpoint: Checkpoint, origin: TrackerEvent['origin']): void {
    // A reset that is heard of before the epoch is known came after what was recorded here. A fence moves nothing.
    const isReset = checkpoint.rank === 0 && checkpoint.epoch > 0 && !isFence(checkpoint.epoch);
    if (this.resetting || !(this.known || isReset)) {
      this.#heard = this.#join(this.#heard, checkpoint);
      return;
    }
    const before = this.committed;
    const joined = this.#join(before, checkpoint);
    if (checkpoint.epoch > this.epoch || !this.known) return this.enter(joined, origin);
    this.committed = joined;
    this.feed = joined.feed ?? this.feed;
    if (joined === before) return;
    this.#updatePending();
    this.changed();
    if (origin === 'remote') this.tell('committed', origin);
    this.#reached(this.recorded);
  }

  /** Goes over to another epoch, or back (undefined: nothing is stored any more). All readings are fenced, all pending is void. */
  enter(
    checkpoint: Checkpoint | undefined,
    origin: TrackerEvent['origin'],
    by: FencedError['by'] = checkpoint && isFence(checkpoint.epoch) ? 'reader' : 'reset',
  ): void {
    this.committed = checkpoint;
    this.known = true;
    this.epoch = checkpoint?.epoch ?? 0;
    this.life++;
    this.#head = undefined;
    this.#settle();
    this.feed = checkpoint?.feed;
    this.progress = new Progress(this.source, this.#compare);
    this.cycle?.resolve('fenced');
    this.cycle = undefined;
    this.fenced = origin === 'remote' && (this.fenced || this.readings.size > 0);
    this.changed();
    const error = new FencedError(this.source, by);
    const { readings } = this;
    for (const member of readings) {
      readings.delete(member);
      member.fence(error);
    }
    this.tell(by === 'reader' ? 'fenced' : checkpoint?.offset ? 'reset' : 'cleared', origin);
  }

  /** A later reset by somebody else has undone one of this tracker's own: nothing here may go on in its epoch unasked. */
  lose(): void {
    this.renew = undefined;
    this.fenced = true;
    this.enter(this.committed, 'remote');
  }

  /** A reset of this tracker's own is under way; ends with the promise. */
  holdFor(reset: Promise<unknown>): void {
    this.#resets++;
    // One promise for all of them, so that those who wait go on in the order in which they came.
    this.resetting ??= new Promise((resolve) => (this.#release = resolve));
    const ended = (): void => {
      if (--this.#resets > 0) return;
      this.resetting = undefined;
      const { renew } = this;
      this.renew = undefined;
      renew?.();
      this.#mergeHeard();
      this.#release();
    };
    reset.then(ended, ended);
  }

  tell(type: TrackerEvent['type'], origin: TrackerEvent['origin'], error?: unknown): void {
    this.#rules.listeners.tell(type, origin, this.source, this.committed?.offset, error);
  }

  /** A commit went through, or failed. */
  worked(): void {
    for (const run of this.runs) run.committed();
  }

  failed(error: unknown): void {
    for (const run of this.runs) run.failed(error);
  }

  /** The tracker is being closed: all that reads here ends. */
  end(): void {
    for (const run of this.runs) run.closed();
    for (const member of this.readings) member.end();
  }

  /** The feed tells how far it is. */
  told(told: Told): void {
    if (!this.progress.told(told, this.recorded)) return;
    this.changed();
    this.tell('progress', 'local');
  }

  #reached(offset: Offset | undefined): void {
    if (!this.progress.reaches(offset)) return;
    this.changed();
    this.tell('progress', 'local');
  }

  changed(): void {
    this.stale = true;
  }

  /** A ticket began, or tickets ended. */
  ticketsChanged(): void {
    this.changed();
    if (this.#rules.listeners.any) this.tell('in-flight', 'local');
  }

  /** What was recorded cannot be stored beside what stands: readings go on there. */
  drop({ offset, rank }: Checkpoint): void {
    this.#head = undefined;
    this.#settle();
    for (const member of this.readings) {
      member.last = offset;
      member.rank = rank;
    }
    this.changed();
  }

  /** @throws InvalidOffsetError for two kinds that both name an event */
  #checkKind(offset: Offset, at: Offset | undefined): void {
    if (isConcrete(offset) && (at === undefined || at.kind === offset.kind || !isConcrete(at))) return;
    const { source } = this;
    const found = `${quote(source)} ${at ? `is at '${format(at)}' and ` : ''}cannot take '${format(offset)}'`;
    const advice = isConcrete(offset)
      ? 'record offsets of one kind, or reset the source'
      : 'no event has that place: record the offset of the event, or reset the source to it';
    throw new InvalidOffsetError(`${found}: ${advice}`, { source });
  }

  /** Whether the store holds something that what is recorded here cannot stand beside. */
  checkStands(stands: Checkpoint): void {
    if (this.#head && stands.offset && stands.epoch === this.epoch) this.#checkKind(this.#head, stands.offset);
  }

  #checkpointAt(offset: Offset | undefined, rank: number): Checkpoint {
    const { epoch, feed } = this;
    const found = { epoch, rank, offset, committedAt: this.#rules.now() };
    return Object.freeze(feed === undefined ? found : { ...found, feed });
  }

  #mergeHeard(): void {
    const heard = this.#heard;
    this.#heard = undefined;
    if (!heard) return;
    try {
      this.merge(heard, 'remote');
    } catch (error) {
      this.tell('error', 'local', error as OffsetError);
    }
  }

  #join(stored: Checkpoint | undefined, incoming: Checkpoint): Checkpoint {
    return join(stored, incoming, this.source, this.#compare);
  }

  #updatePending(): void {
    const { committed } = this;
    this.pending =
      this.#head !== undefined &&
      (committed === undefined ||
        !this.known ||
        compareInEpoch(this.#head, this.#headRank, committed.offset, committed.rank, this.source, this.#compare) > 0);
    if (!this.pending) this.#settle();
  }

  /** Nothing waits for a commit any more. */
  #settle(): void {
    this.pending = false;
    this.unasked = 0;
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}
