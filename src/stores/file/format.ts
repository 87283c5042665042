import type { Checkpoint } from '../../checkpoint.ts';
import { decode, encode } from '../../codec.ts';
import { SerializationError, quote } from '../../errors.ts';
import { Offset } from '../../offset.ts';

/** What a file holds for one source, as JSON text that is decoded when someone asks, and else written back as it is. */
export interface Entry {
  readonly json: string;
  checkpoint?: Checkpoint;
}

/**
 * The text of a file: `{"tidemark":1,"checkpoints":[[source, checkpoint], …]}`, a line a source. An array of pairs,
 * since the name of a source may be any string, `__proto__` too.
 */
export function formatFile(entries: ReadonlyMap<string, Entry>): string {
  const lines: string[] = [];
  for (const [source, { json }] of entries) lines.push(`\n[${JSON.stringify(source)},${json}]`);
  return `{"tidemark":1,"checkpoints":[${lines.join()}\n]}\n`;
}

/** @throws SerializationError naming `where`, for what neither this library nor the `streamweave-offset` crate writes */
export function parseFile(bytes: Uint8Array, where: string, modifiedAt: number): Map<string, Entry> {
  if (bytes.length === 0) return new Map();
  let text: string | undefined;
  let version: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    version = (JSON.parse(text) as { tidemark?: unknown } | null)?.tidemark;
  } catch (cause) {
    throw foreign(where, text, cause);
  }
  // A source of the crate may be named 'tidemark' too, but the crate never writes a number for a source.
  const entries = typeof version === 'number' ? parseOwn(text, version, where) : parseCrate(text, modifiedAt);
  if (entries === undefined) throw foreign(where, text);
  return entries;
}

/** @throws SerializationError naming `where` and the source */
export function readEntry(entry: Entry, source: string, where: string): Checkpoint {
  return (entry.checkpoint ??= decode(entry.json, source, where));
}

/** The entry of a checkpoint that is about to be written. */
export function toEntry(checkpoint: Checkpoint): Entry {
  return { json: encode(checkpoint), checkpoint };
}

function parseOwn(text: string, version: number, where: string): Map<string, Entry> | undefined {
  if (version > 1) {
    throw unreadable(where, `in format ${version}, written by a later version of tidemark: update`);
  }
  const list = new Map(pairs(members(text))).get('checkpoints');
  if (version !== 1 || !list?.startsWith('[')) return undefined;
  const entries = new Map<string, Entry>();
  for (const pair of members(list)) {
    const [source, json, ...more] = pair.startsWith('[') ? members(pair) : [];
    if (!source?.startsWith('"') || json === undefined || more.length > 0) return undefined;
    entries.set(JSON.parse(source) as string, { json });
  }
  return entries;
}

/**
 * The file of the crate: an object from source to offset. An entry that is no offset is kept as it is, to fail when its
 * source is asked for; where not one is an offset, this is some other program's file, and not ours to rewrite.
 */
function parseCrate(text: string, modifiedAt: number): Map<string, Entry> | undefined {
  if (!/^\s*\{/.test(text)) return undefined;
  const entries = new Map<string, Entry>();
  let known = false;
  for (const [source, json] of pairs(members(text))) {
    const offset = parseCrateOffset(json);
    known ||= offset !== undefined;
    entries.set(source, offset ? toEntry({ epoch: 0, rank: 0, offset, committedAt: modifiedAt }) : { json });
  }
  return known || entries.size === 0 ? entries : undefined;
}

function parseCrateOffset(json: string): Offset | undefined {
  if (json === '"Earliest"') return Offset.earliest;
  if (json === '"Latest"') return Offset.latest;
  if (!json.startsWith('{')) return undefined;
  const [[kind, value] = [], ...more] = pairs(members(json));
  if (value === undefined || more.length > 0) return undefined;
  // The digits are read as they stand: JSON.parse would round a u64 past 2^53.
  if (kind === 'Sequence')
    return /^\d{1,20}$/.test(value) && BigInt(value) < 2n ** 64n ? Offset.sequence(value) : undefined;
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

function pairs(list: readonly string[]): [key: string, json: string][] {
  const found: [string, string][] = [];
  for (let i = 0; i + 1 < list.length; i += 2) found.push([JSON.parse(list[i] ?? '') as string, list[i + 1] ?? '']);
  return found;
}

/**
 * The texts inside an array, or the keys and values inside an object, as they stand in JSON that is known to be valid:
 * so that numbers keep their digits, and what cannot be read is written back unchanged.
 */
function members(json: string): string[] {
  const found: string[] = [];
  let depth = 0;
  let from = 0;
  const take = (to: number): void => {
    const member = json.slice(from, to).trim();
    if (member !== '') found.push(member);
    from = to + 1;
  };
  for (let at = 0; at < json.length; at++) {
    switch (json[at]) {
      case '"':
        at = endOfString(json, at);
        break;
      case '[':
      case '{':
        if (++depth === 1) from = at + 1;
        break;
      case ']':
      case '}':
        if (--depth === 0) take(at);
        break;
      case ',':
      case ':':
        if (depth === 1) take(at);
    }
  }
  return found;
}

function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at;
}

function foreign(where: string, text: string | undefined, cause?: unknown): SerializationError {
  const found = text === undefined ? 'bytes that are not UTF-8' : quote(text);
  return unreadable(where, `neither an offset file of tidemark nor one of streamweave-offset: found ${found}`, cause);
}

function unreadable(where: string, found: string, cause?: unknown): SerializationError {
  return new SerializationError(
    `${where} is ${found}. It is left as it is; clearAll() or removing it by hand starts anew`,
    { cause },
  );
}
