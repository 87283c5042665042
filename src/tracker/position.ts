import { type Checkpoint, type CompareCustom, compareInEpoch, join } from '../checkpoint.ts';
import { InvalidOffsetError, quote } from '../errors.ts';
import { type Offset, asOffset, equals, format, isConcrete } from '../offset.ts';
import type { Cycle } from './cycle.ts';
import type { Rules } from './rules.ts';
import type { SourceStatus, TrackerEvent } from './types.ts';
import { Window } from './window.ts';

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
  /** Somebody else reset the source: nothing is recorded until reading starts again. */
  fenced = false;
  /** Counts resets and fences, so that what was under way across one can tell. */
  life = 0;

  /** Where this reading stands. */
  #last: Offset | undefined;
  #rank = 0;
  /** The furthest recorded; ahead of this reading where an earlier one had got further. */
  #head: Offset | undefined;
  #headRank = 0;
  /** Whether `#head` is beyond `committed`. */
  pending = false;

  /** The commit that what is recorded now will be part of, once asked for. */
  cycle: Cycle | undefined;
  /** Records since a commit was last asked for, and the time (ms) of the first of them. */
  unasked = 0;
  firstAt = 0;
  timer: ReturnType<typeof setTimeout> | undefined;
  lastError: unknown;
  role: SourceStatus['role'];

  window: Window;
  /** Tickets finished twice, or after their window was void. */
  voidTickets = 0;

  constructor(source: string, rules: Rules) {
    this.source = source;
    this.#rules = rules;
    this.#compare = rules.store.compare;
    this.window = new Window(this.source, this.#rules);
  }

  get recorded(): Offset | undefined {
    return this.#head ?? this.#last;
  }

  /** @throws InvalidOffsetError for what cannot be recorded here */
  check(offset: Offset): void {
    const at = this.window.newest ?? this.#last ?? this.#head ?? this.committed?.offset;
    this.#checkKind(asOffset(offset, this.source), at);
  }

  /** Takes a checked offset as processed. An offset at or below this reading's place changes nothing. */
  record(offset: Offset): void {
    const { source } = this;
    const compare = this.#compare;
    if (equals(offset, this.#last)) return;
    if (compareInEpoch(offset, this.#rank + 1, this.#last, this.#rank, source, compare) <= 0) return;
    this.#rank++;
    this.#last = offset;
    if (compareInEpoch(offset, this.#rank, this.#head, this.#headRank, source, compare) <= 0) return;
    this.#head = offset;
    this.#headRank = this.#rank;
    this.#weigh();
  }

  /** What is to be committed now. */
  checkpoint(committedAt: number): Checkpoint {
    return { epoch: this.epoch, rank: this.#headRank, offset: this.#head, committedAt };
  }

  /**
   * Continues epoch and rank from what is stored, where they are not known yet.
   * @throws InvalidOffsetError where what was recorded is of another kind than what is stored; it is dropped then
   */
  learn(stored: Checkpoint | undefined): void {
    if (this.known) return;
    this.known = true;
    this.epoch = stored?.epoch ?? 0;
    this.#rank += stored?.rank ?? 0;
    this.#headRank += stored?.rank ?? 0;
    if (stored) this.committed = join(this.committed, stored, this.source, this.#compare);
    try {
      if (this.#head) this.#checkKind(this.#head, stored?.offset);
    } catch (error) {
      this.#head = undefined;
      this.#last = stored?.offset;
      this.#rank = stored?.rank ?? 0;
      throw error;
    } finally {
      this.#weigh();
    }
  }

  /** Joins a checkpoint met in the store or in a message; one of a later epoch than this tracker's fences the source. */
  meet(checkpoint: Checkpoint, origin: TrackerEvent['origin']): void {
    const before = this.committed;
    const joined = join(before, checkpoint, this.source, this.#compare);
    // Before its own epoch is known a tracker can tell a reset only by its rank, 0, which no recorded offset has.
    const later = this.known
      ? checkpoint.epoch > this.epoch
      : checkpoint.epoch > 0 && checkpoint.rank === 0 && this.#head !== undefined;
    if (later) return this.reset(joined, 'remote');
    this.committed = joined;
    this.#weigh();
    if (joined !== before && origin === 'remote') this.tell('committed', origin);
  }

  /** Takes a reset over, by this tracker or, which fences it, by somebody else. */
  reset(checkpoint: Checkpoint | undefined, origin: TrackerEvent['origin']): void {
    this.begin(checkpoint);
    this.fenced = origin === 'remote';
    this.tell(checkpoint?.offset ? 'reset' : 'cleared', origin);
  }

  tell(type: TrackerEvent['type'], origin: TrackerEvent['origin']): void {
    this.#rules.listeners.tell(type, origin, this.source, this.committed?.offset);
  }

  /** Starts a new life at a checkpoint (undefined: nothing is stored): all that was recorded before is void. */
  begin(checkpoint: Checkpoint | undefined): void {
    this.committed = checkpoint;
    this.known = true;
    this.#head = undefined;
    this.life++;
    this.cycle?.resolve('fenced');
    this.cycle = undefined;
    this.restart();
  }

  /** Starts reading at what is committed. What is pending in this epoch stays pending: it was processed. */
  restart(): void {
    const { committed } = this;
    this.epoch = committed?.epoch ?? 0;
    this.#rank = committed?.rank ?? 0;
    this.#last = committed?.offset;
    this.fenced = false;
    this.drop();
    this.#weigh();
  }

  /** The tickets that have begun are void. */
  drop(): void {
    this.window.drop();
    this.window = new Window(this.source, this.#rules);
  }

  #weigh(): void {
    const { committed } = this;
    this.pending =
      this.#head !== undefined &&
      (committed === undefined ||
        !this.known ||
        committed.epoch < this.epoch ||
        compareInEpoch(this.#head, this.#headRank, committed.offset, committed.rank, this.source, this.#compare) > 0);
  }

  #checkKind(offset: Offset, at: Offset | undefined): void {
    if (isConcrete(offset) && (at === undefined || at.kind === offset.kind || !isConcrete(at))) return;
    throw new InvalidOffsetError(
      `${quote(this.source)} ${at ? `is at '${format(at)}' and` : ''} cannot take '${format(offset)}': record offsets of one kind, or reset the source`,
      { source: this.source },
    );
  }
}
