import { readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { rolldown } from 'rolldown';
import { describe, expect, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };

const root = resolve(import.meta.dirname, '../..');
const sources = Object.entries(manifest.exports).flatMap(([subpath, target]) =>
  typeof target === 'string'
    ? []
    : [[subpath, target.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts')] as const],
);

/** What else a bundle of one subpath may contain, beside the core that all share. */
const mayContain: Record<string, RegExp> = {
  '.': /^src\/(tracker\/[\w-]+|stores\/memory)\.ts$/,
  './indexeddb': /^src\/stores\/(indexeddb[\w-]*|tab-channel)\.ts$|^idb$/,
  './local-storage': /^src\/stores\/(local-storage[\w-]*|tab-channel)\.ts$|^superjson$/,
  './cloudflare-kv': /^src\/stores\/cloudflare-kv[\w-]*\.ts$|^superjson$/,
  './file': /^src\/stores\/file[\w-]*\.ts$|^superjson$|^node:/,
  './feed': /^src\/feed\/(?!sse)[\w-]+\.ts$/,
  './sse': /^src\/feed\/(?!resume)[\w-]+\.ts$|^eventsource-parser$/,
  './testing': /^src\/testing\/[\w-]+\.ts$/,
};
const core = /^src\/\w+\.ts$/;

describe('what an application bundles', () => {
  test.each(sources)('%s brings along nothing that belongs to another subpath', async (subpath, source) => {
    const modules = await bundledModules(source);
    expect(modules).not.toEqual([]);
    const allowed = mayContain[subpath];
    expect(modules.filter((module) => !core.test(module) && !allowed?.test(module))).toEqual([]);
  });

  test.each(sources)('importing %s for nothing costs nothing: it has no side effects', async (_subpath, source) => {
    const { code } = await bundle(`import ${JSON.stringify(resolve(root, source))};`, {
      ignoreTheManifest: true,
    });
    expect(
      code
        .replaceAll(/^\s*\/\/.*$/gm, '')
        .replaceAll(/^import ["'][^"']+["'];$/gm, '')
        .trim(),
    ).toBe('');
  });
});

test('the license that the manifest names is the one that is shipped', () => {
  expect(readFileSync(resolve(root, 'LICENSE'), 'utf8')).toContain(`${manifest.license} License`);
});

async function bundledModules(source: string) {
  const { modules, imports } = await bundle(`export * from ${JSON.stringify(resolve(root, source))};`);
  return [...modules.map((module) => relative(root, module)), ...imports];
}

/** @param ignoreTheManifest do not believe `sideEffects: false`, but look at the code */
async function bundle(entry: string, { ignoreTheManifest = false } = {}) {
  const build = await rolldown({
    input: 'entry',
    external: (id) => !id.startsWith('.') && !id.startsWith('/') && id !== 'entry',
    plugins: [
      { name: 'entry', resolveId: (id) => (id === 'entry' ? id : null), load: (id) => (id === 'entry' ? entry : null) },
    ],
    ...(ignoreTheManifest && { treeshake: { moduleSideEffects: () => true } }),
  });
  const {
    output: [{ code, moduleIds, imports }],
  } = await build.generate({ format: 'esm' });
  await build.close();
  return { code, modules: moduleIds.filter((id) => id !== 'entry'), imports };
}
