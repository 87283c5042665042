import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };

const folder = inject('installed');
const home = join(folder, 'node_modules/tidemark');
const sources = resolve(import.meta.dirname, '../../src');
const files = filesIn(home);
const code = files.filter((file) => file.startsWith('dist/'));

describe('what is published', () => {
  test('is the manual, the licence, the changelog and what is built', () => {
    expect(files.filter((file) => !code.includes(file))).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'package.json',
    ]);
  });

  test('is each module once, with its types: no sources, no tests, nothing of an earlier build', () => {
    const modules = filesIn(sources).map((file) => `dist/${file.replace(/\.ts$/, '')}`);
    expect(code).toEqual(modules.flatMap((module) => [`${module}.d.ts`, `${module}.js`]).sort());
  });

  test('names no source map, for none is published', () => {
    expect(code.filter((file) => read(file).includes('sourceMappingURL'))).toEqual([]);
  });

  test('holds every file that another one imports', () => {
    const missing = code.flatMap((file) =>
      [...read(file).matchAll(/(?:from|import)\s*\(?['"](\.[^'"]+)['"]/g)]
        .map(([, target = '']) => join(dirname(file), target))
        // Types are imported by the name of their source.
        .filter((target) => !files.includes(target) && !files.includes(target.replace(/\.ts$/, '.d.ts'))),
    );
    expect(missing).toEqual([]);
  });

  test('keeps the docstrings, which editors show', () => {
    expect(read('dist/offset.d.ts')).toContain('@example');
  });

  const subpaths = Object.entries(manifest.exports).flatMap(([subpath, target]) =>
    typeof target === 'string' ? [] : [[subpath, target] as const],
  );
  test.each(subpaths)('%s has its code and its types, and can be imported in Node', (subpath, target) => {
    expect(Object.values(target).filter((file) => !existsSync(join(home, file)))).toEqual([]);
    const script = `console.log(Object.keys(await import('tidemark${subpath.slice(1)}')).length > 0)`;
    const args = ['--input-type=module', '--eval', script];
    expect(execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8' }).trim()).toBe('true');
  });
});

function filesIn(directory: string): string[] {
  const found = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return found
    .filter((file) => statSync(join(directory, file)).isFile())
    .map((file) => file.replaceAll('\\', '/'))
    .sort();
}

function read(file: string): string {
  return readFileSync(join(home, file), 'utf8');
}
