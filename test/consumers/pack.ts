import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** A folder outside of the repository whose node_modules hold the package as npm installs it. */
    installed: string;
  }
}

/** What people install in their projects beside the package. */
const besides = ['@types/node', '@cloudflare/workers-types'];
const root = resolve(import.meta.dirname, '../..');

/** Packs the package as `npm publish` does, once for all tests, and installs it with nothing but what it depends on. */
export default function setup(project: TestProject): () => void {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'tidemark-consumers-')));
  const modules = join(folder, 'node_modules');
  const home = join(modules, 'tidemark');
  mkdirSync(home, { recursive: true });
  execFileSync('npm', ['pack', '--loglevel', 'error', '--pack-destination', folder], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  });
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  if (!tarball) throw new Error(`npm pack left no tarball in ${folder}`);
  execFileSync('tar', ['-xzf', join('..', '..', tarball), '--strip-components=1'], { cwd: home });

  install(modules, needs(home));
  install(modules, besides);
  project.provide('installed', folder);
  return () => rmSync(folder, { recursive: true, force: true });
}

/** Copies, so that TypeScript finds no other package of the repository beside them. */
function install(modules: string, names: readonly string[]): void {
  for (const name of names) {
    const home = join(modules, name);
    if (existsSync(home)) continue;
    cpSync(join(root, 'node_modules', name), home, { recursive: true, dereference: true });
    install(modules, needs(home));
  }
}

/** What a package depends on, its peers with their types included. */
function needs(home: string): string[] {
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'));
  const peers = Object.keys(peerDependencies ?? {}).flatMap((name) => [name, `@types/${name}`]);
  const found = peers.filter((name) => existsSync(join(root, 'node_modules', name)));
  return [...Object.keys(dependencies ?? {}), ...found];
}
