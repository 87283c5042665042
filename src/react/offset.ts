import { useCallback, useSyncExternalStore } from 'react';
import type { OffsetTracker } from '../tracker/tracker.ts';
import { snapshot } from '../tracker/status.ts';
import type { SourceStatus } from '../tracker/types.ts';

/** What is known of a source while the server renders: nothing. One object, since React compares by identity. */
const unknown: SourceStatus = /* @__PURE__ */ snapshot(undefined, undefined);
const onServer = (): SourceStatus => unknown;

/**
 * `tracker.status(source)`, as of now: the component renders again whenever it changes, here or in another tab. The same
 * object until something in it changes. It starts no reading. While the server renders, nothing is known of any source.
 *
 * @example
 * const { committed, pending, lag } = useOffset(tracker, 'orders');
 */
export function useOffset(tracker: OffsetTracker, source: string): SourceStatus {
  return useOf(tracker, () => tracker.status(source), onServer);
}

/** One value that a tracker shows: only when it changes does the component render again. */
export function useOf<T>(tracker: OffsetTracker, value: () => T, server: () => T): T {
  const subscribe = useCallback((changed: () => void) => tracker.subscribe(changed), [tracker]);
  return useSyncExternalStore(subscribe, value, server);
}
