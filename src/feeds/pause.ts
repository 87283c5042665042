/** The longest delay that `setTimeout` takes, in ms; a longer one fires at once. */
export const longestTimeout = 2 ** 31 - 1;

/** Waits for a time, in ms, or until the signal is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, signal.aborted ? 0 : Math.min(ms, longestTimeout));
    signal.addEventListener('abort', end);
  });
}
