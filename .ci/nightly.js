// What takes too long for every change: the tests with real tabs more often each, and a minute of chaos in each browser from ten seeds.
import { spawnSync } from 'node:child_process';

const { status } = spawnSync('npx', ['vitest', 'run', '--project', 'tabs'], {
  stdio: 'inherit',
  env: { FULL: '1', CHAOS_SECONDS: '60', CHAOS_SEEDS: '10', ...process.env },
  shell: process.platform === 'win32',
});
process.exitCode = status ?? 1;
