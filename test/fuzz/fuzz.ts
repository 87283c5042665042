import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { OffsetError } from '../../src/index.ts';
import { Random } from './random.ts';

/**
 * How many inputs each target gets, and the number of the first: the same number makes the same input. `npm run fuzz` gives
 * each a million, others every time.
 */
const isScript = process.env.npm_lifecycle_event === 'fuzz';
const inputs = Number(process.env.FUZZ_INPUTS ?? (isScript ? 1_000_000 : 10_000));
const seed = Number(process.env.FUZZ_SEED ?? (isScript ? Date.now() % 1e9 : 1));

/** More than this, in bytes, may not be left behind, and no input may take longer than this, in ms. */
const maxGrowth = 64 * 2 ** 20;
const maxMs = 10_000;

/** One input and what became of it: text says where it does not hold, to be told with the seed. */
export type Target = (random: Random) => unknown;

/** Declares a test that gives random inputs to a target, which throws where one of them breaks what it has to hold to. */
export function fuzz(name: string, target: Target, { share = 1 } = {}): void {
  const count = Math.ceil(inputs * share);
  // A busy machine takes its time.
  test(`${name} (${count} inputs from ${seed} on)`, { timeout: 60_000 + 20 * count }, async () => {
    const guard = new Guard();
    // Most inputs are refused by an error, whose stack nobody reads.
    Error.stackTraceLimit = 4;
    let slowest = 0;
    for (let n = seed; n < seed + count; n++) {
      const started = performance.now();
      try {
        const result = target(new Random(n));
        if (result instanceof Promise) await result;
        guard.check();
      } catch (error) {
        throw new Error(`FUZZ_SEED=${n} FUZZ_INPUTS=1 shows it: ${String(error)}`, { cause: error });
      }
      slowest = Math.max(slowest, performance.now() - started);
      // Timers, and what waits for them, run now and then.
      if (n % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(slowest).toBeLessThan(maxMs);
    expect(guard.growth()).toBeLessThan(maxGrowth);
  });
}

/** The error of what was tried, which has to be one of this library's; undefined where it worked. */
export async function failureOf(work: () => unknown): Promise<OffsetError | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (error instanceof OffsetError) return error;
    throw error;
  }
}

/** Notices a prototype that was touched, and memory that is not let go. */
class Guard {
  readonly #prototypes = [Object, Array, Map, Set, Date, String, Number, Function, Promise].map(
    ({ prototype }) => prototype as object,
  );
  readonly #before = this.#prototypes.map((prototype) => Reflect.ownKeys(prototype).length);
  readonly #heap = usedHeap();

  check(): void {
    for (const [i, prototype] of this.#prototypes.entries()) {
      if (Reflect.ownKeys(prototype).length !== this.#before[i]) throw new Error('a prototype was touched');
    }
    for (const key in {}) throw new Error(`Object.prototype has ${key}`);
  }

  growth(): number {
    return usedHeap() - this.#heap;
  }
}

function usedHeap(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}
