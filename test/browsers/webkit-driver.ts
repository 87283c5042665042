import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../free-port.ts';
import { startChild } from './child.ts';
import { which } from './find.js';

/** WebKitGTK's MiniBrowser, driven over W3C WebDriver. One command runs at a time, each in the tab it names. */
export interface WebKit {
  readonly version: string;
  newTab(): Promise<string>;
  goto(tab: string, url: string): Promise<void>;
  reload(tab: string): Promise<void>;
  /** Calls a function that is given as source text, with one argument that JSON can hold, and awaits its result. */
  call(tab: string, source: string, arg: unknown): Promise<unknown>;
  closeTab(tab: string): Promise<void>;
  close(): Promise<void>;
}

export async function launchWebKit(miniBrowser: string): Promise<WebKit> {
  const xvfb = which('Xvfb') ? await startXvfb() : undefined;
  const port = await freePort();
  const driver = startChild('WebKitWebDriver', [`--port=${port}`], {
    env: {
      ...process.env,
      ...(xvfb && { DISPLAY: xvfb.display }),
      GDK_BACKEND: 'x11',
      NO_AT_BRIDGE: '1',
    },
    stdio: 'ignore',
  });
  const kill = () => {
    driver.kill();
    xvfb?.kill();
  };
  const failed = once(driver.process, 'exit').then(([code]) => {
    throw new Error(`WebKitWebDriver ended with code ${code}.`);
  });
  try {
    return await Promise.race([openSession(`http://127.0.0.1:${port}`, miniBrowser, kill), failed]);
  } catch (error) {
    kill();
    throw error;
  } finally {
    failed.catch(() => {});
  }
}

async function openSession(base: string, binary: string, kill: () => void): Promise<WebKit> {
  const send = async (method: 'GET' | 'POST' | 'DELETE', path: string, body: object = {}): Promise<unknown> => {
    const response = await fetch(base + path, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(method === 'POST' && { body: JSON.stringify(body) }),
    });
    const { value } = (await response.json()) as { value: unknown };
    if (!response.ok) {
      const { error, message } = value as { error: string; message: string };
      throw new Error(`WebDriver ${method} ${path}: ${error}: ${message}`);
    }
    return value;
  };

  await untilReady(() => send('GET', '/status'));
  const { sessionId, capabilities } = (await send('POST', '/session', {
    capabilities: { alwaysMatch: { 'webkitgtk:browserOptions': { binary, args: ['--automation'] } } },
  })) as { sessionId: string; capabilities: { browserVersion: string } };
  const session = `/session/${sessionId}`;
  await send('POST', `${session}/timeouts`, { script: 120_000, pageLoad: 60_000 });

  // WebDriver has one current tab, so commands from several tests' callbacks must not overlap.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(command: () => Promise<T>): Promise<T> => {
    const result = last.then(command);
    last = result.catch(() => {});
    return result;
  };
  const inTab = <T>(tab: string, command: () => Promise<T>): Promise<T> =>
    inTurn(async () => {
      await send('POST', `${session}/window`, { handle: tab });
      return command();
    });

  let unused: string | undefined = (await send('GET', `${session}/window`)) as string;
  return {
    version: capabilities.browserVersion,
    newTab: () =>
      inTurn(async () => {
        const first = unused;
        unused = undefined;
        if (first) return first;
        // The driver opens a tab beside the current one, which must not be one that was closed.
        const [handle] = (await send('GET', `${session}/window/handles`)) as string[];
        await send('POST', `${session}/window`, { handle });
        return ((await send('POST', `${session}/window/new`, { type: 'tab' })) as { handle: string }).handle;
      }),
    goto: async (tab, url) => void (await inTab(tab, () => send('POST', `${session}/url`, { url }))),
    reload: async (tab) => void (await inTab(tab, () => send('POST', `${session}/refresh`))),
    call: async (tab, source, arg) => {
      const script = `const done = arguments[1]; Promise.resolve(arguments[0]).then(${source})
        .then((value) => done({ value }), (error) => done({ error: String(error) }));`;
      const command = () => send('POST', `${session}/execute/async`, { script, args: [arg ?? null] });
      const result = (await inTab(tab, command)) as { value?: unknown; error?: string };
      if (result.error !== undefined) throw new Error(result.error);
      return result.value;
    },
    closeTab: async (tab) => void (await inTab(tab, () => send('DELETE', `${session}/window`))),
    close: async () => {
      // A page that hangs would not let the session end; killing all of it does.
      await Promise.race([send('DELETE', session), sleep(3_000)]).catch(() => {});
      kill();
    },
  };
}

export async function startXvfb(): Promise<{ readonly display: string; kill(): void }> {
  // With -displayfd the server picks a free display and says so when it is ready.
  const xvfb = startChild('Xvfb', ['-displayfd', '3', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  const output = xvfb.process.stdio[3];
  if (!output) throw new Error('Xvfb did not start.');
  const failed = once(xvfb.process, 'exit').then(([code]) => {
    throw new Error(`Xvfb ended with code ${code}.`);
  });
  const [digits] = (await Promise.race([once(output, 'data'), failed])) as [Buffer];
  failed.catch(() => {});
  return { display: `:${digits.toString().trim()}`, kill: xvfb.kill };
}

async function untilReady(probe: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await probe();
      return;
    } catch (error) {
      if (tries === 200) throw error;
      await sleep(50);
    }
  }
}
