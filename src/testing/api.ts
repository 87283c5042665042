import type { CompareCustom } from '../checkpoint.ts';
import type { OffsetStore } from '../store.ts';

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

/** Opens what a kit tests. The same `id` must open the same stored data, in new objects; one not seen before is empty. */
export type Opener<Subject> = (options: {
  readonly id: string;
  readonly compare?: CompareCustom;
}) => Subject | Promise<Subject>;

/** A test of a kit. It opens what it tests as often as it likes. */
export type KitCase<Subject> = (
  open: (compare?: CompareCustom) => Promise<Subject>,
  expect: TestApi['expect'],
) => Promise<void>;

/** Declares the tests of a kit: each has stored data of its own, and all that it opened is closed. */
export function declareKit<Subject>(
  heading: string,
  cases: Readonly<Record<string, KitCase<Subject>>>,
  makeSubject: Opener<Subject>,
  storeOf: (subject: Subject) => OffsetStore,
  api: TestApi,
): void {
  const run = `${Date.now()}-${Math.random()}`;
  let next = 0;
  api.describe(heading, () => {
    for (const [title, body] of Object.entries(cases)) {
      api.it(title, async () => {
        const id = `${run}-${next++}`;
        const opened: OffsetStore[] = [];
        try {
          await body(async (compare) => {
            const subject = await makeSubject(compare === undefined ? { id } : { id, compare });
            opened.push(storeOf(subject));
            return subject;
          }, api.expect);
        } finally {
          await Promise.all(opened.map((store) => store.close()));
        }
      });
    }
  });
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
  '\ufeffx',
  '"quoted" \\ back',
  'x'.repeat(600),
  'é'.repeat(5000),
  `${'é'.repeat(4999)}e`,
];
