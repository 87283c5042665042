import { readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { rolldown } from 'rolldown';
import { subset } from 'semver';
import { describe, expect, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };

const root = resolve(import.meta.dirname, '../..');
const sources = Object.entries(manifest.exports).flatMap(([subpath, target]) =>
  typeof target === 'string'
    ? []
    : [[subpath, target.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts')] as const],
);

/** What one subpath is made of: its folders, beside the core that all share, and the packages that it needs. */
const parts: Record<string, { readonly folders: RegExp; readonly packages: RegExp }> = {
  '.': {
    folders: /^src\/((tracker|resume|feeds|tabs)\/|stores\/memory)/,
    packages: /^(eventsource-parser|superjson)$/,
  },
  './indexeddb': { folders: /^src\/(stores\/indexeddb|tabs)\//, packages: /^idb$/ },
  './local-storage': { folders: /^src\/(stores\/local-storage|tabs\/)/, packages: /^superjson$/ },
  './cloudflare-kv': { folders: /^src\/stores\/cloudflare-kv\//, packages: /^superjson$/ },
  './durable-object': { folders: /^src\/stores\/(durable-object\/|sql-text)/, packages: /^superjson$/ },
  './d1': { folders: /^src\/stores\/(d1|sql-text)/, packages: /^superjson$/ },
  './file': { folders: /^src\/stores\/file\//, packages: /^(superjson$|node:)/ },
  './postgres': { folders: /^src\/stores\/(postgres\/|sql-text)/, packages: /^superjson$/ },
  './react': {
    folders: /^src\/(react|resume|feeds|tabs|tracker)\//,
    packages: /^(react|eventsource-parser|superjson)$/,
  },
  './sqlite': { folders: /^src\/stores\/sql/, packages: /^superjson$/ },
  './serve': { folders: /^src\/(serve|feeds)\//, packages: /^$/ },
  './testing': { folders: /^src\/testing\//, packages: /^$/ },
};
const core = /^src\/[\w-]+\.ts$/;

describe('what an application bundles', () => {
  test.each(sources)('%s brings along nothing that belongs to another subpath', async (subpath, source) => {
    const { modules, imports } = await bundle(`export * from ${JSON.stringify(resolve(root, source))};`);
    expect(modules).not.toEqual([]);
    expect(modules.filter((module) => !core.test(module) && !parts[subpath]?.folders.test(module))).toEqual([]);
    expect(modules.filter((module) => sources.some(([, other]) => other === module && other !== source))).toEqual([]);
    expect(imports.filter((name) => !parts[subpath]?.packages.test(name))).toEqual([]);
  });

  const shipped = sources.filter(([subpath]) => subpath !== './testing');
  test.each(shipped)('importing %s for nothing costs nothing: it has no side effects', async (_subpath, source) => {
    const { code } = await bundle(`import ${JSON.stringify(resolve(root, source))};`, { believeTheManifest: false });
    const lines = code.split('\n').filter((line) => !/^(\s*\/\/.*|import ["'][^"']+["'];|)$/.test(line));
    expect(lines.slice(0, 10)).toEqual([]);
  });
});

describe('where it runs', () => {
  test('no runtime dependency, however deep, asks for another Node than the package', () => {
    const asked = Object.keys(manifest.dependencies).flatMap((name) => enginesOf(name));
    expect(asked.map(({ name }) => name)).toEqual(expect.arrayContaining(Object.keys(manifest.dependencies)));
    expect(asked.filter(({ node }) => !subset(manifest.engines.node, node))).toEqual([]);
  });

  test('the manual names the lowest Node and the lowest TypeScript', () => {
    const manual = readFileSync(resolve(root, 'README.md'), 'utf8');
    expect(manual).toContain(`Node ${manifest.engines.node.replace('>=', '')} or later`);
    const { version } = JSON.parse(readFileSync(resolve(root, 'node_modules/typescript-5.6/package.json'), 'utf8'));
    expect(manual).toContain(`TypeScript ${version.replace(/\.\d+$/, '')} or later`);
  });
});

test('the license that the manifest names is the one that is shipped', () => {
  expect(readFileSync(resolve(root, 'LICENSE'), 'utf8')).toContain(`${manifest.license} License`);
});

/** What Node a package asks for, and what those that it depends on ask for. */
function enginesOf(name: string, seen = new Set<string>()): { readonly name: string; readonly node: string }[] {
  if (seen.has(name)) return [];
  seen.add(name);
  const file = resolve(root, 'node_modules', name, 'package.json');
  const { engines, dependencies } = JSON.parse(readFileSync(file, 'utf8'));
  const deeper = Object.keys(dependencies ?? {}).flatMap((dependency) => enginesOf(dependency, seen));
  return [{ name, node: engines?.node ?? '*' }, ...deeper];
}

/** @param believeTheManifest whether `sideEffects: false` is taken for true, or the code is looked at */
async function bundle(entry: string, { believeTheManifest = true } = {}) {
  const build = await rolldown({
    input: 'entry',
    external: (id) => !id.startsWith('.') && !id.startsWith('/') && id !== 'entry',
    plugins: [
      { name: 'entry', resolveId: (id) => (id === 'entry' ? id : null), load: (id) => (id === 'entry' ? entry : null) },
    ],
    ...(!believeTheManifest && { treeshake: { moduleSideEffects: () => true } }),
  });
  const { output } = await build.generate({ format: 'esm' });
  await build.close();
  // What is loaded on demand is in files of its own.
  const chunks = output.filter((file) => file.type === 'chunk');
  const own = new Set(chunks.map(({ fileName }) => fileName));
  const moduleIds = chunks.flatMap((chunk) => chunk.moduleIds);
  const imports = chunks.flatMap((chunk) => chunk.imports).filter((name) => !own.has(name));
  const { code } = output[0];
  return { code, modules: moduleIds.filter((id) => id !== 'entry').map((id) => relative(root, id)), imports };
}
