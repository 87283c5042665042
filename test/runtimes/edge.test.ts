import { dirname, resolve } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { type RolldownPlugin, rolldown } from 'rolldown';
import { describe, expect, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };

const root = resolve(import.meta.dirname, '../..');

/** What edge runtimes have in common: the Minimum Common Web API (Ecma TC55), as far as the package could use it. */
const common = [
  'AbortController AbortSignal DOMException Event EventTarget Headers Request Response URL URLSearchParams',
  'ReadableStream TransformStream WritableStream TextDecoder TextDecoderStream TextEncoder TextEncoderStream',
  'atob btoa clearTimeout console crypto fetch performance queueMicrotask structuredClone',
].flatMap((line) => line.split(' '));

/** A context with these globals alone, where text cannot become code. Timers are numbers, as they are on the web. */
function strictVm(): object {
  const globals: Record<string, unknown> = {};
  for (const name of common) globals[name] = globalThis[name as keyof typeof globalThis];
  globals.setTimeout = (...args: Parameters<typeof setTimeout>) => Number(setTimeout(...args));
  return createContext(globals, { codeGeneration: { strings: false, wasm: false } });
}

const sources = new Map<string, string>();
for (const [subpath, target] of Object.entries(manifest.exports)) {
  if (typeof target === 'string') continue;
  const source = target.default.replace('./dist/', 'src/').replace(/js$/, 'ts');
  sources.set(`tidemark${subpath.slice(1)}`, resolve(root, source));
}

/** An entry and all that it needs as one script, whose exports are its result. */
async function bundle(entry: string): Promise<string> {
  const virtual: RolldownPlugin = {
    name: 'entry',
    resolveId: (id) => (id === 'entry' ? resolve(root, 'test/runtimes/entry.ts') : null),
    load: (id) => (dirname(id) === resolve(root, 'test/runtimes') && id.endsWith('entry.ts') ? entry : null),
  };
  const alias = Object.fromEntries([...sources].map(([name, path]) => [`${name}$`, path]));
  const build = await rolldown({
    input: 'entry',
    platform: 'neutral',
    plugins: [virtual],
    resolve: { alias },
  });
  const { output } = await build.generate({ format: 'iife', name: 'found', codeSplitting: false });
  await build.close();
  expect(output[0].imports).toEqual([]);
  return `${output[0].code}\nfound`;
}

/** The file store is for platforms with files, and hooks are React's. */
const entries = [...sources.keys()].filter((name) => !/\/(file|react)$/.test(name));

describe('in a VM with nothing but what edge runtimes have in common', () => {
  test.each(entries)('%s can be imported', async (name) => {
    const found = runInContext(await bundle(`export * from '${name}';`), strictVm()) as Record<string, unknown>;
    expect(Object.keys(found).length).toBeGreaterThan(0);
  });

  test('there is no global of Node', () => {
    const names = runInContext('Object.getOwnPropertyNames(globalThis)', strictVm()) as string[];
    for (const name of ['process', 'Buffer', 'global', 'require', 'setImmediate']) expect(names).not.toContain(name);
    expect(() => runInContext("new Function('')", strictVm())).toThrow(/Code generation/);
  });
});

const suite = await bundle(`export * from '${resolve(root, 'test/runtimes/edge-suite.ts').replaceAll('\\', '/')}';`);
const { verdicts } = runInContext(suite, strictVm()) as typeof import('./edge-suite.ts');

describe('in a VM like that', async () => {
  test.each(await verdicts)('$name', ({ error }) => expect(error).toBe(undefined));
});
