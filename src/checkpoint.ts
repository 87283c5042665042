import { SerializationError, quote } from './errors.ts';
import { type Offset, isOffset, order } from './offset.ts';

/** What a store keeps for a source: the offset with what is needed to order it. */
export interface Checkpoint {
  /** A source's life between two resets, from 0. */
  readonly epoch: number;
  /** How many events were recorded in this epoch to get here; a reset stands at 0. */
  readonly rank: number;
  /** The last processed event; undefined in a tombstone, which `clear` leaves. */
  readonly offset: Offset | undefined;
  /** Milliseconds since the Unix epoch. It informs people and never orders anything. */
  readonly committedAt: number;
}

/** Orders the custom offsets of a source: negative, 0 or positive as `a` is before, at or after `b`. */
export type CompareCustom = (a: string, b: string, source: string) => number;

/**
 * The later of two checkpoints of one source. Commutative, associative and idempotent, so that checkpoints may meet in
 * any order and any number of times. Where nothing moves, the result is `stored` itself.
 */
export function join(
  stored: Checkpoint | undefined,
  incoming: Checkpoint,
  source: string,
  compare?: CompareCustom,
): Checkpoint {
  if (stored === undefined) return incoming;
  const later = compareCheckpoints(stored, incoming, source, compare);
  // Two records of the same place differ at most in when it was committed: the later time keeps join commutative.
  return later < 0 || (later === 0 && stored.committedAt < incoming.committedAt) ? incoming : stored;
}

/** The total order of a source's checkpoints: epoch, kind and value, the store's `compare`, rank, code units. */
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
  // A comparison that answers NaN has not decided.
  return compare?.(a.value, b.value, source) || rankA - rankB || (a.value < b.value ? -1 : 1);
}

/**
 * Checks what came from outside: a store, a message, a file.
 * @throws SerializationError naming the source and what was found
 */
export function asCheckpoint(value: unknown, source: string, where: string): Checkpoint {
  if (isCheckpoint(value)) return value;
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
  const { epoch, rank, offset, committedAt } = Object(value) as Partial<Record<keyof Checkpoint, unknown>>;
  return isCount(epoch) && isCount(rank) && (offset === undefined || isOffset(offset)) && Number.isFinite(committedAt);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
