import { Buffer } from 'node:buffer';
import type { BigIntStats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { SerializationError } from '../../errors.ts';
import type { Contents } from './contents.ts';
import { parseCrate } from './crate.ts';
import { parseFormat1 } from './format1.ts';
import { excerpt, formatEntry } from './journal.ts';

const headLength = 4096;
const chunkLength = 1 << 20;

/**
 * Reads a file that is no journal: the first format, the crate's JSON, or nothing at all, which is an empty store.
 * @throws SerializationError naming `where`, for anything else
 */
export async function readOldFormat(
  file: FileHandle,
  stats: BigIntStats,
  into: Contents,
  where: string,
): Promise<void> {
  const size = Number(stats.size);
  if (size === 0) return;
  const head = Buffer.alloc(Math.min(size, headLength));
  await file.read(head, 0, head.length, 0);
  const later = /^\{"tidemark":(\d+)/.exec(head.toString('latin1'))?.[1];
  if (Number(later) > 2) throw unreadable(where, laterFormat(Number(later)));
  // Only what may be JSON is read whole: garbage of any size costs no memory.
  if (!mayBeJson(head) || (size > chunkLength && !(await isBalanced(file)))) throw foreign(where, head);
  let text: string;
  let version: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(await readWhole(file, size));
    version = (JSON.parse(text) as { tidemark?: unknown } | null)?.tidemark;
  } catch (cause) {
    throw foreign(where, head, cause);
  }
  if (typeof version === 'number' && version > 1) throw unreadable(where, laterFormat(version));
  // A source of the crate may be named 'tidemark' too, but the crate never writes a number for a source.
  const found =
    typeof version === 'number'
      ? version === 1
        ? parseFormat1(text)
        : undefined
      : parseCrate(text, Number(stats.mtimeNs / 1_000_000n));
  if (found === undefined) throw foreign(where, head);
  for (const [source, json] of found) into.add(formatEntry(source, json));
}

async function readWhole(file: FileHandle, size: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(size);
  let filled = 0;
  while (filled < size) {
    const { bytesRead } = await file.read(bytes, filled, size - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

/** Whether a text begins as an object does, or with white space only. */
function mayBeJson(head: Buffer): boolean {
  return /^(?:\xef\xbb\xbf)?[ \t\r\n]*(?:$|\{[ \t\r\n]*(?:$|["}]))/.test(head.toString('latin1')) && !head.includes(0);
}

/** Whether the brackets outside strings form one object and nothing follows it, read piece by piece. */
async function isBalanced(file: FileHandle): Promise<boolean> {
  const chunk = Buffer.allocUnsafe(chunkLength);
  let depth = 0;
  let state: 'outside' | 'string' | 'escaped' = 'outside';
  for (let position = 0; ;) {
    const { bytesRead } = await file.read(chunk, 0, chunk.length, position);
    if (bytesRead === 0) return position > 0 && depth === 0 && state === 'outside';
    for (let at = 0; at < bytesRead; at++) {
      const byte = chunk[at] ?? 0;
      const isSpace = byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
      const isClosing = byte === 0x7d || byte === 0x5d;
      if (byte < 0x20 && (state !== 'outside' || !isSpace)) return false;
      if (state === 'escaped') state = 'string';
      else if (state === 'string') state = byte === 0x5c ? 'escaped' : byte === 0x22 ? 'outside' : 'string';
      else if (byte === 0x22) state = 'string';
      else if (byte === 0x7b || byte === 0x5b) depth++;
      else if (isClosing) depth--;
      // Before the object stands nothing but a byte order mark, and after it nothing at all.
      if (depth <= 0 && !isSpace && !isClosing && position + at > 2) return false;
    }
    position += bytesRead;
  }
}

function laterFormat(version: number): string {
  return `in format ${version}, written by a later version of tidemark: update`;
}

function foreign(where: string, head: Buffer, cause?: unknown): SerializationError {
  const found = excerpt(head.toString('utf8'));
  return unreadable(where, `neither an offset file of tidemark nor one of streamweave-offset: found ${found}`, cause);
}

function unreadable(where: string, found: string, cause?: unknown): SerializationError {
  return new SerializationError(
    `${where} is ${found}. It is left as it is; clearAll() or removing it by hand starts anew`,
    { cause },
  );
}
