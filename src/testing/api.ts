/** What the kits need of a test runner; vitest's and jest's fit, and the globals of that name are the default. */
export interface TestApi {
  readonly describe: (name: string, body: () => void) => void;
  readonly it: (name: string, body: () => Promise<void>) => void;
  readonly expect: (found: unknown) => { toEqual(wanted: unknown): void };
}

/** @throws TypeError where the test runner has no globals */
export function globalApi(): TestApi {
  const { describe, it, expect } = globalThis as unknown as Partial<TestApi>;
  if (describe && it && expect) return { describe, it, expect };
  throw new TypeError('no global describe, it and expect: pass the test runner’s as the third argument');
}

/** Names of sources that a store may stumble over. */
export const hostileNames: readonly string[] = [
  '',
  '.',
  '..',
  '__proto__',
  'constructor',
  'a/b?c#d%2F',
  'line\nbreak\u0000nul',
  ' ',
  '日本語',
  '😀',
  '\ud800',
  '\udc00x',
  '"quoted" \\ back',
  'x'.repeat(600),
  'é'.repeat(5000),
  `${'é'.repeat(4999)}e`,
];
