import { type Checkpoint } from '../../checkpoint.ts';
import { decode, encode } from '../../codec.ts';
import { SerializationError, quote } from '../../errors.ts';

/** What stands under a key of Workers KV. */
export interface KVRecord {
  readonly source: string;
  readonly checkpoint: Checkpoint;
  /** When it was written, in ms since the Unix epoch: the next write of the key is spaced from it. */
  readonly writtenAt: number;
}

// "Workers KV: Limits": keys have at most 512 bytes, the JSON of a key's metadata at most 1,024.
const maxKeyBytes = 512;
const maxMetadataBytes = 1024;
const hashMark = 'sha256:';
const hashBytes = hashMark.length + 64;

/** @throws TypeError where the prefix is no well-formed text or leaves no room for a hash */
export function checkedPrefix(prefix: string): string {
  if (isWellFormed(prefix) && utf8(prefix).length <= maxKeyBytes - hashBytes) return prefix;
  throw new TypeError(
    `the prefix ${quote(prefix)} does not fit KV: give well-formed text of at most ${maxKeyBytes - hashBytes} UTF-8 bytes`,
  );
}

/**
 * The key of a source: its name as it is where KV takes that, else a hash of it. Names that look like a hash are hashed
 * too, so that no two sources ever share a key.
 */
export async function keyOf(prefix: string, source: string): Promise<string> {
  const key = prefix + source;
  if (!source.startsWith(hashMark) && isKey(key)) return key;
  // As JSON, since UTF-8 has one and the same replacement for all lone surrogates, and JSON escapes each.
  const hash = await crypto.subtle.digest('SHA-256', utf8(JSON.stringify(source)));
  return prefix + hashMark + Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A record as a key's value, and as its metadata where it fits: that is sent as a header, hence all in ASCII. */
export function writeRecord(
  source: string,
  checkpoint: Checkpoint,
  writtenAt: number,
): [value: string, options: { metadata?: string }] {
  const json = `{"source":${JSON.stringify(source)},"writtenAt":${writtenAt},"checkpoint":${encode(checkpoint)}}`;
  const value = json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return [value, JSON.stringify(value).length > maxMetadataBytes ? {} : { metadata: value }];
}

/**
 * The inverse of `writeRecord`.
 * @param source whose record it must be; undefined where a listing tells no more than the key
 * @throws SerializationError where the text is no record, or one that does not belong under this key
 */
export async function readRecord(text: string, prefix: string, key: string, source?: string): Promise<KVRecord> {
  const named = source ?? (key.startsWith(prefix + hashMark) ? undefined : key.slice(prefix.length));
  const where = `KV key ${JSON.stringify(key)}`;
  let record: Partial<Record<keyof KVRecord, unknown>>;
  try {
    record = Object(JSON.parse(text));
  } catch (cause) {
    throw unreadable(where, named, text, cause);
  }
  const { source: owner, checkpoint: found, writtenAt } = record;
  if (typeof owner !== 'string' || found === undefined) throw unreadable(where, named, text);
  if (owner !== named && (named !== undefined || (await keyOf(prefix, owner)) !== key)) {
    throw unreadable(where, named, text);
  }
  const checkpoint = decode(JSON.stringify(found), owner, where);
  return {
    source: owner,
    checkpoint,
    writtenAt: Number.isFinite(writtenAt) ? Number(writtenAt) : checkpoint.committedAt,
  };
}

function unreadable(where: string, source: string | undefined, text: string, cause?: unknown): SerializationError {
  const wanted = source === undefined ? 'a source' : quote(source);
  return new SerializationError(
    `${where} holds no checkpoint of ${wanted}: found ${quote(text)}. It is left as it is; clearAll() or deleting the key starts anew`,
    { source, cause },
  );
}

function isKey(key: string): boolean {
  return key !== '' && key !== '.' && key !== '..' && isWellFormed(key) && utf8(key).length <= maxKeyBytes;
}

function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
