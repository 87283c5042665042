// What takes too long for every change: every schedule of small programs of the model check, with and without faults put into
// the sources, 100,000 longer schedules, a million inputs for each target of the fuzzing, all tests under every runtime, the
// tests with real tabs and kills more often each, and a minute of chaos in each browser from ten seeds.
import { spawnSync } from 'node:child_process';

const more = {
  // Other cases of the properties than every run has.
  VITE_SEED: String(Date.now() % 2 ** 31),
  FULL: '1',
  VIEW_DEATHS: '100',
  VIEW_TABS: '10',
  KILLS: '1000',
  SCHEDULES: '100000',
  CHAOS_SECONDS: '60',
  CHAOS_SEEDS: '10',
};

let failed = false;
const scripts = [
  'test:unit',
  'model',
  'model:mutations',
  'schedules',
  'fuzz',
  'test:runtimes',
  'test:crash',
  'test:tabs',
  'test:e2e',
];
for (const script of scripts) {
  const { status } = spawnSync('npm', ['run', '--silent', script], {
    stdio: 'inherit',
    env: { ...more, ...process.env },
    shell: process.platform === 'win32',
  });
  failed ||= status !== 0;
}
process.exitCode = failed ? 1 : 0;
