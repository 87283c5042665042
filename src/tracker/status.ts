import { equals, type Offset } from '../offset.ts';
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
  const { lastError, feed, feedHead: head, upToDateAt } = position ?? {};
  const lag = recorded && head ? distance(recorded, head) : undefined;
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
    head,
    lag,
    caughtUp: isCaughtUp(recorded, lag, upToDateAt),
  });
}

/** How far an offset is from the head: events for sequences, ms for timestamps; of opaque ones only whether they are one. */
function distance(from: Offset, head: Offset): number | undefined {
  if (from.kind === 'sequence' && head.kind === 'sequence') return Math.max(0, Number(head.value - from.value));
  if (from.kind === 'timestamp' && head.kind === 'timestamp') return Math.max(0, +head.value - +from.value);
  return equals(from, head) ? 0 : undefined;
}

function isCaughtUp(
  recorded: Offset | undefined,
  lag: number | undefined,
  at: Offset | undefined,
): boolean | undefined {
  if (lag !== undefined) return lag === 0;
  return at === undefined ? undefined : equals(recorded, at);
}
