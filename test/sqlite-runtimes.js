// Runs the tests of the SQLite store where node:sqlite and bun:sqlite are: on a newer Node and on Bun, both from npm.
import { spawnSync } from 'node:child_process';

const vitest = 'node_modules/vitest/vitest.mjs';
const runtimes = [
  ['node@24', 'node', vitest],
  ['bun@1', 'bun', '--bun', vitest],
];
for (const [pack, ...command] of runtimes) {
  const tests = ['run', '--project', 'node', 'test/unit/stores/sqlite'];
  const { status } = spawnSync('npm', ['exec', '--yes', `--package=${pack}`, '--', ...command, ...tests], {
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (status !== 0) process.exitCode = 1;
}
