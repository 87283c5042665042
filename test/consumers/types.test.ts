import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };

/** A project that uses the package. */
interface Consumer {
  readonly files: readonly string[];
  readonly options: object;
  /** Subpaths that it cannot use. */
  readonly without?: readonly string[];
}

const folder = inject('installed');
const projects = resolve(import.meta.dirname, 'projects');
const compilers = { '5.6, the lowest': 'typescript-5.6', 'as of today': 'typescript' };

// idb's types name those of the DOM, as everything does that is about IndexedDB.
const noIndexedDB = ['./indexeddb'];
const node: Consumer = { files: ['common', 'node'], options: { types: ['node'] }, without: noIndexedDB };
const page = { files: ['common', 'browser', 'page'] };

/** All but the last have the lowest `lib`, ES2022, and check the types of their libraries too. */
const consumers: Record<string, Consumer> = {
  'Node, module node16': extend(node, { module: 'node16' }),
  'Node, module nodenext': node,
  'Node, with a bundler': extend(node, { module: 'esnext', moduleResolution: 'bundler' }),
  'Node, with exactOptionalPropertyTypes': extend(node, { exactOptionalPropertyTypes: true }),
  'a page': { ...page, options: { lib: ['es2022', 'dom'] } },
  'a page, with all that the DOM has, and exactOptionalPropertyTypes': {
    ...page,
    options: { lib: ['es2022', 'dom', 'dom.iterable', 'dom.asynciterable'], exactOptionalPropertyTypes: true },
  },
  'a web worker': { files: ['common', 'browser'], options: { lib: ['es2022', 'webworker'] } },
  'a Cloudflare Worker': {
    files: ['common', 'cloudflare'],
    options: { module: 'esnext', moduleResolution: 'bundler' },
    without: noIndexedDB,
  },
  'a page that does not check the types of its libraries, and takes everything that there is': {
    ...page,
    options: { target: 'esnext', lib: ['esnext', 'dom'], skipLibCheck: true },
  },
};

describe.each(Object.entries(compilers))('TypeScript %s', (_, compiler) => {
  test.each(Object.entries(consumers))('compiles %s', async (_name, consumer) => {
    expect(await errorsOf(compiler, consumer)).toEqual([]);
  });

  test.each([false, true])('finds mistakes in a Node project, skipLibCheck %s', async (skipLibCheck) => {
    expect(await errorsOf(compiler, extend({ ...node, files: ['wrong'] }, { skipLibCheck }))).toEqual([]);
  });

  test('finds mistakes in a page', async () => {
    const options = { lib: ['es2022', 'dom'] };
    expect(await errorsOf(compiler, { files: ['wrong'], options })).toEqual([]);
  });

  test('tells a Node project without the DOM that IndexedDB needs it', async () => {
    const errors = await errorsOf(compiler, { ...node, without: [] });
    expect(errors.join('\n')).toContain("Cannot find name 'IDB");
  });
});

test('npx tsc is the compiler that the package is built with', () => {
  const version = execFileSync('npx', ['tsc', '--version'], { encoding: 'utf8', shell: process.platform === 'win32' });
  const remedy = 'two compilers bring a tsc, and only npm ci is sure to link the right one';
  expect(version.trim(), remedy).toBe(`Version ${manifest.devDependencies.typescript}`);
});

function extend(consumer: Consumer, options: object): Consumer {
  return { ...consumer, options: { ...consumer.options, ...options } };
}

/** What TypeScript finds wrong, a line each, beside what it finds wrong in the types of Node themselves. */
async function errorsOf(compiler: string, { files, options, without = [] }: Consumer): Promise<string[]> {
  const home = join(folder, 'project');
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home);
  for (const file of files) cpSync(join(projects, `${file}.ts`), join(home, `${file}.ts`));
  writeFileSync(join(home, 'subpaths.ts'), imports(without));
  writeFileSync(join(home, 'package.json'), JSON.stringify({ type: 'module' }));
  const base = { target: 'es2022', lib: ['es2022'], module: 'nodenext', types: [], noEmit: true };
  const strict = { strict: true, noUncheckedIndexedAccess: true, verbatimModuleSyntax: true, skipLibCheck: false };
  const compilerOptions = { ...base, ...strict, ...options };
  writeFileSync(join(home, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  const lines = (await compile(compiler, home)).split('\n').filter((line) => /error TS/.test(line));
  return lines.filter((line) => !line.includes('node_modules/@types/node/'));
}

/** Imports each subpath there is, so that a new one is compiled from its first day. */
function imports(without: readonly string[]): string {
  const subpaths = Object.entries(manifest.exports).filter(([, target]) => typeof target !== 'string');
  return subpaths
    .map(([subpath]) => subpath)
    .filter((subpath) => !without.includes(subpath))
    .map((subpath, at) => `export * as part${at} from 'tidemark${subpath.slice(1)}';\n`)
    .join('');
}

function compile(compiler: string, cwd: string): Promise<string> {
  const tsc = resolve('node_modules', compiler, 'bin/tsc');
  return new Promise((done, failed) => {
    execFile(process.execPath, [tsc, '--pretty', 'false'], { cwd, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      // TypeScript exits with 1 or 2 where it finds errors, and writes them to stdout.
      if (error && !stdout) failed(new Error(`${compiler} did not run: ${stderr}`, { cause: error }));
      else done(stdout);
    });
  });
}
