// What takes too long for every change: the tests with real tabs more often each, and the chaos from ten seeds.
import { spawnSync } from 'node:child_process';

const { status } = spawnSync('npx', ['vitest', 'run', '--project', 'tabs'], {
  stdio: 'inherit',
  env: { FULL: '1', CHAOS_SEEDS: '10', ...process.env },
  shell: process.platform === 'win32',
});
process.exitCode = status ?? 1;
