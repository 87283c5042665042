import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../../..');
const compiler = join(root, 'node_modules/typescript/bin/tsc');
const folder = mkdtempSync(join(tmpdir(), 'tidemark-types-'));

/** The declarations of the package, and a project that has them by name and no types of browsers. */
beforeAll(async () => {
  const made = join(folder, 'node_modules/tidemark');
  const only = ['--emitDeclarationOnly', '--declarationMap', 'false', '--sourceMap', 'false'];
  await run(process.execPath, [compiler, '-p', join(root, 'tsconfig.build.json'), ...only, '--outDir', made]);
  writeFileSync(
    join(made, 'package.json'),
    JSON.stringify({ name: 'tidemark', type: 'module', exports: { types: './index.d.ts' } }),
  );
  for (const name of ['@types', 'eventsource-parser', 'undici-types'])
    symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  mkdirSync(join(folder, 'project'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function errorsOf(text: string, skipLibCheck: boolean): Promise<string[]> {
  const project = join(folder, 'project');
  writeFileSync(join(project, 'index.ts'), text);
  const environment = { lib: ['es2022'], types: ['node'], typeRoots: ['../node_modules/@types'] };
  const rules = { module: 'nodenext', target: 'es2022', strict: true, noEmit: true, skipLibCheck };
  const compilerOptions = { ...environment, ...rules };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['index.ts'] }));
  const found = await run(process.execPath, [compiler, '-p', project]).catch((error: { stdout: string }) => error);
  return found.stdout.split('\n').filter((line) => line.includes('error TS'));
}

describe('a Node project without the types of browsers', () => {
  test('compiles with the types of feeds, which are checked themselves', async () => {
    const text = `
      import { InMemoryOffsetStore, OffsetTracker, resume, sse } from 'tidemark';
      const feed = sse('http://x', { headers: new Headers({ a: 'b' }), fetch: (url, request) => fetch(url, request) });
      for await (const event of resume(new OffsetTracker(new InMemoryOffsetStore()), 's', feed)) console.log(event.id);
    `;
    expect(await errorsOf(text, false)).toEqual([]);
  });

  test.each([
    `headers: 42`,
    `headers: ['a', 'b']`,
    `headers: { a: 1 }`,
    `headers: () => 42`,
    `credentials: { nonsense: true }`,
    `credentials: 'always'`,
    `fetch: () => 'text'`,
  ])('is told that %s is wrong', async (option) => {
    const text = `import { sse } from 'tidemark';\nsse('http://x', { ${option} });`;
    expect(await errorsOf(text, true)).toHaveLength(1);
  });
});
