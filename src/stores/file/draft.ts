import { Buffer } from 'node:buffer';
import type { BigIntStats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import process from 'node:process';
import type { Contents } from './contents.ts';
import { formatHeader, formatSeal, formatWrite } from './journal.ts';
import type { Log, OpenFile } from './log.ts';

const sliceLength = 128 << 10;

/** Writes the first line of a new journal. @returns how many bytes it has */
export async function writeHeader(file: FileHandle, id: string): Promise<number> {
  return writeAll(file, formatHeader(id), 0);
}

/**
 * Writes what stands for some sources, in slices, so that this process does other work in between.
 * @param pause called after each slice with the bytes that were written so far; where it answers false, no more follow
 * @returns where the file ends now
 */
export async function writeSources(
  file: FileHandle,
  position: number,
  contents: Contents,
  sources: Iterable<string>,
  pause?: (position: number) => Promise<boolean>,
): Promise<number> {
  let end = position;
  let lines: string[] = [];
  let length = 0;
  const write = async (): Promise<boolean> => {
    if (lines.length > 0) end += await writeAll(file, formatWrite(lines), end);
    lines = [];
    length = 0;
    return (await pause?.(end)) ?? true;
  };
  for (const source of sources) {
    for (const line of contents.linesOf(source)) {
      lines.push(line);
      length += line.length + 1;
    }
    if (length > sliceLength && !(await write())) return end;
  }
  await write();
  return end;
}

/**
 * Ends a journal: what is appended to it from now on does not count. Reads all that came before.
 * @returns false where it is another file than was read
 */
export async function seal({ file }: OpenFile, log: Log): Promise<boolean> {
  while (!log.sealed) {
    await file.write(formatWrite([formatSeal()]));
    const { size } = await file.stat();
    if (!(await log.catchUp(file, size))) return false;
  }
  return true;
}

/** Best effort: a file system without owners and modes refuses. */
export async function keepMode(file: FileHandle, was: BigIntStats | undefined): Promise<void> {
  if (was === undefined) return;
  const { uid, gid, mode } = was;
  if (Number(uid) !== process.geteuid?.()) await file.chown(Number(uid), Number(gid)).catch(() => {});
  await file.chmod(Number(mode) & 0o7777).catch(() => {});
}

async function writeAll(file: FileHandle, data: Buffer | string, position: number): Promise<number> {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  for (let written = 0; written < bytes.length;) {
    written += (await file.write(bytes, written, bytes.length - written, position + written)).bytesWritten;
  }
  return bytes.length;
}
