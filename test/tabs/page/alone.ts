import { Offset, OffsetTracker } from 'tidemark';
import { type Where, kinds, makeStore, storedIn } from './stores.ts';

/** What a page does in a browser that nobody drives, as its address says. */
export type Part = 'commits' | 'grows-then-commits' | 'looks';

/** What it reports to the server; both stores in the order of `kinds`. */
export type AloneReport =
  | { readonly type: 'holds'; readonly ballast: number }
  | { readonly type: 'committed'; readonly before: number[]; readonly n: number; readonly outcomes: string[] }
  | { readonly type: 'stored'; readonly now: number[] };

/** @param name of the stores */
export async function actAlone(part: Part, name: string): Promise<void> {
  while (part === 'looks') {
    await report({ type: 'stored', now: await stored(name) });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const before = await stored(name);
  if (part === 'grows-then-commits') await standOut();
  const n = Math.max(...before) + 1;
  await report({ type: 'committed', before, n, outcomes: await commitToBoth(name, 's', n) });
}

/** Grows and shrinks until the test has found the process by it. */
async function standOut(): Promise<void> {
  for (let ballast = new Uint8Array(); !(await report({ type: 'holds', ballast: ballast.length }));)
    ballast = new Uint8Array(ballast.length > 0 ? 0 : 64 * 2 ** 20).fill(1);
}

/** Commits an offset to both stores, each of which says that it has. */
export function commitToBoth(name: string, source: string, n: number): Promise<string[]> {
  const trackers = kinds.map((kind) => new OffsetTracker(makeStore({ kind, name })));
  return Promise.all(trackers.map((tracker) => tracker.record(source, Offset.sequence(n))));
}

function stored(name: string): Promise<number[]> {
  const wheres: Where[] = kinds.map((kind) => ({ kind, name }));
  return Promise.all(wheres.map(async (where) => (await storedIn(where, ['s'])).s ?? -1));
}

/** Resolves with what the test says to it. */
async function report(of: AloneReport): Promise<unknown> {
  return (await fetch('/report', { method: 'POST', body: JSON.stringify(of) })).json();
}
