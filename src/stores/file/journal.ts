import { Buffer } from 'node:buffer';
import { type Checkpoint, unreadable } from '../../checkpoint.ts';
import { decode, encode } from '../../codec.ts';
import { SerializationError, quote } from '../../errors.ts';
import { crc32 } from './checksum.ts';
import { endOfString } from './json-text.ts';

/*
 * A journal is text:
 *
 *   {"tidemark":2,"id":"4fz0k2m9q1xw"}
 *   ["orders",{…a checkpoint…}] 5d41402a
 *   {"fence":"k2m94f1q1xwz","at":["orders",{…}]} 1b2c3d4e
 *   {"sealed":"q1xw4fz0k2m9"} 90a1b2c3
 *
 * Each line ends with the CRC-32 of what is before it. A write is a newline and then its lines, so that what a killed
 * process has left half written stands in a line of its own, and cannot swallow the line of the next writer.
 *
 * - A line with a checkpoint is joined to what stands before it: such lines may stand in any order, any number of times.
 * - `begin` is a checkpoint with the name of the call that wrote it, which so finds out whether its epoch came first.
 * - `fence` is the same without a place of its own: it begins its epoch wherever the source stands at that line.
 * - What comes after `sealed` does not count: the file is about to be replaced, and its writer appends it to the new one.
 */

/** A line about one source. */
export interface Piece {
  readonly type: 'checkpoint' | 'begin' | 'fence';
  readonly source: string;
  /** The text of the checkpoint. Decoded when someone asks for the source, and else written back as it is. */
  readonly json: string;
  /** The whole line. */
  readonly text: string;
  /** Which call of `begin` wrote it. */
  readonly by?: string | undefined;
}

/** What a stretch of bytes between two newlines is. 'torn': half written, never acknowledged. */
export type Line = Piece | { readonly type: 'sealed' | 'torn' | 'empty' | 'foreign' };

/** The first line of a new journal. */
export function formatHeader(id: string): string {
  return `{"tidemark":2,"id":"${id}"}`;
}

/** @returns the id of the journal that begins with these bytes; undefined where it is none */
export function parseHeader(head: Buffer): string | undefined {
  return /^\{"tidemark":2,"id":"(\w{12})"\}(?:\r?\n|\0|$)/.exec(head.toString('latin1', 0, headerLength + 2))?.[1];
}

/** How many bytes the first line of a journal has, without a newline. */
export const headerLength = 34;

/** Names a journal, a seal, a call of `begin`: 62 random bits. */
export function randomId(): string {
  let id = '';
  while (id.length < 12) id += Math.random().toString(36).slice(2, 8);
  return id.slice(0, 12);
}

export function formatCheckpoint(source: string, checkpoint: Checkpoint): Piece {
  return formatEntry(source, encoded(checkpoint));
}

/** @param json may be anything that cannot be read, and goes on not being readable */
export function formatEntry(source: string, json: string): Piece {
  // In JSON, a line break is never part of a value.
  const line = json.replace(/[\r\n]+/g, ' ');
  return { type: 'checkpoint', source, json: line, text: withChecksum(`[${quoted(source)},${line}]`) };
}

export function formatBegin(type: 'begin' | 'fence', by: string, source: string, checkpoint: Checkpoint): Piece {
  const json = encoded(checkpoint);
  const text = withChecksum(`{"${type}":"${by}","at":[${quoted(source)},${json}]}`);
  return { type, by, source, json, text };
}

export function formatSeal(): string {
  return withChecksum(`{"sealed":"${randomId()}"}`);
}

/** What is appended to a journal in one write. */
export function formatWrite(lines: readonly string[]): Buffer {
  return Buffer.from(`\n${lines.join('\n')}`);
}

/**
 * @param whole whether a newline follows, so that the line will not get longer
 * @returns what it is, and where it ends: before `to` where zeros follow, in place of a write that never reached the disk
 */
export function parseLine(bytes: Buffer, from: number, to: number, whole: boolean): { line: Line; end: number } {
  const zero = bytes.subarray(from, to).indexOf(0);
  if (zero === -1) return { line: parseText(bytes, from, to, whole), end: to };
  const before = parseText(bytes, from, from + zero, true);
  if ('source' in before || before.type === 'sealed') return { line: before, end: whole ? to : from + zero };
  return { line: isHole(bytes, from, to) ? { type: 'torn' } : parseText(bytes, from, to, whole), end: to };
}

function parseText(bytes: Buffer, from: number, to: number, whole: boolean): Line {
  const end = to > from && bytes[to - 1] === 0x0d ? to - 1 : to;
  if (end === from) return { type: 'empty' };
  const text = bytes.toString('utf8', from, end);
  const claimed = claimedChecksum.exec(text)?.[1];
  if (claimed !== undefined && Number.parseInt(claimed, 16) === crc32(bytes, from, end - 9)) {
    const found = parseBody(text.slice(0, -9), text);
    if (found) return found;
  }
  // Nobody writes a longer line over a checksum: one that does not fit is damage.
  if (claimed !== undefined) return { type: 'foreign' };
  if (isFirstPart(text)) return { type: 'torn' };
  if (!isJson(text)) return { type: 'foreign' };
  // A line that was written by hand has no checksum; one of ours that is still being written has none yet.
  return whole ? (parsePair(text, withChecksum(text), 'checkpoint') ?? { type: 'torn' }) : { type: 'torn' };
}

/** The inverse of `encode` for text that may be anything: the error quotes it as it stands. */
export function readCheckpoint(json: string, source: string, where: string): Checkpoint {
  try {
    return decode(json, source, where);
  } catch (cause) {
    // superjson takes what it did not write for undefined, which would tell nobody what is there.
    const { message } = unreadable('\0', source, where);
    throw new SerializationError(
      message.replace(quote('\0'), () => excerpt(json)),
      { source, cause },
    );
  }
}

/** Text as it stands, cut to a length that fits a log line. */
export function excerpt(text: string): string {
  const shown = text.replace(
    /[\u0000-\u001f\u007f-\u009f]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return shown.length > 160 ? `${shown.slice(0, 159)}…` : shown;
}

function withChecksum(body: string): string {
  return `${body} ${crc32(Buffer.from(body)).toString(16).padStart(8, '0')}`;
}

const likeChecksum = / (?=[\da-f]{8})/g;
const claimedChecksum = / ([\da-f]{8})$/;

/** A string as JSON, in which nothing looks like the end of a line: see `claimedChecksum`. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(likeChecksum, '\\u0020');
}

/** Whether a line is the first part of one of ours, cut off in the middle, and so was never acknowledged. */
function isFirstPart(text: string): boolean {
  if (!['["', '{"b', '{"f', '{"s'].some((ours) => text.startsWith(ours) || ours.startsWith(text))) return false;
  const end = endOfValue(text);
  return end === undefined || (end < text.length && /^ [\da-f]{0,7}$/.test(text.slice(end)));
}

/**
 * Whether zeros stand in place of a page that never reached the disk, as some file systems leave after a power cut: at the
 * start of a write, at its end, or for a whole sector.
 */
function isHole(bytes: Buffer, from: number, to: number): boolean {
  if (bytes[from] === 0 || bytes[to - 1] === 0) return true;
  return bytes.subarray(from, to).includes(Buffer.alloc(512));
}

/** Where the array or object that a text begins with ends; undefined where the text ends first. */
function endOfValue(text: string): number | undefined {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '"') at = endOfString(text, at);
    else if (char === '[' || char === '{') depth++;
    else if ((char === ']' || char === '}') && --depth === 0) return at + 1;
  }
  return undefined;
}

/** No space stands outside a string in what `encode` writes. */
function encoded(checkpoint: Checkpoint): string {
  return encode(checkpoint).replace(likeChecksum, '\\u0020');
}

function parseBody(body: string, text: string): Line | undefined {
  if (body.startsWith('{"sealed":"')) return isJson(body) ? { type: 'sealed' } : undefined;
  const begun = /^\{"(begin|fence)":"(\w+)","at":(?=\[)/.exec(body);
  if (begun === null) return parsePair(body, text, 'checkpoint');
  const [start, type, by] = begun;
  return body.endsWith('}')
    ? parsePair(body.slice(start.length, -1), text, type === 'fence' ? 'fence' : 'begin', by)
    : undefined;
}

function parsePair(pair: string, text: string, type: 'checkpoint' | 'begin' | 'fence', by?: string): Piece | undefined {
  if (!pair.startsWith('["') || !pair.endsWith(']')) return undefined;
  const end = endOfString(pair, 1);
  if (pair[end + 1] !== ',') return undefined;
  const name = pair.slice(2, end);
  const source = name.includes('\\') ? parseString(`"${name}"`) : name;
  return source === undefined ? undefined : { type, source, json: pair.slice(end + 2, -1), text, by };
}

function parseString(json: string): string | undefined {
  try {
    return JSON.parse(json) as string;
  } catch {
    return undefined;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
