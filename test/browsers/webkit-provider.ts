import { defineBrowserProvider } from '@vitest/browser';
import type { BrowserProviderOption } from 'vitest/node';
import { launchWebKit, type WebKit } from './webkit-driver.ts';

declare module 'vitest/node' {
  interface _BrowserNames {
    webkitgtk: 'webkitgtk';
  }
}

/** Lets vitest run tests in the system's WebKitGTK, which Playwright cannot drive. */
export const webkitgtk = (miniBrowser: string): BrowserProviderOption =>
  defineBrowserProvider({
    name: 'webkitgtk',
    supportedBrowser: ['webkitgtk'],
    providerFactory() {
      let webkit: Promise<WebKit> | undefined;
      return {
        name: 'webkitgtk',
        supportsParallelism: false,
        getCommandsContext: () => ({}),
        async openPage(_sessionId, url) {
          webkit ??= launchWebKit(miniBrowser);
          const browser = await webkit;
          await browser.goto(await browser.newTab(), url);
        },
        async close() {
          await (await webkit)?.close();
          webkit = undefined;
        },
      };
    },
  });
