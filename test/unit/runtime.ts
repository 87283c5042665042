import { onTestFinished } from 'vitest';

/** Whether a test runs in Node, where property tests may take more runs than in each of the browsers. */
export const isNode = typeof document === 'undefined';

/** @returns the reasons of promises that nobody handles, which would fail the test otherwise */
export function watchUnhandled(): readonly unknown[] {
  return watch('unhandledRejection', 'unhandledrejection');
}

/** @returns errors that nobody catches, which would fail the test otherwise */
export function watchUncaught(): readonly unknown[] {
  return watch('uncaughtException', 'error');
}

function watch(
  inNode: 'unhandledRejection' | 'uncaughtException',
  inBrowsers: 'unhandledrejection' | 'error',
): unknown[] {
  const seen: unknown[] = [];
  if (isNode) {
    // Node tells all listeners, the test runner's too.
    const others = process.rawListeners(inNode) as NodeJS.UncaughtExceptionListener[];
    process.removeAllListeners(inNode);
    process.on(inNode as 'uncaughtException', (error: unknown) => seen.push(error));
    onTestFinished(() => {
      process.removeAllListeners(inNode);
      for (const other of others) process.on(inNode as 'uncaughtException', other);
    });
    return seen;
  }
  const listener = (event: Event): void => {
    seen.push(event instanceof ErrorEvent ? event.error : (event as PromiseRejectionEvent).reason);
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  globalThis.addEventListener(inBrowsers, listener, { capture: true });
  onTestFinished(() => globalThis.removeEventListener(inBrowsers, listener, { capture: true }));
  return seen;
}
