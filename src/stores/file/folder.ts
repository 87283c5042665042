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

/**
 * Makes a folder and all above it that are missing, and brings their names to the disk. Not by Node's own `recursive`, which
 * never ends where the system answers ENOENT though the folder above is there, as in /proc.
 */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST' || code === 'EISDIR') return;
    if (code !== 'ENOENT' || dirname(folder) === folder) throw error;
    await makeFolder(dirname(folder));
    await mkdir(folder).catch(unless('EEXIST'));
  }
  await syncFolder(dirname(folder));
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
