/**
 * When a tracker commits what was recorded.
 * - 'auto': at every record; records made while a write is under way share the next one.
 * - `{ every, intervalMs }`: per source, after `every` records or `intervalMs` ms after the first uncommitted one,
 *   whichever comes first; either alone will do.
 * - 'manual': only `commit`, `commitAll`, `close` and a page that is hidden.
 */
export type Strategy = 'auto' | 'manual' | { readonly every?: number; readonly intervalMs?: number };

/** A strategy as two numbers; Infinity where it has no such trigger. */
export interface Triggers {
  readonly every: number;
  readonly intervalMs: number;
}

/** The longest delay that `setTimeout` takes; a longer one fires at once. */
const longestTimeout = 2 ** 31 - 1;

/** @throws TypeError for what is no strategy */
export function triggersOf(strategy: Strategy): Triggers {
  if (strategy === 'auto') return { every: 1, intervalMs: Infinity };
  if (strategy === 'manual') return { every: Infinity, intervalMs: Infinity };
  const { every, intervalMs } = strategy ?? {};
  const fits = (value: number | undefined, max: number): boolean =>
    value === undefined || (Number.isInteger(value) && value > 0 && value <= max);
  if ((every ?? intervalMs) === undefined || !fits(every, Infinity) || !fits(intervalMs, longestTimeout)) {
    throw new TypeError(
      `strategy ${JSON.stringify(strategy)}: give 'auto', 'manual' or { every, intervalMs } in whole records and ms above 0`,
    );
  }
  return { every: every ?? Infinity, intervalMs: intervalMs ?? Infinity };
}
