// Finds the browsers this machine can run. Plain JavaScript, because set-up runs it by Node 20 itself.
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium, firefox, webkit } from 'playwright';

/** @typedef {'chromium' | 'firefox' | 'webkit'} Engine */
/**
 * @typedef {object} Found
 * @property {'environment' | 'playwright' | 'system'} origin
 * @property {string} path
 * @property {'playwright' | 'webdriver'} driver what speaks to it: WebKitGTK knows WebDriver only
 * @property {import('playwright').LaunchOptions} launch what Playwright needs to be told to start it
 */

/** @type {readonly Engine[]} */
export const ENGINES = ['chromium', 'firefox', 'webkit'];

/**
 * The engines to test: BROWSERS, a comma-separated list, or all three.
 * @returns {Engine[]}
 */
export function wantedEngines() {
  const names = (process.env.BROWSERS ?? ENGINES.join()).split(',').map((name) => name.trim());
  return names.filter(Boolean).map((name) => {
    const engine = ENGINES.find((known) => known === name);
    if (!engine) throw new Error(`BROWSERS names ${name}, which is none of ${ENGINES.join(', ')}.`);
    return engine;
  });
}

/**
 * The build of an engine to use: CHROMIUM_PATH, FIREFOX_PATH or WEBKIT_PATH, then Playwright's own download, then what
 * the system has installed.
 * @param {Engine} engine
 * @returns {Found | undefined}
 */
export function findBrowser(engine) {
  const given = process.env[`${engine.toUpperCase()}_PATH`];
  if (given) {
    if (!isExecutable(given)) throw new Error(`${engine.toUpperCase()}_PATH is ${given}, which cannot be run.`);
    return { origin: 'environment', path: given, ...system[engine](given) };
  }
  const own = { chromium, firefox, webkit }[engine].executablePath();
  if (existsSync(own)) return { origin: 'playwright', path: own, driver: 'playwright', launch: settings[engine] };
  const path = installed[engine]();
  return path ? { origin: 'system', path, ...system[engine](path) } : undefined;
}

/** @type {Record<Engine, import('playwright').LaunchOptions>} */
const settings = {
  chromium: {
    args: [
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // Chromium refuses to start as root with its sandbox on; anybody else keeps it.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
    ],
  },
  firefox: {
    firefoxUserPrefs: {
      // navigator.storage.persist() would wait for ever for somebody to answer its prompt.
      'dom.storageManager.prompt.testing': true,
      'dom.storageManager.prompt.testing.allow': true,
      'messaging-system.rsexperimentloader.enabled': false,
    },
  },
  webkit: {},
};

/** @type {Record<Engine, (path: string) => Pick<Found, 'driver' | 'launch'>>} */
const system = {
  chromium: (executablePath) => ({ driver: 'playwright', launch: { ...settings.chromium, executablePath } }),
  // Only this channel speaks WebDriver BiDi, which an unpatched Firefox needs.
  firefox: (executablePath) => ({
    driver: 'playwright',
    launch: { ...settings.firefox, executablePath, channel: 'moz-firefox' },
  }),
  webkit: () => ({ driver: 'webdriver', launch: {} }),
};

/** @type {Record<Engine, () => string | undefined>} */
const installed = {
  chromium: () => which('chromium') ?? which('google-chrome'),
  // Playwright opens the extended support release; a newer Firefox it may not know yet.
  firefox: () => which('firefox-esr'),
  webkit: () => (which('WebKitWebDriver') && (which('Xvfb') || process.env.DISPLAY) ? miniBrowser() : undefined),
};

/** @param {string} command */
export function which(command) {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.map((folder) => join(folder, command)).find(isExecutable);
}

function miniBrowser() {
  const folders = existsSync('/usr/lib') ? readdirSync('/usr/lib') : [];
  const paths = folders.flatMap((arch) =>
    ['4.1', '6.0', '4.0'].map((api) => `/usr/lib/${arch}/webkit2gtk-${api}/MiniBrowser`),
  );
  return paths.find(isExecutable);
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
