import { afterAll, beforeAll, describe } from 'vitest';

// All tests as one file: a worker for each would take most of the time.
const tests = import.meta.glob('../unit/**/*.test.ts');
const wanted = (process.env.MUTATION_TESTS ?? '').split(' ');
/** What no Node runs, what finds nothing in `src`, what takes long, and what mocks a module that others have: unless it is named. */
const leftOut = /\.browser\.test|types|model|package\.node|dead-connection|nginx|file-power/;
for (const [path, load] of Object.entries(tests)) {
  const name = path.replace('..', 'test');
  if (!wanted.some((start) => name.startsWith(start) && (leftOut.test(start) || !leftOut.test(name)))) continue;
  describe(`${name}`, async () => {
    // What a file leaves to try again is not to come under the fake clock of the next.
    const { setTimeout: real } = globalThis;
    const timers: NodeJS.Timeout[] = [];
    beforeAll(() => {
      const noted = (...args: Parameters<typeof real>): NodeJS.Timeout => {
        const timer = real(...args);
        timers.push(timer);
        return timer;
      };
      globalThis.setTimeout = Object.assign(noted, real);
    });
    afterAll(() => {
      globalThis.setTimeout = real;
      for (const timer of timers) clearTimeout(timer);
    });
    await load();
  });
}
