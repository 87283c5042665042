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

/** The process that a tab's page runs in: the one that works when the page does. The other tabs must be idle. */
export async function processOf(browser: Browser, tab: Tab): Promise<number> {
  for (let tries = 0; tries < 25; tries++) {
    const before = new Map(processes().map(({ pid, ticks }) => [pid, ticks]));
    await tab.eval(() => {
      for (const until = performance.now() + 200; performance.now() < until;);
    });
    const own = new Set(browser.processes());
    const [most, second] = processes()
      .filter(({ pid }) => own.has(pid) && showsPages(pid))
      .map(({ pid, ticks }) => ({ pid, gain: ticks - (before.get(pid) ?? 0) }))
      .sort((a, b) => b.gain - a.gain);
    if (most && most.gain >= 6 && most.gain > 3 * (second?.gain ?? 0)) return most.pid;
  }
  throw new Error('No process stands out as the one of the tab.');
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
        return [{ pid: Number(name), parent: fields[1] ?? 0, ticks: (fields[11] ?? 0) + (fields[12] ?? 0) }];
      } catch {
        return []; // It has just ended.
      }
    });
}
