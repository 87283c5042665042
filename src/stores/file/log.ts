import { Buffer } from 'node:buffer';
import type { BigIntStats } from 'node:fs';
import { type FileHandle, constants, open } from 'node:fs/promises';
import { SerializationError, StorageError } from '../../errors.ts';
import type { StoreOptions } from '../../store.ts';
import { Contents } from './contents.ts';
import { codeOf } from './failures.ts';
import { excerpt, headerLength, parseHeader, parseLine } from './journal.ts';
import { readOldFormat } from './old-format.ts';

const chunkLength = 1 << 20;
const overlapLength = 32;

/** What is known of a file: what was read of it, or written to it, so far. */
export class Log {
  /** Names the journal; undefined where the file is in an old format, or is none yet. */
  readonly id: string | undefined;
  readonly contents: Contents;
  /** Whether its last line is read: nothing can be added any more, and the file is to be replaced. */
  sealed = false;
  /** How much of it is known to be on the disk, in bytes. */
  syncedTo = 0;
  /** Whether the folder's entry of it is known to be on the disk. */
  settled = false;
  #seen: { readonly stats: BigIntStats; readonly at: number } | undefined;
  readonly #where: string;
  #position: number;
  #line = 1;
  /** The last bytes that were read, to notice where somebody has written over them. */
  #last: Buffer = Buffer.alloc(0);
  /** Whether what is at `position` belongs to a line that is not ours, and too long to be kept. */
  #skipping = false;

  constructor(id: string | undefined, contents: Contents, where: string, position = headerLength) {
    this.id = id;
    this.contents = contents;
    this.#where = where;
    this.#position = position;
  }

  /** How many bytes were read so far: all before it is in `contents`. */
  get position(): number {
    return this.#position;
  }

  /**
   * Reads what was added since.
   * @returns false where the file is not what it was: somebody has written over it
   * @throws SerializationError for a line that nobody of ours has written
   */
  async catchUp(file: FileHandle, size: number): Promise<boolean> {
    let length = chunkLength;
    while (this.#position < size && !this.sealed) {
      const start = this.#position;
      const last = this.#last;
      const from = start - last.length;
      const bytes = await readAt(file, from, Math.min(length, size - start) + last.length);
      // Somebody else has read the same meanwhile, in another call.
      if (this.#position !== start) continue;
      if (!bytes.subarray(0, last.length).equals(last)) return false;
      const added = bytes.subarray(last.length);
      const taken = this.#take(added);
      if (taken === 0 && start + added.length >= size) break;
      if (taken === 0 && added.length < Math.min(length, size - start)) break;
      // A line that is longer than what was read of it is read again, whole.
      length = taken === 0 ? length * 4 : chunkLength;
    }
    return this.#position <= size;
  }

  /** Keeps what the system said of the file when it held what was read so far. @param at when it was asked, in ms */
  saw(stats: BigIntStats, at: number): void {
    this.#seen = { stats, at };
  }

  /**
   * Whether a file is certainly the one that was last seen, unchanged. The clock of a file system ticks slowly: what was
   * looked at within the tick of its last change may have changed once more, or be another file with the same number.
   */
  isUnchanged({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): boolean {
    const { stats, at } = this.#seen ?? {};
    if (stats === undefined || at === undefined) return false;
    const tick = mtimeNs % 1_000_000_000n === 0n ? 2_500 : 50;
    return (
      stats.dev === dev &&
      stats.ino === ino &&
      stats.size === size &&
      stats.mtimeNs === mtimeNs &&
      stats.ctimeNs === ctimeNs &&
      at - Number(mtimeNs / 1_000_000n) > tick &&
      at - Number(ctimeNs / 1_000_000n) > tick
    );
  }

  /** Takes over what this process has just appended, where nobody else has appended anything. */
  skip(written: Buffer): void {
    this.#advance(written, written.length);
  }

  #take(bytes: Buffer): number {
    let from = this.#skipping ? endOfLine(bytes, 0) : 0;
    while (from < bytes.length && !this.sealed) {
      const newline = endOfLine(bytes, from);
      const isWhole = newline < bytes.length;
      const { line, end } = parseLine(bytes, from, newline, isWhole);
      if (line.type === 'foreign') throw this.#foreign(bytes.subarray(from, newline));
      if (line.type === 'torn' && !isWhole) break;
      if (line.type === 'sealed') this.sealed = true;
      else if ('source' in line) this.contents.add(line);
      if (isWhole) this.#line++;
      from = isWhole ? newline + 1 : end;
    }
    // Zeros to the end of the file, say: a line that is not ours, and may be longer than memory is.
    const isHuge = from === 0 && bytes.length >= chunkLength && !bytes.includes(0x0a) && bytes.includes(0);
    if (isHuge) from = bytes.length;
    this.#skipping = isHuge || (this.#skipping && from === bytes.length && bytes.at(-1) !== 0x0a);
    this.#advance(bytes, from);
    return from;
  }

  #advance(bytes: Buffer, taken: number): void {
    if (taken === 0) return;
    this.#position += taken;
    const joined = taken >= overlapLength ? bytes : Buffer.concat([this.#last, bytes.subarray(0, taken)]);
    const end = joined === bytes ? taken : joined.length;
    this.#last = Buffer.from(joined.subarray(Math.max(0, end - overlapLength), end));
  }

  #foreign(line: Buffer): SerializationError {
    return new SerializationError(
      `${this.#where} is damaged at line ${this.#line}: found ${excerpt(line.toString('utf8', 0, 200))}, which does not fit its ` +
        'checksum, or has none of ours. It is left as it is: restore that line; where it was changed on purpose, delete ' +
        'the checksum at its end; or remove the line. clearAll() starts anew',
    );
  }
}

/** A file that is open, and what the system says of it. */
export interface OpenFile {
  readonly file: FileHandle;
  readonly stats: BigIntStats;
  readonly access: 'read' | 'append';
  /** When `stats` was asked for, in ms. */
  readonly at: number;
}

/**
 * Opens what is there, to be read, or read and appended to. It makes nothing.
 * @returns undefined where there is no such file
 * @throws StorageError where it is no file
 */
export async function openFile(path: string, access: 'read' | 'append'): Promise<OpenFile | undefined> {
  const { O_RDONLY, O_RDWR, O_APPEND, O_NONBLOCK = 0 } = constants;
  // Without O_NONBLOCK, opening a pipe waits for somebody at its other end.
  const flags = (access === 'append' ? O_RDWR | O_APPEND : O_RDONLY) | O_NONBLOCK;
  let file: FileHandle;
  try {
    file = await open(path, flags);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    if (codeOf(error) === 'EISDIR') throw notAFile(path, 'a folder', error);
    if (codeOf(error) === 'ENXIO') throw notAFile(path, 'a socket or a device', error);
    throw error;
  }
  try {
    const at = Date.now();
    const stats = await file.stat({ bigint: true });
    checkFile(path, stats);
    return { file, stats, access, at };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** @throws StorageError where it is no file: renaming onto a device would replace it */
export function checkFile(path: string, stats: BigIntStats): void {
  if (stats.isFile()) return;
  const kind = stats.isDirectory()
    ? 'a folder'
    : stats.isFIFO()
      ? 'a pipe'
      : stats.isSocket()
        ? 'a socket'
        : 'a device';
  throw notAFile(path, kind);
}

/** How a file is called in messages, and how its custom offsets are ordered. */
export interface Terms {
  readonly where: string;
  readonly compare: StoreOptions['compare'];
}

/**
 * Reads a file of any format, or what was added to it since it was last read.
 * @throws SerializationError for what is neither ours nor the crate's
 */
export async function readLog(
  { file, stats, at }: OpenFile,
  known: Log | undefined,
  { where, compare }: Terms,
): Promise<Log> {
  const size = Number(stats.size);
  const head = await readAt(file, 0, Math.min(size, 4 * headerLength));
  const id = parseHeader(head);
  let log = known;
  if (id === undefined) {
    log = new Log(undefined, new Contents(where, compare), where);
    await readOldFormat(file, stats, log.contents, where);
  } else if (log?.id !== id || log.position > size || !(await log.catchUp(file, size))) {
    log = new Log(id, new Contents(where, compare), where);
    await log.catchUp(file, size);
  }
  log.saw(stats, at);
  return log;
}

/** What a file holds from a place on; fewer bytes only where it ends first. */
async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

function endOfLine(bytes: Buffer, from: number): number {
  const end = bytes.indexOf(0x0a, from);
  return end === -1 ? bytes.length : end;
}

function notAFile(path: string, kind: string, cause?: unknown): StorageError {
  return new StorageError(`${path} is not a file but ${kind}: choose another path`, { cause });
}
