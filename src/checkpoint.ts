import { InvalidOffsetError, SerializationError, quote } from './errors.ts';
import { type Offset, equals, frozenOffset, isOffset, order } from './offset.ts';

/** What a store keeps for a source: the offset with what is needed to order it. */
export interface Checkpoint {
  /** A source's life between two resets or fences: 0 at first, then what {@link beginEpoch} makes. */
  readonly epoch: number;
  /**
   * How many events were recorded in this epoch to get here; a reset stands at 0, and a fence goes on counting. A
   * heartbeat that moves the place adds a fraction, a whole multiple of 2^-20, so that it never outranks the next event.
   */
  readonly rank: number;
  /** The last processed event; undefined in a tombstone, which `clear` leaves. */
  readonly offset: Offset | undefined;
  /** The feed id: which log the offset belongs to. Undefined where the feed has none. */
  readonly feed?: string | undefined;
  /** Milliseconds since the Unix epoch. It informs people and never orders anything. */
  readonly committedAt: number;
}

/** Orders the custom offsets of a source: negative, 0 or positive as `a` is before, at or after `b`. */
export type CompareCustom = (a: string, b: string, source: string) => number;

/**
 * The later of two checkpoints of one source. Commutative, associative and idempotent, so that checkpoints may arrive in
 * any order and any number of times. Where nothing moves, the result is `stored` itself.
 * @throws InvalidOffsetError where `compare` throws or answers NaN
 */
export function join(
  stored: Checkpoint | undefined,
  incoming: Checkpoint,
  source: string,
  compare?: CompareCustom,
): Checkpoint {
  if (stored === undefined) return incoming;
  // Two records of one place differ at most in when they were committed and in the feed: any fixed rule is commutative.
  const later =
    compareCheckpoints(stored, incoming, source, compare) ||
    stored.committedAt - incoming.committedAt ||
    compareText(stored.feed ?? '', incoming.feed ?? '');
  return later < 0 ? incoming : stored;
}

/**
 * The total order of a source's checkpoints: epoch, kind and value, the store's `compare`, rank, code units.
 * @throws InvalidOffsetError where `compare` throws or answers NaN
 */
export function compareCheckpoints(a: Checkpoint, b: Checkpoint, source: string, compare?: CompareCustom): number {
  if (a.epoch !== b.epoch) return a.epoch - b.epoch;
  return compareInEpoch(a.offset, a.rank, b.offset, b.rank, source, compare);
}

/** The same order for two places in one epoch, spelled without checkpoint objects: `record` is called for every event. */
export function compareInEpoch(
  a: Offset | undefined,
  rankA: number,
  b: Offset | undefined,
  rankB: number,
  source: string,
  compare?: CompareCustom,
): number {
  if (a === undefined || b === undefined) return a === b ? rankA - rankB : a === undefined ? -1 : 1;
  const placed = order(a, b);
  if (placed !== 0) return placed;
  if (a.kind !== 'custom' || b.kind !== 'custom' || a.value === b.value) return rankA - rankB;
  const compared = compare ? compareCustoms(a.value, b.value, source, compare) : 0;
  return compared || rankA - rankB || compareText(a.value, b.value);
}

// An epoch is a counter and 20 bits. The highest of them tells a reset from a fence, and has it win over
// one of the same moment, which would undo it; the others are random: two that begin one at the same moment never begin the same.
const epochStep = 2 ** 20;
const resetBit = 2 ** 19;

/**
 * What stands when a new epoch begins upon what is stored. A store's `begin` writes it, in one transaction with the read.
 * @param at where to; `{}` leaves a tombstone; undefined: a fence, at the place where the source stands
 */
export function beginEpoch(
  stored: Checkpoint | undefined,
  at?: { readonly offset?: Offset | undefined },
  now: number = Date.now(),
): Checkpoint {
  const counted = (Math.floor((stored?.epoch ?? 0) / epochStep) + 1) * epochStep;
  const epoch = counted + (at ? resetBit : 0) + Math.floor(Math.random() * resetBit);
  if (at === undefined && stored) return Object.freeze({ ...stored, epoch });
  return Object.freeze({ epoch, rank: 0, offset: at?.offset, committedAt: now });
}

/** Whether an epoch was begun by a fence, and not by a reset. */
export function isFence(epoch: number): boolean {
  return epoch >= epochStep && Math.floor(epoch / resetBit) % 2 === 0;
}

/** One step of a source, from what a reading last saw stored to what stands once an effect is applied. */
export interface Change {
  /** What the reading last saw; undefined: nothing was stored. */
  readonly expected: Checkpoint | undefined;
  /** What is stored in its place once the effect is applied. */
  readonly next: Checkpoint;
}

/**
 * What becomes of a change:
 * - 'applied': the effect and the checkpoint are stored.
 * - 'duplicate': what is stored is at or past `next`. Nothing was done.
 * - 'fenced': what is stored is of a later epoch. Nothing was done.
 * - 'moved': what is stored is of the same epoch, before `next` and not what was expected. Nothing was done.
 */
export type ChangeOutcome = 'applied' | 'duplicate' | 'fenced' | 'moved';

/** Compares what is stored with what a change expects: the compare of a compare-and-set. 'applied': the set may follow. */
export function compareChange(
  stored: Checkpoint | undefined,
  { expected, next }: Change,
  source: string,
  compare?: CompareCustom,
): ChangeOutcome {
  if (stored && stored.epoch > next.epoch) return 'fenced';
  if (stored && compareCheckpoints(stored, next, source, compare) >= 0) return 'duplicate';
  const same =
    stored?.epoch === expected?.epoch && stored?.rank === expected?.rank && equals(stored?.offset, expected?.offset);
  return same ? 'applied' : 'moved';
}

/**
 * Checks what came from outside: a store, a message, a file.
 * @throws SerializationError naming the source and what was found
 */
export function asCheckpoint(value: unknown, source: string, where: string): Checkpoint {
  if (isCheckpoint(value)) return Object.freeze({ ...value, offset: value.offset && frozenOffset(value.offset) });
  throw unreadable(value, source, where);
}

/** The error that tells of what was found where a checkpoint should be. */
export function unreadable(found: unknown, source: string, where: string, options?: ErrorOptions): SerializationError {
  return new SerializationError(
    `${where}: ${quote(found)} for ${quote(source)} is no checkpoint: remove it by hand, or all with clearAll()`,
    { source, ...options },
  );
}

/** Whether a value is a whole checkpoint. */
export function isCheckpoint(value: unknown): value is Checkpoint {
  const { epoch, rank, offset, feed, committedAt } = Object(value) as Partial<Record<keyof Checkpoint, unknown>>;
  return (
    isCount(epoch) &&
    isCount(typeof rank === 'number' && rank * epochStep, 2 ** 73) &&
    (offset === undefined || isOffset(offset)) &&
    (feed === undefined || typeof feed === 'string') &&
    Number.isFinite(committedAt)
  );
}

function isCount(value: unknown, limit = 2 ** 53): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < limit;
}

function compareText(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** @throws InvalidOffsetError where `compare` throws or answers NaN */
export function compareCustoms(a: string, b: string, source: string, compare: CompareCustom): number {
  let found: unknown;
  let cause: unknown;
  try {
    found = compare(a, b, source);
    if (typeof found === 'number' && !Number.isNaN(found)) return found;
  } catch (error) {
    cause = error;
  }
  const what = cause === undefined ? `answered ${quote(found)}` : `threw ${cause}`;
  throw new InvalidOffsetError(
    `the store's compare ${what} for ${quote(a)} and ${quote(b)} of ${quote(source)}: have it answer a number for any two`,
    { source, cause },
  );
}
