import type { Position } from './position.ts';
import type { SourceStatus } from './types.ts';

/** What a tracker shows of a source that it knows: the same object until something in it is another. */
export function statusOf(position: Position, degraded: Error | undefined): SourceStatus {
  const before = position.snapshot;
  if (before && !position.stale && before.degraded === degraded) return before;
  position.stale = false;
  const now = snapshot(position, degraded);
  if (before && (Object.keys(now) as (keyof SourceStatus)[]).every((key) => now[key] === before[key])) return before;
  position.snapshot = now;
  return now;
}

/** What a tracker shows of a source; of one that it does not know, nothing. */
export function snapshot(position: Position | undefined, degraded: Error | undefined): SourceStatus {
  const { committed, recorded, pending, inFlight = 0, epoch = 0, fenced = false, role } = position ?? {};
  const { lastError, feed, progress } = position ?? {};
  return Object.freeze({
    recorded,
    committed: committed?.offset,
    pending: pending ? recorded : undefined,
    inFlight,
    lastCommitAt: committed?.committedAt,
    epoch,
    fenced,
    role,
    lastError,
    degraded,
    feed,
    head: progress?.head,
    lag: progress?.lagOf(recorded),
    caughtUp: progress?.caughtUp,
  });
}
