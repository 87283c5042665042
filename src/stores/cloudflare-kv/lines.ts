import { KVLine, type Pace } from './pace.ts';

const idleMs = 600_000;

/** The lines of one binding, by key. */
export class KVLines {
  readonly #lines = new Map<string, KVLine>();
  #sweepAt = 1000;

  get(key: string, pace: Pace): KVLine {
    const found = this.#lines.get(key);
    if (found) return found;
    const now = pace.now();
    if (this.#lines.size >= this.#sweepAt) this.#sweep(now);
    const line = new KVLine(now);
    this.#lines.set(key, line);
    return line;
  }

  /** The keys under a prefix that were written in the last minutes. */
  keys(prefix: string): string[] {
    return [...this.#lines.keys()].filter((key) => key.startsWith(prefix));
  }

  /** Nobody waits any more at a line that was not written for this long. */
  #sweep(now: number): void {
    for (const [key, { usedAt }] of this.#lines) if (Math.abs(now - usedAt) > idleMs) this.#lines.delete(key);
    this.#sweepAt = Math.max(1000, this.#lines.size * 2);
  }
}

let linesByBinding: WeakMap<object, KVLines> | undefined;

/**
 * The lines that all store objects of this isolate share for a binding: a Worker makes a store for each invocation, and
 * KV counts the writes of all of them.
 */
export function linesOf(binding: object): KVLines {
  linesByBinding ??= new WeakMap();
  const lines = linesByBinding.get(binding) ?? new KVLines();
  linesByBinding.set(binding, lines);
  return lines;
}
