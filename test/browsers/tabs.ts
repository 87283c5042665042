import { chromium, firefox, webkit, type BrowserContext, type LaunchOptions, type Page } from 'playwright';
import { findBrowser, type Engine } from './find.js';
import { launchWebKit } from './webkit-driver.ts';

/** A browser with several tabs of one profile, the same whatever the engine. */
export interface Browser {
  readonly engine: Engine;
  readonly version: string;
  newTab(url: string): Promise<Tab>;
  close(): Promise<void>;
}

export interface Tab {
  goto(url: string): Promise<void>;
  reload(): Promise<void>;
  /** Calls a function in the page. It sees nothing but its argument, which goes there as JSON, as its result comes back. */
  eval<T>(fn: () => T | Promise<T>): Promise<T>;
  eval<A, T>(fn: (arg: A) => T | Promise<T>, arg: A): Promise<T>;
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
  if (found.driver === 'playwright') return openByPlaywright(engine, found.launch, dir);
  if (dir) throw new Error('An automated WebKitGTK keeps no profile on disk.');
  return openWebKit(found.path);
}

async function openByPlaywright(engine: Engine, launch: LaunchOptions, dir: string | undefined): Promise<Browser> {
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

async function playwrightTab(context: BrowserContext, url: string): Promise<Tab> {
  const page = await context.newPage();
  await page.goto(url);
  return {
    page,
    goto: async (to) => void (await page.goto(to)),
    reload: async () => void (await page.reload()),
    eval: async <A, T>(fn: (arg: A) => T | Promise<T>, arg?: A): Promise<T> =>
      // Playwright's own type of the argument is narrower than what it takes.
      (await page.evaluate(fn as (arg: unknown) => unknown, arg)) as T,
    close: () => page.close(),
  };
}

async function openWebKit(miniBrowser: string): Promise<Browser> {
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
