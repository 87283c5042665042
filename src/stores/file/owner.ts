import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import process from 'node:process';
import { codeOf } from './failures.ts';

/** A name of this process and of one acquisition of a lock, unique among all hosts. */
export async function newOwner(): Promise<string> {
  return `${await whoAmI()}-${Math.random().toString(36).slice(2, 12)}`;
}

/** The process id in a name that `newOwner` made; undefined for any other text. */
export function pidOf(owner: string): string | undefined {
  return pattern.exec(owner)?.[1];
}

const pattern = /^(\d+)-([\w.]*)-([\w.]*)-\w+$/;

/** Whether the process that a name stands for has ended; undefined where that cannot be told from here. */
export async function isDead(owner: string): Promise<boolean | undefined> {
  const match = pattern.exec(owner);
  // Not one of ours, and not ours to remove.
  if (!match) return false;
  const [, pid = '', started = '', host] = match;
  if (host === '' || host !== (await hostId())) return undefined;
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return true;
    if (codeOf(error) !== 'EPERM') return undefined;
  }
  const startedNow = await startOf(pid);
  if (startedNow === undefined || started === '') return undefined;
  if (startedNow !== started) return true;
  // Another thread of this process may have been ended in the middle.
  return Number(pid) === process.pid ? undefined : false;
}

let me: Promise<string> | undefined;

function whoAmI(): Promise<string> {
  return (me ??= (async () => `${process.pid}-${(await startOf('self')) ?? ''}-${await hostId()}`)());
}

let host: Promise<string> | undefined;

/** Names what process ids are unique in: a host and, on Linux, a container on it. */
function hostId(): Promise<string> {
  return (host ??= (async () => {
    const space = await readlink('/proc/self/ns/pid').catch(() => '');
    let name = '';
    try {
      name = hostname();
    } catch {
      // Deno, without --allow-sys.
    }
    return name && `${name.slice(0, 64)}.${space}`.replace(/[^\w.]+/g, '_');
  })());
}

/**
 * When a process started, so that another which was given the same id later is not taken for it; 'ended' for one that
 * only waits to be reaped; undefined where there is no /proc.
 */
async function startOf(pid: string): Promise<string | undefined> {
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'latin1');
    const text = await readFile(`/proc/${pid}/stat`, 'latin1');
    // The second field, the program's name, may hold spaces and parentheses: see proc_pid_stat(5).
    const [state = '', ...fields] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return /[ZX]/.test(state) ? 'ended' : `${boot.slice(0, 8)}.${fields[18]}`;
  } catch {
    return undefined;
  }
}
