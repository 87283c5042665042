import { quote } from '../errors.ts';
import { FeedError } from '../feeds/feed-error.ts';
import type { Liveness } from './liveness.ts';
import type { FeedReason, FeedStateDetail } from './options.ts';

/** How often it is looked whether time has jumped, in ms. */
const tickMs = 2000;
/** How late a tick comes after a sleep, in ms. */
const sleptMs = 10_000;

/** What the state says of a connection that is taken for dead; an error where the feed is to blame. */
export function deathOf(reason: FeedReason, source: string, ms: number): Pick<FeedStateDetail, 'reason' | 'error'> {
  if (reason !== 'silent' && reason !== 'opening') return { reason };
  const what = reason === 'opening' ? 'did not open within' : 'has been silent for';
  return { reason, error: new FeedError(`the feed of ${quote(source)} ${what} ${ms} ms`, { source }) };
}

/** Watches for what a connection does not survive, though it looks open. */
export function watchOver(
  liveness: Liveness,
  signal: AbortSignal,
  dead: (reason: FeedReason, ms: number) => void,
): void {
  // The timers of hidden pages are held back, for up to a minute: that is no sleep.
  let wasHidden = isHidden();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tick = (): void => {
    const dueAt = Date.now() + Math.max(20, Math.min(tickMs, (liveness.limitMs ?? Infinity) / 4));
    timer = setTimeout(() => {
      const late = Date.now() - dueAt;
      const slept = late > sleptMs && !wasHidden && !isHidden();
      wasHidden = isHidden();
      const verdict = liveness.verdict();
      tick();
      if (slept) dead('asleep', late);
      else if (verdict) dead(verdict.opening ? 'opening' : 'silent', verdict.ms);
    }, dueAt - Date.now());
    // It is the connection that keeps a process running.
    if (typeof timer === 'object') timer.unref?.();
  };
  tick();
  signal.addEventListener('abort', () => clearTimeout(timer));
  const back = (): void => {
    wasHidden ||= isHidden();
    if (!isHidden() && liveness.unusual) dead('visible', 0);
  };
  if (typeof document !== 'undefined') {
    document.addEventListener('visibilitychange', back, { signal });
    document.addEventListener('resume', back, { signal });
    addEventListener('pageshow', back, { signal });
  }
  // Only pages and their workers are told.
  if (typeof globalThis.navigator?.onLine === 'boolean' && typeof addEventListener === 'function') {
    addEventListener('online', () => dead('online', 0), { signal });
  }
}

/** Has a page that goes away let go of its connection, which would keep it out of the back/forward cache. */
export function whileAway(signal: AbortSignal, changed: (away: boolean) => void): void {
  if (typeof document === 'undefined') return;
  addEventListener('pagehide', () => changed(true), { signal });
  addEventListener('pageshow', () => changed(false), { signal });
}

function isHidden(): boolean {
  return typeof document !== 'undefined' && document.visibilityState === 'hidden';
}
