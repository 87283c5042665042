// Runs every test:* script of package.json, whatever became of the one before, and adds up what vitest counted.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';

const root = join(import.meta.dirname, '..');
const results = join(root, '.results');
rmSync(results, { recursive: true, force: true });

const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const summary = [];
const failures = [];
let passed = 0;
let failed = 0;
for (const script of Object.keys(scripts).filter((name) => name.startsWith('test:'))) {
  const file = join(results, `${script.replace(':', '-')}.json`);
  const started = performance.now();
  console.log(`\n> ${script}`);
  const { status } = spawnSync('npm', ['run', '--silent', script], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, TEST_RESULTS: file },
    shell: process.platform === 'win32',
  });
  const counted = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
  passed += counted?.numPassedTests ?? 0;
  // A script that fails without a failed test, by a file that does not load or a check that is no test, counts as one.
  failed += counted?.numFailedTests || (status === 0 ? 0 : 1);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  summary.push(`${status === 0 ? 'ok    ' : 'FAILED'} ${script} (${seconds} s)`);
  for (const { name, message } of (counted?.testResults ?? []).flatMap(failuresOf)) {
    failures.push(`${name}\n  ${message.slice(0, 600)}`);
    // In short once more, so that the last lines tell which tests failed, and how.
    summary.push(`       ${name}: ${message.split('\n', 1)[0].slice(0, 160)}`);
  }
}

if (failures.length > 0) console.log(`\n${failures.join('\n\n')}`);
console.log(`\n${summary.join('\n')}\n\n${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;

/** What failed in a file: some of its tests, or the file itself. */
function failuresOf({ assertionResults, message, status, name }) {
  const file = relative(root, name);
  const broken = assertionResults.filter((test) => test.status === 'failed');
  if (status === 'failed' && broken.length === 0) return [{ name: file, message }];
  return broken.map((test) => ({ name: `${file} > ${test.fullName}`, message: test.failureMessages.join('\n') }));
}
