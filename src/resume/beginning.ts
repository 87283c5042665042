import type { OffsetTracker } from '../tracker/tracker.ts';
import type { Reading } from '../tracker/types.ts';
import type { StorePatience } from './failures.ts';

interface Beginning {
  readonly fence: boolean;
  readonly patience: StorePatience;
  /** Aborted when nobody waits for the reading any more. */
  readonly signal: AbortSignal;
  /** Resolves with what the promise does, or with undefined once something has changed. */
  until<T>(promise: Promise<T>): Promise<T | undefined>;
}

/** Begins a reading; without the store where it has failed for too long, and that is what is wanted. */
export async function beginReading(
  tracker: OffsetTracker,
  source: string,
  how: Beginning,
): Promise<Reading | undefined> {
  const { fence, patience, signal, until } = how;
  const begun = patience.without ? tracker.readBlind(source) : tracker.read(source, { fence });
  begun.then(
    (reading) => void (signal.aborted && reading.close().catch(() => {})),
    () => {},
  );
  try {
    const reading = await until(begun);
    if (reading && !signal.aborted && !patience.without) patience.works();
    return reading;
  } catch (error) {
    if (signal.aborted) return undefined;
    patience.fails(error);
    if (patience.without) return beginReading(tracker, source, how);
    throw error;
  }
}
