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
    const grownBy = watchGrowth(() => browser.processes());
    await tab.eval((bytes) => void Object.assign(window, { ballast: new Uint8Array(bytes).fill(1) }), ballast);
    const found = grownBy(ballast);
    await tab.eval(() => void Object.assign(window, { ballast: undefined }));
    if (found) return found;
  }
  throw new Error('No process stands out as the one of the tab.');
}

/** @returns which of a browser's processes has grown by so many bytes since, if it is one alone */
export function watchGrowth(ids: () => readonly number[]): (bytes: number) => number | undefined {
  const before = new Map(processes().map(({ pid, bytes }) => [pid, bytes]));
  return (ballast) => {
    const own = new Set(ids());
    const grown = processes().filter(
      ({ pid, bytes }) => own.has(pid) && bytes - (before.get(pid) ?? 0) > ballast * 0.8,
    );
    return grown.length === 1 ? grown[0]?.pid : undefined;
  };
}

interface Process {
  readonly pid: number;
  readonly parent: number;
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
        const [parent = 0, pages = 0] = [fields[1], fields[21]];
        return [{ pid: Number(name), parent, bytes: pages * 4096 }];
      } catch {
        return []; // It has just ended.
      }
    });
}
