import type { Checkpoint } from './checkpoint.ts';

/**
 * A checkpoint's place as text that sorts, byte by byte, exactly as {@link compareCheckpoints} orders checkpoints
 * without a `compare`. A store that keeps it in a column commits by one conditional upsert.
 *
 * Only the digits and `a` to `f` occur in it, so it sorts alike as bytes, as ASCII and in any collation of a database
 * that compares whole strings. Two keys are equal exactly where the two checkpoints name the same place.
 * @example
 * orderKey(a) < orderKey(b); // where compareCheckpoints(a, b, source) < 0
 */
export function orderKey({ epoch, rank, offset }: Checkpoint): string {
  const start = digits(epoch, 16);
  switch (offset?.kind) {
    case undefined:
      return `${start}0${rankKey(rank)}`;
    case 'earliest':
      return `${start}1${rankKey(rank)}`;
    case 'latest':
      return `${start}2${rankKey(rank)}`;
    case 'sequence':
      return `${start}3${digits(offset.value, 20)}${rankKey(rank)}`;
    case 'timestamp':
      return `${start}4${digits(BigInt(offset.value.getTime()) + maxTime, 17)}${rankKey(rank)}`;
    case 'custom':
      return `${start}5${rankKey(rank)}${hex(offset.value)}`;
  }
}

/** The latest time that a Date can hold, in milliseconds; the earliest is its negative. Their distance is above 2^53. */
const maxTime = 8_640_000_000_000_000n;

/** The whole part of a rank, and its fraction in units of 2^-20. */
function rankKey(rank: number): string {
  const whole = Math.floor(rank);
  return digits(whole, 16) + digits((rank - whole) * 2 ** 20, 7);
}

function digits(value: number | bigint, width: number): string {
  return String(value).padStart(width, '0');
}

/** UTF-16 code units, which is how JavaScript orders strings; databases order by code points or bytes. */
function hex(text: string): string {
  let units = '';
  for (let i = 0; i < text.length; i++) units += text.charCodeAt(i).toString(16).padStart(4, '0');
  return units;
}
