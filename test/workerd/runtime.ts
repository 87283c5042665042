import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Miniflare, type MiniflareOptions } from 'miniflare';
import { rolldown } from 'rolldown';

/** A folder to persist in: in memory where the system has such, since workerd syncs every single write to the disk. */
export function temporaryFolder(): string {
  return mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'tidemark-'));
}

/** A Worker as one file of JavaScript. */
export async function bundle(file: string): Promise<string> {
  const build = await rolldown({
    input: new URL(file, import.meta.url).pathname,
    platform: 'browser',
    external: [/^cloudflare:/],
  });
  const { output } = await build.generate({ format: 'esm', codeSplitting: false });
  return output[0].code;
}

/** Starts a Worker in workerd. */
export async function start(script: string, options: Partial<MiniflareOptions>): Promise<Miniflare> {
  const miniflare = new Miniflare({
    modules: true,
    script,
    compatibilityDate: '2026-04-01',
    ...options,
  } as MiniflareOptions);
  await miniflare.ready;
  return miniflare;
}

/** The processes of workerd that this one has started. */
export function workerds(): number[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,comm='], { encoding: 'utf8' }).split('\n');
  return lines.flatMap((line) => {
    const [, pid, parent, command = ''] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return Number(parent) === process.pid && basename(command).startsWith('workerd') ? [Number(pid)] : [];
  });
}
