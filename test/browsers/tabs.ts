import { resolve } from 'node:path';
import { chromium, firefox, webkit, type BrowserContext, type LaunchOptions, type Page } from 'playwright';
import { findBrowser, type Engine, type Found } from './find.js';
import { descendantsOf } from './processes.ts';
import { launchWebKit } from './webkit-driver.ts';

/** A browser with several tabs of one profile, the same whatever the engine. */
export interface Browser {
  readonly engine: Engine;
  readonly version: string;
  newTab(url: string): Promise<Tab>;
  /** The ids of its processes, where tests can see them. */
  processes(): number[];
  close(): Promise<void>;
}

export interface Tab {
  goto(url: string): Promise<void>;
  reload(): Promise<void>;
  /** Calls a function in the page. It sees nothing but its argument, which goes there as JSON, as its result comes back. */
  eval<T>(fn: () => T | Promise<T>): Promise<T>;
  eval<A, T>(fn: (arg: A) => T | Promise<T>, arg: A): Promise<T>;
  /** As a user closes a tab: its page is told that it goes away. */
  close(): Promise<void>;
  /** What only Playwright can do, in engines that it drives. */
  readonly page?: Page;
}

/**
 * Starts a browser, off the record unless `dir` names a folder for its profile. WebKitGTK cannot be given one: it keeps
 * nothing on disk while it is automated.
 */
export async function open(engine: Engine, { dir }: { readonly dir?: string } = {}): Promise<Browser> {
  const found = findBrowser(engine);
  if (!found) throw new Error(`There is no ${engine} on this machine; \`npm run test:browsers\` installs one.`);
  if (dir && found.driver !== 'playwright') throw new Error('An automated WebKitGTK keeps no profile on disk.');
  const others = new Set(descendantsOf(process.pid));
  const browser =
    found.driver === 'playwright' ? await openByPlaywright(engine, launchOf(found), dir) : await openWebKit(found.path);
  return { ...browser, processes: () => descendantsOf(process.pid).filter((pid) => !others.has(pid)) };
}

type Driven = Omit<Browser, 'processes'>;

function launchOf({ launch, path }: Found): LaunchOptions {
  // Of the three only Firefox is started with a channel: an unpatched build.
  if (launch.channel === undefined || process.platform === 'win32') return launch;
  return {
    ...launch,
    executablePath: resolve(import.meta.dirname, 'firefox.sh'),
    env: { ...process.env, TIDEMARK_FIREFOX: path },
    // Else the fifth tab of a site shares the process of another, and ends with it.
    firefoxUserPrefs: { ...launch.firefoxUserPrefs, 'dom.ipc.processCount.webIsolated': 50 },
  };
}

async function openByPlaywright(engine: Engine, launch: LaunchOptions, dir: string | undefined): Promise<Driven> {
  const type = { chromium, firefox, webkit }[engine];
  const browser = dir ? undefined : await type.launch(launch);
  const context = browser ? await browser.newContext() : await type.launchPersistentContext(dir ?? '', launch);
  return {
    engine,
    version: context.browser()?.version() ?? '',
    newTab: async (url) => playwrightTab(context, url),
    close: () => (browser ?? context).close(),
  };
}

export async function playwrightTab(context: BrowserContext, url: string): Promise<Tab> {
  const page = await newPage(context);
  await page.goto(url);
  return {
    page,
    goto: async (to) => void (await page.goto(to)),
    reload: async () => void (await page.reload()),
    eval: async <A, T>(fn: (arg: A) => T | Promise<T>, arg?: A): Promise<T> =>
      // Playwright's own type of the argument is narrower than what it takes.
      (await page.evaluate(fn as (arg: unknown) => unknown, arg)) as T,
    close: async () => {
      const closed = page.waitForEvent('close');
      await page.close({ runBeforeUnload: true });
      await closed;
    },
  };
}

/** Opens another tab where Playwright loses one: it fails so in Firefox where the process of a tab ends at that moment. */
async function newPage(context: BrowserContext, tries = 3): Promise<Page> {
  try {
    return await context.newPage();
  } catch (error) {
    if (tries > 1 && /reading '_page'/.test(String(error))) return newPage(context, tries - 1);
    throw error;
  }
}

async function openWebKit(miniBrowser: string): Promise<Driven> {
  const driver = await launchWebKit(miniBrowser);
  return {
    engine: 'webkit',
    version: driver.version,
    close: () => driver.close(),
    newTab: async (url) => {
      const tab = await driver.newTab();
      await driver.goto(tab, url);
      return {
        goto: (to) => driver.goto(tab, to),
        reload: () => driver.reload(tab),
        eval: async <A, T>(fn: (arg: A) => T | Promise<T>, arg?: A): Promise<T> =>
          (await driver.call(tab, String(fn), arg)) as T,
        close: () => driver.closeTab(tab),
      };
    },
  };
}
