import { InvalidOffsetError, quote } from './errors.ts';

/**
 * The position of the last processed event of a source; reading goes on strictly after it. A plain, frozen object that
 * survives `structuredClone`.
 */
export type Offset =
  /** A whole number from 0 to 2^64 − 1. */
  | { readonly kind: 'sequence'; readonly value: bigint }
  | { readonly kind: 'timestamp'; readonly value: Date }
  /** Opaque text: an SSE id, a cursor, a file position. */
  | { readonly kind: 'custom'; readonly value: string }
  /** Before the first event that the feed still holds. */
  | { readonly kind: 'earliest' }
  /** After the newest event at the time of opening. */
  | { readonly kind: 'latest' };

const maxSequence = 0xffff_ffff_ffff_ffffn;
export const earliest: Offset = /* @__PURE__ */ Object.freeze({ kind: 'earliest' });
export const latest: Offset = /* @__PURE__ */ Object.freeze({ kind: 'latest' });

/** Makes, compares and spells offsets. */
export const Offset = {
  /** Before the first event that the feed still holds: a place to start from, not one that an event has. */
  earliest,
  /** After the newest event at the time of opening: a place to start from, not one that an event has. */
  latest,
  /**
   * The offset of an event that its feed numbers: a log's position, a database's serial id. Sequences are ordered by number.
   * @param value a whole number from 0 to 2^64 − 1; as a string, decimal digits without leading zeros
   * @throws InvalidOffsetError for anything else: for '042', whose zero would be lost, and for a number past 2^53 − 1, which
   * may already have been rounded
   * @example
   * Offset.sequence(42);
   * Offset.sequence('18446744073709551615');
   */
  sequence,
  /**
   * The offset of an event that is known by its time, in whole milliseconds. Where several events share one, give it to the
   * last of them only: what stands at the offset is not read again.
   * @param value a Date, milliseconds since the Unix epoch, or an ISO 8601 string
   * @throws InvalidOffsetError for what is no time
   * @example
   * Offset.timestamp('2026-01-02T03:04:05.678Z');
   * Offset.timestamp(Date.now());
   */
  timestamp,
  /**
   * The offset of an event that is known by opaque text: an SSE id, a cursor, a file position. Such offsets have no order of
   * their own, unless the store has a `compare`.
   * @throws InvalidOffsetError for what is no string
   * @example
   * Offset.custom('0_17');
   */
  custom,
  /**
   * Whether reading starts before the first event that the feed still holds.
   * @example
   * if (Offset.isEarliest(from)) await copyEverything();
   */
  isEarliest: (offset: Offset): boolean => offset.kind === 'earliest',
  /**
   * Whether reading starts after the newest event at the time of opening.
   * @example
   * if (Offset.isLatest(from)) url.searchParams.set('from', 'now');
   */
  isLatest: (offset: Offset): boolean => offset.kind === 'latest',
  /**
   * The sequence after this one, as what to expect next. Recording `offset` is enough to go on after it.
   * @returns undefined for any other kind, which has no next
   * @throws InvalidOffsetError past 2^64 − 1
   * @example
   * Offset.increment(Offset.sequence(42)); // the sequence 43
   */
  increment,
  /**
   * Whether both name the same place, or neither names any.
   * @example
   * Offset.equals(tracker.status('orders').committed, Offset.sequence(42));
   */
  equals,
  /**
   * Which of two offsets is further, where that can be known from them alone.
   * @returns negative, 0 or positive as `a` is before, at or after `b`; undefined where the two have no order: opaque
   * customs that differ, and concrete offsets of different kinds. The sentinels are before every concrete offset.
   * @example
   * Offset.compare(Offset.sequence(1), Offset.sequence(2)); // negative
   * Offset.compare(Offset.custom('a'), Offset.custom('b')); // undefined
   */
  compare,
  /**
   * An offset as text, to show or to log it; `Offset.parse` reads it.
   * @returns 'seq:42', 'ts:2026-01-02T03:04:05.678Z', 'custom:0_17', 'earliest' or 'latest'
   * @example
   * Offset.format(Offset.sequence(42)); // 'seq:42'
   */
  format,
  /**
   * The inverse of `Offset.format`.
   * @throws InvalidOffsetError for text that `Offset.format` does not write
   * @example
   * Offset.parse('seq:42'); // Offset.sequence(42)
   */
  parse,
} as const;

export function sequence(value: bigint | number | string): Offset {
  const fits =
    typeof value === 'bigint' ||
    (typeof value === 'string' ? /^(0|[1-9]\d{0,19})$/.test(value) : Number.isSafeInteger(value));
  const number = fits ? BigInt(value) : -1n;
  if (number < 0n || number > maxSequence) {
    throw invalid(
      'a sequence',
      value,
      'a whole number from 0 to 2^64 − 1, large ones as a bigint or a string; where ids have leading zeros, Offset.custom keeps them',
    );
  }
  return Object.freeze({ kind: 'sequence', value: number });
}

export function timestamp(value: Date | number | string): Offset {
  const fits = typeof value === 'string' ? isIso(value) : typeof value === 'number' || value instanceof Date;
  const date = new Date(fits ? value : NaN);
  if (Number.isNaN(date.getTime())) throw invalid('a timestamp', value, 'a Date, milliseconds or an ISO 8601 string');
  return Object.freeze({ kind: 'timestamp', value: date });
}

/** Engines take more than ISO 8601 for a time, 'order 12' too, and the 30th of February for a day in March. */
function isIso(text: string): boolean {
  const [, day] =
    /^((?:[+-]\d\d)?\d{4}-\d\d-\d\d)(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?$/i.exec(text) ?? [];
  const midnight = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(String(day));
}

function custom(value: string): Offset {
  if (typeof value !== 'string') throw invalid('a custom offset', value, 'a string');
  return Object.freeze({ kind: 'custom', value });
}

function increment(offset: Offset): Offset | undefined {
  return offset.kind === 'sequence' ? sequence(offset.value + 1n) : undefined;
}

export function equals(a: Offset | undefined, b: Offset | undefined): boolean {
  return a?.kind === b?.kind && valueOf(a) === valueOf(b);
}

function compare(a: Offset, b: Offset): number | undefined {
  if (equals(a, b)) return 0;
  if (a.kind === b.kind && a.kind === 'custom') return undefined;
  if (a.kind !== b.kind && isConcrete(a) && isConcrete(b)) return undefined;
  return order(a, b);
}

export function format(offset: Offset): string {
  switch (offset.kind) {
    case 'sequence':
      return `seq:${offset.value}`;
    case 'timestamp':
      return `ts:${offset.value.toISOString()}`;
    case 'custom':
      return `custom:${offset.value}`;
    default:
      return offset.kind;
  }
}

function parse(text: string): Offset {
  const [, kind, value = ''] = /^(seq|ts|custom):([^]*)$/.exec(text) ?? [];
  const offset =
    text === 'earliest' || text === 'latest'
      ? { earliest, latest }[text]
      : kind === 'seq'
        ? sequence(value)
        : kind === 'ts'
          ? timestamp(value)
          : custom(value);
  if (format(offset) === text) return offset;
  throw invalid('an offset', text, "'seq:…', 'ts:…', 'custom:…', 'earliest' or 'latest', as Offset.format writes them");
}

/** Whether an offset names an event, unlike 'earliest' and 'latest'. */
export function isConcrete(offset: Offset): boolean {
  return offset.kind !== 'earliest' && offset.kind !== 'latest';
}

/** The kinds in the order of the checkpoint rules: any concrete offset is above the sentinels. */
const kinds: readonly Offset['kind'][] = ['earliest', 'latest', 'sequence', 'timestamp', 'custom'];

/**
 * The order of offsets by kind, number and time. Two customs are equal here: what orders them is not in the offset (see
 * checkpoint.ts).
 */
export function order(a: Offset, b: Offset): number {
  if (a.kind !== b.kind) return kinds.indexOf(a.kind) - kinds.indexOf(b.kind);
  const x = valueOf(a);
  const y = valueOf(b);
  if (x === y || x === undefined || y === undefined || a.kind === 'custom') return 0;
  return x < y ? -1 : 1;
}

/**
 * Takes an offset from a caller, as an object of our own: see `frozenOffset`.
 * @throws InvalidOffsetError for anything else
 */
export function asOffset(value: unknown, source: string): Offset {
  if (isOffset(value)) return frozenOffset(value);
  throw new InvalidOffsetError(`${quote(value)} for ${quote(source)} is no offset: make one with Offset`, { source });
}

/** The same offset as an object of our own: what its maker changes later changes nothing here. */
export function frozenOffset(offset: Offset): Offset {
  if (offset.kind === 'timestamp') return Object.freeze({ kind: offset.kind, value: new Date(offset.value) });
  if (Object.isFrozen(offset)) return offset;
  // Nothing else that hangs on it: an own `__proto__` is more than superjson takes.
  const { kind } = offset;
  return Object.freeze('value' in offset ? { kind, value: offset.value } : { kind }) as Offset;
}

/** Whether a value, from a caller or from a store, is an offset. */
export function isOffset(value: unknown): value is Offset {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return false;
  const inner = 'value' in value ? value.value : undefined;
  switch (value.kind) {
    case 'sequence':
      return typeof inner === 'bigint' && inner >= 0n && inner <= maxSequence;
    case 'timestamp':
      return inner instanceof Date && !Number.isNaN(inner.getTime());
    case 'custom':
      return typeof inner === 'string';
    default:
      return inner === undefined && (value.kind === 'earliest' || value.kind === 'latest');
  }
}

function valueOf(offset: Offset | undefined): bigint | number | string | undefined {
  if (offset === undefined || !('value' in offset)) return undefined;
  return offset.kind === 'timestamp' ? offset.value.getTime() : offset.value;
}

function invalid(what: string, found: unknown, wanted: string): InvalidOffsetError {
  return new InvalidOffsetError(`${quote(found)} is not ${what}: give ${wanted}`);
}
