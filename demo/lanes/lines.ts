import type { FeedState, FeedStateDetail, Offset, OffsetTracker } from 'tidemark';
import type { ownStore } from './choices.ts';
import type { Effects } from '../database.ts';
import type { Reading } from '../server/readings.ts';

/** What the lines of a lane are given; the page shows those lines as they are. */
export interface Lines {
  readonly tracker: OffsetTracker;
  readonly source: string;
  readonly url: string;
  readonly signal: AbortSignal;
  /** The last event that the page shows already. */
  readonly viewFrom: Offset | undefined;
  /** Processes an event. */
  readonly keep: (reading: Reading) => Promise<void>;
  readonly show: (reading: Reading, origin: 'local' | 'remote') => void;
  readonly showState: (state: FeedState, detail: FeedStateDetail) => void;
}

/** The same where an event is processed in the transaction that stores its offset. */
export interface LinesInOne extends Omit<Lines, 'tracker' | 'keep'> {
  readonly tracker: OffsetTracker<ReturnType<typeof ownStore>>;
  readonly keep: (tx: Effects, reading: Reading) => Promise<void>;
}
