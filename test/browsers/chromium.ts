import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright';
import { startChild } from './child.ts';
import { findBrowser } from './find.js';
import { descendantsOf } from './processes.ts';
import { type Browser, type Tab, playwrightTab } from './tabs.ts';

/** A Chromium that goes about its pages as it does for a user: it keeps those that were left, and lets them be frozen. */
export interface Chromium extends Browser {
  /** As it does to tabs that nobody has looked at for a while. The tab answers nothing until it is thawed. */
  freeze(tab: Tab): Promise<void>;
  thaw(tab: Tab): Promise<void>;
}

/** Not started by Playwright, whose emulation of focus keeps pages awake, and whose options do without the page cache. */
export async function openChromium(args: readonly string[] = []): Promise<Chromium> {
  const found = findBrowser('chromium');
  if (!found) throw new Error('There is no chromium on this machine; `npm run test:browsers` installs one.');
  const others = new Set(descendantsOf(process.pid));
  const dir = await mkdtemp(join(tmpdir(), 'tidemark-'));
  const flags = ['--headless', ...(found.launch.args ?? []), ...args, '--remote-debugging-port=0'];
  const child = startChild(found.path, [...flags, `--user-data-dir=${dir}`, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const endpoint = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.process.once('exit', (code) => reject(new Error(`Chromium ended with code ${code}: ${text}`)));
    child.process.stderr?.on('data', (data) => {
      text += String(data);
      const [url] = /ws:\/\/\S+/.exec(text) ?? [];
      if (url) resolve(url);
    });
  });
  const browser = await chromium.connectOverCDP(endpoint, { noDefaults: true });
  const [context] = browser.contexts();
  if (!context) throw new Error('Chromium has no profile.');
  const setState = async (tab: Tab, state: 'frozen' | 'active'): Promise<void> => {
    if (!tab.page) throw new Error('This is no tab of this browser.');
    const session = await context.newCDPSession(tab.page);
    await session.send('Page.setWebLifecycleState', { state });
    await session.detach();
  };
  return {
    engine: 'chromium',
    version: browser.version(),
    newTab: (url) => playwrightTab(context, url),
    processes: () => descendantsOf(process.pid).filter((pid) => !others.has(pid)),
    freeze: (tab) => setState(tab, 'frozen'),
    thaw: (tab) => setState(tab, 'active'),
    close: async () => {
      await browser.close();
      child.kill();
      await rm(dir, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}
