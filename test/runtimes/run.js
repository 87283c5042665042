// Runs the suites under every runtime that the README names. Each comes from npm, into node_modules/.cache/runtimes. The Node
// that runs this is left out: `npm run test:unit` tests it. RUNTIMES="bun deno" chooses. FULL=1 runs every test of project
// node under more versions of Node; many of them are about Node itself, and so left out under Bun and Deno.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cache, findRuntime } from './find.js';

const root = join(import.meta.dirname, '../..');
const full = process.env.FULL === '1';
const wanted = process.env.RUNTIMES?.split(' ');
const shell = process.platform === 'win32';

/** Beside the parts that are the same everywhere: stores on the runtime's own files and SQLite, and its sockets. */
const ofRuntimes = /stores\/(file|sqlite|sqlite-transactions|cloudflare-kv)\.node|feeds\/sse\.node/;
/** Types are the same under every runtime, and so are the schedules of a model. */
const leftOut = /\.(browser|node)\.test|types\.test|model/;
const chosen = readdirSync(join(root, 'test/unit'), { recursive: true, encoding: 'utf8' })
  .map((file) => `test/unit/${file.replaceAll('\\', '/')}`)
  .filter((file) => file.endsWith('.test.ts') && (ofRuntimes.test(file) || !leftOut.test(file)));

const lowest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.node.replace('>=', '');
const nodes = full ? ['20', lowest, '22', '24', 'latest'] : [lowest, 'latest'];
/** @type {string[]} */
const noArgs = [];
const runtimes = [
  ...nodes.map((version) => ({ pack: `node@${version}`, bin: 'node', args: noArgs, projects: ['node'] })),
  { pack: 'bun@1', bin: 'bun', args: ['--bun'], projects: ['node', 'runtimes'] },
  { pack: 'deno@2', bin: 'deno', args: ['run', '--allow-all'], projects: ['node', 'runtimes'] },
];

/** What vitest counted, in the form that it has. */
const counted = { numPassedTests: 0, numFailedTests: 0, testResults: /** @type {unknown[]} */ ([]) };
const summary = [''];

// Every entry in a VM without any global of Node, by the Node that runs this.
run('edge', process.execPath, [], ['runtimes'], []);
for (const { pack, bin, args, projects } of runtimes) {
  if (wanted ? !wanted.includes(pack) && !wanted.includes(bin) : pack === `node@${process.versions.node.split('.')[0]}`)
    continue;
  const path = findRuntime(pack, bin);
  if (!path) {
    process.exitCode = 1;
    summary.push(`FAILED ${pack}: npm installed no ${bin} that runs here`);
  } else run(pack, path, args, projects, full && bin === 'node' ? ['test/unit'] : [...chosen, 'test/runtimes']);
}
console.log(summary.join('\n'));
if (process.env.TEST_RESULTS) {
  mkdirSync(dirname(process.env.TEST_RESULTS), { recursive: true });
  writeFileSync(process.env.TEST_RESULTS, JSON.stringify(counted));
}

/**
 * @param {string} name
 * @param {string} path
 * @param {string[]} args
 * @param {string[]} projects
 * @param {string[]} files
 */
function run(name, path, args, projects, files) {
  const results = join(cache, `${name}.json`);
  rmSync(results, { force: true });
  const env = {
    ...process.env,
    TEST_RESULTS: results,
    DENO_DIR: join(cache, 'deno-dir'),
    DENO_NO_UPDATE_CHECK: '1',
    // Until Node 22.13, node:sqlite was behind a flag.
    ...(name === `node@${lowest}` && { NODE_OPTIONS: '--experimental-sqlite' }),
  };
  const started = performance.now();
  console.log(`\n${name}`);
  const options = projects.flatMap((project) => ['--project', project]);
  const { status } = spawnSync(
    path,
    [...args, join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...options, ...files],
    {
      cwd: root,
      stdio: 'inherit',
      env,
      shell,
    },
  );
  const found = existsSync(results) ? JSON.parse(readFileSync(results, 'utf8')) : undefined;
  counted.numPassedTests += found?.numPassedTests ?? 0;
  counted.numFailedTests += found?.numFailedTests ?? 0;
  counted.testResults.push(...(found?.testResults ?? []));
  if (status !== 0) process.exitCode = 1;
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  const figures = `${found?.numPassedTests ?? 0} passed, ${found?.numFailedTests ?? 0} failed`;
  summary.push(`${status === 0 ? 'ok    ' : 'FAILED'} ${name}: ${figures} (${seconds} s)`);
}
