import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Child, startChild } from './child.ts';
import { type Engine, findBrowser, which } from './find.js';
import { startXvfb } from './webkit-driver.ts';

/** A browser as a user has it, with nobody driving it: it can only be given pages to open, a tab each, and be killed. */
export interface PlainBrowser {
  readonly pid: number;
  /** Ends all of it at once, as a crash does. */
  kill(): Promise<void>;
}

/** Starts browsers of one engine on a profile of their own, one at a time. */
export interface Launcher {
  open(...urls: string[]): PlainBrowser;
  close(): void;
}

export async function plainBrowsers(engine: Engine, dir: string): Promise<Launcher> {
  const found = findBrowser(engine);
  if (!found) throw new Error(`There is no ${engine} on this machine; \`npm run test:browsers\` installs one.`);
  const xvfb = engine === 'webkit' && which('Xvfb') ? await startXvfb() : undefined;
  if (engine === 'firefox') writeFileSync(join(dir, 'user.js'), preferences());
  for (const folder of ['data', 'cache', 'config']) mkdirSync(join(dir, folder), { recursive: true });

  const args = (urls: readonly string[]): string[] =>
    ({
      chromium: [
        '--headless',
        ...(found.launch.args ?? []),
        `--user-data-dir=${dir}`,
        '--no-default-browser-check',
        ...urls,
      ],
      firefox: ['--headless', '--no-remote', '--profile', dir, ...urls],
      webkit: [...urls],
    })[engine];
  const env = {
    ...process.env,
    ...(xvfb && { DISPLAY: xvfb.display }),
    MOZ_CRASHREPORTER_DISABLE: '1',
    ...(engine === 'webkit' && {
      GDK_BACKEND: 'x11',
      NO_AT_BRIDGE: '1',
      XDG_DATA_HOME: join(dir, 'data'),
      XDG_CACHE_HOME: join(dir, 'cache'),
      XDG_CONFIG_HOME: join(dir, 'config'),
    }),
  };
  let running: Child | undefined;
  return {
    open: (...urls) => {
      const browser = (running = startChild(found.path, args(urls), { env, stdio: 'ignore' }));
      const ended = once(browser.process, 'exit');
      return {
        pid: browser.process.pid ?? 0,
        kill: async () => {
          browser.kill();
          await ended;
        },
      };
    },
    close: () => {
      running?.kill();
      xvfb?.kill();
    },
  };
}

/** What keeps Firefox from showing a page of its own instead of the one it was given. */
function preferences(): string {
  const values = {
    'app.update.enabled': false,
    'browser.aboutwelcome.enabled': false,
    'browser.safebrowsing.update.enabled': false,
    'browser.sessionstore.resume_from_crash': false,
    'browser.shell.checkDefaultBrowser': false,
    'browser.startup.homepage_override.mstone': 'ignore',
    'datareporting.policy.dataSubmissionEnabled': false,
    'datareporting.policy.dataSubmissionPolicyBypassNotification': true,
    'messaging-system.rsexperimentloader.enabled': false,
    'network.captive-portal-service.enabled': false,
    'network.connectivity-service.enabled': false,
    'services.settings.server': 'data:,#',
    'startup.homepage_welcome_url': 'about:blank',
    'termsofuse.bypassNotification': true,
    'toolkit.startup.max_resumed_crashes': -1,
    'toolkit.telemetry.enabled': false,
  };
  return Object.entries(values)
    .map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`)
    .join('');
}
