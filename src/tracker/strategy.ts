import { quote } from '../errors.ts';

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

/** @throws TypeError for what is no strategy */
export function triggersOf(strategy: Strategy): Triggers {
  // What is no object has no such properties.
  const { every = Infinity, intervalMs = Infinity } =
    strategy === 'auto' ? { every: 1 } : (Object(strategy) as Partial<Triggers>);
  const manual = every === Infinity && intervalMs === Infinity;
  if (manual !== (strategy === 'manual') || !fits(every) || !fits(intervalMs)) {
    throw new TypeError(`strategy ${quote(strategy)}: give 'auto', 'manual' or { every: records, intervalMs: ms }`);
  }
  return { every, intervalMs };
}

/** Whole and above 0, and no longer than `setTimeout` takes: a longer delay fires at once. */
function fits(value: number): boolean {
  return value === Infinity || (Number.isInteger(value) && value > 0 && value < 2 ** 31);
}
