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
  SCHEDULES: '100000',
  CHAOS_SECONDS: '60',
  CHAOS_SEEDS: '10',
};
/** Of processes, where every runtime need not do the same. */
const kills = { KILLS: '1000' };

let failed = false;
/** @type {readonly (readonly [script: string, env?: Record<string, string>])[]} */
const scripts = [
  ['test:unit', kills],
  ['model'],
  ['model:mutations'],
  ['schedules'],
  ['fuzz'],
  ['test:runtimes'],
  ['test:crash', kills],
  ['test:tabs'],
  ['test:e2e'],
];
const summary = [''];
for (const [script, env] of scripts) {
  const started = performance.now();
  const { status } = spawnSync('npm', ['run', '--silent', script], {
    stdio: 'inherit',
    env: { ...more, ...env, ...process.env },
    shell: process.platform === 'win32',
  });
  failed ||= status !== 0;
  const minutes = ((performance.now() - started) / 60_000).toFixed(1);
  summary.push(`${status === 0 ? 'ok    ' : 'FAILED'} ${script} (${minutes} min)`);
}
console.log(summary.join('\n'));
process.exitCode = failed ? 1 : 0;
