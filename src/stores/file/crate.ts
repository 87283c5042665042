import { encode } from '../../codec.ts';
import { Offset } from '../../offset.ts';
import { members, pairs } from './json-text.ts';

/**
 * The file of the crate `streamweave-offset`: an object from source to offset. An entry that is no offset is kept as it
 * is, to fail when its source is asked for. Where not one is an offset, this is some other program's file.
 * @param modifiedAt when the file was written, in ms: the crate does not say when it committed
 * @returns each source with the text of its checkpoint; undefined where the text is something else
 */
export function parseCrate(text: string, modifiedAt: number): Map<string, string> | undefined {
  if (!/^\s*\{/.test(text)) return undefined;
  const found = new Map<string, string>();
  let known = false;
  for (const [source, json] of pairs(members(text))) {
    const offset = parseOffset(json);
    known ||= offset !== undefined;
    found.set(source, offset ? encode({ epoch: 0, rank: 0, offset, committedAt: modifiedAt }) : json);
  }
  return known || found.size === 0 ? found : undefined;
}

function parseOffset(json: string): Offset | undefined {
  if (json === '"Earliest"') return Offset.earliest;
  if (json === '"Latest"') return Offset.latest;
  if (!json.startsWith('{')) return undefined;
  const [[kind, value] = [], ...more] = pairs(members(json));
  if (value === undefined || more.length > 0) return undefined;
  // The digits are read as they stand: JSON.parse would round a u64 past 2^53.
  if (kind === 'Sequence') {
    return /^\d{1,20}$/.test(value) && BigInt(value) < 2n ** 64n ? Offset.sequence(value) : undefined;
  }
  if (!value.startsWith('"')) return undefined;
  const string = JSON.parse(value) as string;
  if (kind === 'Custom') return Offset.custom(string);
  return kind === 'Timestamp' ? parseTimestamp(string) : undefined;
}

/** RFC 3339 with up to nanoseconds, cut down to milliseconds: reading on from an earlier time repeats, never skips. */
function parseTimestamp(text: string): Offset | undefined {
  const match = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:)(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/i.exec(text);
  if (!match) return undefined;
  const [, day = '', minute = '', second = '', fraction = '', zone = ''] = match;
  const isLeap = second === '60';
  const ms = isLeap ? '999' : fraction.slice(0, 3).padEnd(3, '0');
  const time = new Date(`${day}T${minute}${isLeap ? '59' : second}.${ms}${zone.toUpperCase()}`);
  // Engines take the 30th of February for a day in March.
  const midnight = new Date(`${day}T00:00:00Z`);
  const exists =
    !Number.isNaN(time.getTime()) && !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(day);
  return exists ? Offset.timestamp(time) : undefined;
}
