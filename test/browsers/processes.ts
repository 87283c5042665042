import { existsSync, readFileSync, readdirSync } from 'node:fs';
import type { Browser, Tab } from './tabs.ts';

/** Whether tests can see the processes of this machine: Linux shows them below /proc. */
export const seesProcesses = existsSync('/proc/self/stat');

/** All processes that come from one, itself left out. */
export function descendantsOf(pid: number): number[] {
  const all = seesProcesses ? processes() : [];
  const found = [pid];
  for (const ancestor of found)
    found.push(...all.filter(({ parent }) => parent === ancestor).map((child) => child.pid));
  return found.slice(1);
}

/** The process that a tab's page runs in: the one that grows with it, however busy the machine and the other tabs are. */
export async function processOf(browser: Browser, tab: Tab): Promise<number> {
  const ballast = 64 * 2 ** 20;
  for (let tries = 0; tries < 5; tries++) {
    const before = new Map(processes().map(({ pid, bytes }) => [pid, bytes]));
    await tab.eval((bytes) => void Object.assign(window, { ballast: new Uint8Array(bytes).fill(1) }), ballast);
    const own = new Set(browser.processes());
    const grown = processes().filter(
      ({ pid, bytes }) => own.has(pid) && bytes - (before.get(pid) ?? 0) > ballast * 0.8,
    );
    await tab.eval(() => void Object.assign(window, { ballast: undefined }));
    const [found] = grown;
    if (found && grown.length === 1) return found.pid;
  }
  throw new Error('No process stands out as the one of the tab.');
}

/** @returns which of a browser's processes that show pages has worked since, and by far the most, if there is such a one */
export function watchPages(ids: () => readonly number[]): () => number | undefined {
  const before = new Map(processes().map(({ pid, ticks }) => [pid, ticks]));
  return () => {
    const own = new Set(ids());
    const [most, second] = processes()
      .filter(({ pid }) => own.has(pid) && showsPages(pid))
      .map(({ pid, ticks }) => ({ pid, gain: ticks - (before.get(pid) ?? 0) }))
      .sort((a, b) => b.gain - a.gain);
    return most && most.gain >= 6 && most.gain > 3 * (second?.gain ?? 0) ? most.pid : undefined;
  };
}

/** Whether a process shows pages, by how each engine starts those; the browser's own works on their behalf. */
function showsPages(pid: number): boolean {
  const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  return /--type=renderer|-contentproc.* tab *$|WebKitWebProcess/.test(command);
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  /** CPU time, in clock ticks, of which there are 100 a second. */
  readonly ticks: number;
  /** What it has in memory. */
  readonly bytes: number;
}

function processes(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        // The fields that follow the command, which stands in parentheses and may hold anything; see proc_pid_stat(5).
        const fields = readFileSync(`/proc/${name}/stat`, 'utf8')
          .replace(/^.*\) /s, '')
          .split(' ')
          .map(Number);
        const [parent = 0, user = 0, system = 0, pages = 0] = [1, 11, 12, 21].map((field) => fields[field]);
        return [{ pid: Number(name), parent, ticks: user + system, bytes: pages * 4096 }];
      } catch {
        return []; // It has just ended.
      }
    });
}
