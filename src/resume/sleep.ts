import type { ReaderOptions } from './options.ts';

/** How long to wait before another attempt at an event, in ms; a random part of a span that doubles each time. */
export function pauseBefore(attempt: number, options: ReaderOptions<never>): number {
  const { minDelayMs = 1000, maxDelayMs = 30_000, random = Math.random } = options;
  return random() * Math.min(maxDelayMs, minDelayMs * 2 ** (attempt - 1));
}

/** Waits for some ms, or until a signal is aborted. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
