import type { BigIntStats } from 'node:fs';
import { mkdir, open, readlink, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute } from 'node:path';
import { codeOf, unless } from './failures.ts';

/** @returns undefined where there is no such file */
export async function statFile(path: string): Promise<BigIntStats | undefined> {
  return stat(path, { bigint: true }).catch(unless('ENOENT'));
}

/** The file that a path leads to, which need not exist. */
export async function followLinks(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
  const link = await readlink(path).catch(() => undefined);
  if (link === undefined) return path;
  // Not normalised: `..` after a link to a folder is for the system to resolve.
  return followLinks(isAbsolute(link) ? link : `${dirname(path)}/${link}`);
}

/** Makes a folder and all above it that are missing, and brings their names to the disk. */
export async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** Brings a folder's entries to the disk, where the platform can: Windows and some file systems cannot, and need not. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!['EISDIR', 'EPERM', 'EACCES', 'EINVAL', 'ENOTSUP', 'ENOSYS'].includes(codeOf(error) ?? '')) throw error;
  }
}
