// Mutation testing by Stryker, which needs Node 22 or later and does not know TypeScript 7: it is installed beside the project,
// into node_modules/.cache/mutation. `npm run mutation -- src/codec.ts 'src/tracker/**'` mutates these files, without names the
// parts below, one after another, each by the tests beside it. MUTATION_TESTS="test/unit/codec" names other tests, by how their
// paths begin, and MUTATION_THEN those that what is missed is tried by.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findRuntime } from '../runtimes/find.js';

const root = join(import.meta.dirname, '../..');
const home = join(root, 'node_modules/.cache/mutation');
const stryker = join(home, 'node_modules/@stryker-mutator/core/bin/stryker.js');
const version = '10.1.1';
/** What is mutated, the tests that are to notice, and those that what they miss is tried by. */
const parts = [
  [
    'src/checkpoint.ts,src/codec.ts,src/offset.ts,src/order-key.ts',
    'test/unit/checkpoint test/unit/codec test/unit/offset test/unit/order-key',
    'test/unit/tracker/',
  ],
  [
    'src/tracker/**',
    'test/unit/tracker/',
    'test/unit/resume/progress test/unit/resume/resume test/unit/resume/transact test/unit/tracker/model',
  ],
  ['src/stores/file/**', 'test/unit/stores/file', 'test/unit/stores/file-power'],
  ['src/feeds/sse/**', 'test/unit/feeds/', 'test/unit/resume/'],
  ['src/resume/**', 'test/unit/resume/ test/unit/feeds/', ''],
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
const found = isNew ? process.execPath : findRuntime('node@24', 'node');
if (!found) throw new Error('Stryker needs Node 22 or later');
const node = found;
const { MUTATION_TESTS, MUTATION_THEN } = process.env;
const wanted = process.argv.slice(2).map((part) => [part, MUTATION_TESTS ?? 'test/unit/', MUTATION_THEN ?? '']);
const summary = [''];
for (const [part = '', tests = '', others = ''] of wanted.length > 0 ? wanted : parts) {
  const mutants = mutate(part, tests);
  const left = mutants.filter(survived);
  // Stryker counts lines from 1 and columns from 0, but those of its report from 1.
  const ranges = left.map(
    ({ file, location: { start, end } }) => `${file}:${start.line}:${start.column - 1}-${end.line}:${end.column - 1}`,
  );
  const again = others && ranges.length > 0 ? mutate([...new Set(ranges)].join(), others) : left;
  const rest = left.filter((mutant) => again.some((other) => survived(other) && isSame(mutant, other)));
  for (const { file, location, mutatorName, replacement } of rest)
    console.log(`${file}:${location.start.line}:${location.start.column} ${mutatorName}: ${replacement}`);
  const all = mutants.filter((mutant) => survived(mutant) || /Killed|Timeout/.test(mutant.status)).length;
  const share = all > 0 ? ((100 * (all - rest.length)) / all).toFixed(1) : '-';
  summary.push(`${part}: ${all - rest.length} of ${all} killed (${share} %)`);
}
console.log(summary.join('\n'));

/**
 * @typedef {{ line: number, column: number }} Place
 * @typedef {{
 *   file: string, status: string, mutatorName: string, replacement: string, location: { start: Place, end: Place }
 * }} Mutant
 */

/**
 * @param {string} files
 * @param {string} tests
 * @returns {Mutant[]}
 */
function mutate(files, tests) {
  const args = ['run', 'test/mutation/stryker.json', '--mutate', files];
  const env = { ...process.env, MUTATION_TESTS: tests };
  const { status } = spawnSync(node, [stryker, ...args], { cwd: root, stdio: 'inherit', env });
  if (status !== 0) throw new Error(`Stryker failed on ${files}`);
  /** @type {{ files: Record<string, { mutants: Omit<Mutant, 'file'>[] }> }} */
  const report = JSON.parse(readFileSync(join(home, 'report.json'), 'utf8'));
  return Object.entries(report.files).flatMap(([file, { mutants }]) => mutants.map((mutant) => ({ ...mutant, file })));
}

/** @param {Mutant} mutant */
function survived({ status }) {
  return status === 'Survived' || status === 'NoCoverage';
}

/**
 * @param {Mutant} a
 * @param {Mutant} b
 */
function isSame(a, b) {
  return ['file', 'replacement', 'location'].every(
    (key) => JSON.stringify(Reflect.get(a, key)) === JSON.stringify(Reflect.get(b, key)),
  );
}
