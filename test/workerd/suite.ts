import type { TestApi } from '../../src/testing/index.ts';

/** What became of a test. */
export interface Verdict {
  readonly name: string;
  readonly error?: string;
}

/** A test runner for where there is none: inside a Worker. */
export class Suite implements TestApi {
  readonly #tests: { readonly name: string; readonly body: () => Promise<void> }[] = [];

  readonly describe = (_: string, body: () => void): void => body();

  readonly it = (name: string, body: () => Promise<void>): void => {
    this.#tests.push({ name, body });
  };

  readonly expect: TestApi['expect'] = (found) => ({
    toEqual(wanted) {
      if (!isEqual(found, wanted)) throw new Error(`found ${show(found)}, wanted ${show(wanted)}`);
    },
  });

  async run(): Promise<Verdict[]> {
    const verdicts: Verdict[] = [];
    for (const { name, body } of this.#tests) {
      try {
        await body();
        verdicts.push({ name });
      } catch (error) {
        verdicts.push({ name, error: String(error) });
      }
    }
    return verdicts;
  }
}

function isEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (a instanceof Date && b instanceof Date) return a.getTime() === b.getTime();
  if (a instanceof Map && b instanceof Map) {
    return a.size === b.size && [...a].every(([key, value]) => b.has(key) && isEqual(value, b.get(key)));
  }
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((each, i) => isEqual(each, b[i]));
  if (!isPlain(a) || !isPlain(b)) return false;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => isEqual(a[key], b[key]));
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function show(value: unknown): string {
  const spell = (_: string, part: unknown): unknown => {
    if (part instanceof Map) return [...part];
    return typeof part === 'bigint' ? `${part}n` : part;
  };
  return JSON.stringify(value, spell).slice(0, 500);
}
