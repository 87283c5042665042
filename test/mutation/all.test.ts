import { afterAll, beforeAll, describe } from 'vitest';

// All tests as one file: a worker for each would take most of the time.
const tests = import.meta.glob('../unit/**/*.test.ts');
const wanted = (process.env.MUTATION_TESTS ?? '').split(' ');
const leftOut = /\.browser\.test|types|model|package\.node/;
for (const [path, load] of Object.entries(tests)) {
  const name = path.replace('..', 'test');
  if (leftOut.test(name) || !wanted.some((start) => name.startsWith(start))) continue;
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
