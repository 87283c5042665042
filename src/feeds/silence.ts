import { longestTimeout } from './pause.ts';

/** Thrown where nothing came for too long. */
export class Silence extends Error {
  constructor(ms: number) {
    super(`silent for ${ms} ms`);
  }
}

/**
 * Waits for at most a time.
 * @param ms 0, or Infinity: for ever
 * @param stop ends what is waited for
 * @throws Silence
 */
export async function inTime<T>(ms: number, stop: () => void, wait: () => Promise<T>): Promise<T> {
  if (ms <= 0 || ms === Infinity) return wait();
  let silent = false;
  const timer = setTimeout(
    () => {
      silent = true;
      stop();
    },
    Math.min(ms, longestTimeout),
  );
  try {
    const result = await wait();
    if (!silent) return result;
  } catch (cause) {
    if (!silent) throw cause;
  } finally {
    clearTimeout(timer);
  }
  throw new Silence(ms);
}
