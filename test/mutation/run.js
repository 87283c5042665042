// Mutation testing by Stryker, which needs Node 22 or later and does not know TypeScript 7: it is installed beside the project,
// into node_modules/.cache/mutation. `npm run mutation -- src/codec.ts 'src/tracker/**'` mutates these files, without names the
// parts below, one after another, each by the tests beside it. MUTATION_TESTS="test/unit/codec" names other tests, by how their
// paths begin.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findRuntime } from '../runtimes/find.js';

const root = join(import.meta.dirname, '../..');
const home = join(root, 'node_modules/.cache/mutation');
const stryker = join(home, 'node_modules/@stryker-mutator/core/bin/stryker.js');
const version = '10.1.1';
/** What is mutated, and the tests that are to notice. */
const parts = [
  [
    'src/checkpoint.ts,src/codec.ts,src/offset.ts,src/order-key.ts',
    'test/unit/checkpoint test/unit/codec test/unit/offset test/unit/order-key',
  ],
  ['src/tracker/**', 'test/unit/tracker/'],
  ['src/stores/file/**', 'test/unit/stores/file'],
  ['src/feeds/sse/**', 'test/unit/feeds/'],
  ['src/resume/**', 'test/unit/resume/ test/unit/feeds/'],
];

if (!existsSync(stryker)) {
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, 'package.json'), '{ "private": true }');
  // Its runner is to use the vitest of the project, and not to bring another as a peer.
  const options = [
    '--prefix',
    home,
    '--legacy-peer-deps',
    '--no-save',
    '--no-audit',
    '--no-fund',
    '--loglevel',
    'error',
  ];
  const packages = ['core', 'vitest-runner'].map((name) => `@stryker-mutator/${name}@${version}`);
  spawnSync('npm', ['install', ...options, ...packages], {
    cwd: home,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
}

const isNew = Number(process.versions.node.split('.')[0]) >= 22;
const node = isNew ? process.execPath : findRuntime('node@24', 'node');
if (!node) throw new Error('Stryker needs Node 22 or later');
const wanted = process.argv.slice(2).map((part) => [part, 'test/unit/']);
const summary = [''];
for (const [part = '', tests = ''] of wanted.length > 0 ? wanted : parts) {
  const args = ['run', 'test/mutation/stryker.json', '--mutate', part];
  const env = { MUTATION_TESTS: tests, ...process.env };
  const { status } = spawnSync(node, [stryker, ...args], { cwd: root, stdio: 'inherit', env });
  if (status !== 0) process.exitCode = 1;
  else summary.push(`${part}: ${scoreOf(join(home, 'report.json'))}`);
}
console.log(summary.join('\n'));

/**
 * How many mutants the tests noticed.
 * @param {string} report
 */
function scoreOf(report) {
  /** @type {{ files: Record<string, { mutants: { status: string }[] }> }} */
  const { files } = JSON.parse(readFileSync(report, 'utf8'));
  const statuses = Object.values(files).flatMap(({ mutants }) => mutants.map(({ status }) => status));
  const killed = statuses.filter((status) => status === 'Killed' || status === 'Timeout').length;
  const survived = statuses.filter((status) => status === 'Survived' || status === 'NoCoverage').length;
  if (killed + survived === 0) return 'nothing to change';
  return `${killed} of ${killed + survived} killed (${((100 * killed) / (killed + survived)).toFixed(1)} %)`;
}
