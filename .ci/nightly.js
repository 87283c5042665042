// What takes too long for every change: every schedule of small programs of the model check, with and without faults put into
// the sources, 100,000 longer schedules, a million inputs for each target of the fuzzing, all tests under every runtime, the
// tests with real tabs and kills more often each, and a minute of chaos in each browser from ten seeds.
import { spawnSync } from 'node:child_process';

/** What each is run with, beside FULL=1. */
const scripts = Object.entries({
  // Other cases of the properties than every run has.
  'test:unit': { KILLS: '1000', VITE_SEED: String(Date.now() % 2 ** 31) },
  model: {},
  'model:mutations': {},
  schedules: { SCHEDULES: '100000' },
  fuzz: {},
  'test:runtimes': {},
  'test:crash': { KILLS: '1000' },
  'test:tabs': { VIEW_DEATHS: '100', VIEW_TABS: '10', CHAOS_SECONDS: '60', CHAOS_SEEDS: '10' },
  'test:e2e': {},
});

let failed = false;
const summary = [''];
for (const [script, env] of scripts) {
  const started = performance.now();
  const { status } = spawnSync('npm', ['run', '--silent', script], {
    stdio: 'inherit',
    env: { FULL: '1', ...env, ...process.env },
    shell: process.platform === 'win32',
  });
  failed ||= status !== 0;
  const minutes = ((performance.now() - started) / 60_000).toFixed(1);
  summary.push(`${status === 0 ? 'ok    ' : 'FAILED'} ${script} (${minutes} min)`);
}
console.log(summary.join('\n'));
process.exitCode = failed ? 1 : 0;
