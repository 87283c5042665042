// Installs the browsers that are missing: by apt as root on Debian, by Playwright's own download elsewhere.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ENGINES, findBrowser, wantedEngines, which } from './find.js';

/** @typedef {import('./find.js').Engine} Engine */

/** @type {Record<Engine, string[]>} */
const packages = {
  chromium: ['chromium'],
  firefox: ['firefox-esr'],
  webkit: ['webkit2gtk-driver', 'xvfb'],
};
const minutes = 60_000;

const wanted = wantedEngines();
if (missing().length > 0 && isRoot() && isDebian()) {
  run('apt-get', ['update', '-qq'], 5 * minutes);
  const names = missing().flatMap((engine) => packages[engine]);
  run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names], 15 * minutes);
}
if (missing().length > 0) {
  const playwright = fileURLToPath(new URL('cli.js', import.meta.resolve('playwright/package.json')));
  const withDeps = process.platform === 'linux' && which('apt-get') && (isRoot() || canSudo()) ? ['--with-deps'] : [];
  run(process.execPath, [playwright, 'install', ...withDeps, ...missing()], 15 * minutes);
}

for (const engine of wanted) {
  const found = findBrowser(engine);
  console.log(`${engine}: ${found ? `${found.path} (${found.origin})` : 'missing'}`);
}
if (missing().length > 0) {
  const names = missing();
  const others = ENGINES.filter((engine) => !names.includes(engine)).join();
  console.error(`
No build of ${names.join(' and ')} was found, and none could be installed. Either of these helps:
  Debian, as root:   apt-get update && apt-get install -y ${names.flatMap((engine) => packages[engine]).join(' ')}
  anywhere else:     npx playwright install --with-deps ${names.join(' ')}
  a build you have:  ${names.map((engine) => `${engine.toUpperCase()}_PATH=…`).join(' ')} npm test
  to go without:     BROWSERS=${others} npm test   (what is left out is not tested)`);
  process.exitCode = 1;
}

function missing() {
  return wanted.filter((engine) => !findBrowser(engine));
}

function isRoot() {
  return process.getuid?.() === 0;
}

// Ubuntu's chromium package is a snap, which cannot run where these tests do, and it has no firefox-esr.
function isDebian() {
  return existsSync('/etc/os-release') && /^ID=debian$/m.test(readFileSync('/etc/os-release', 'utf8'));
}

function canSudo() {
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;
}

/**
 * Success is judged by what can be found afterwards, so a failure here needs no handling.
 * @param {string} command
 * @param {string[]} args
 * @param {number} timeout
 */
function run(command, args, timeout) {
  console.log(`${command} ${args.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], timeout, env });
}
