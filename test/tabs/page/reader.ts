// A tab that reads a feed as the only one, by `tab.eval(() => reader.start(…))`.
import { type Offset, OffsetTracker, type ReadOptions, type Reading, resume, sse } from 'tidemark';
import { type Where, makeStore } from './stores.ts';

export interface ReaderRun {
  readonly kind: Where['kind'];
  /** The name of the feed, of the store, and of the source. */
  readonly feed: string;
  readonly tab: string;
  readonly takeoverAfterMs: number;
  /** Whether each event is reported to the server as part of its processing; else the page alone knows of it. */
  readonly reports: boolean;
}

/** An event that a tab has processed. */
export interface Processed {
  readonly feed: string;
  readonly tab: string;
  /** How often the tab had opened the feed. */
  readonly opening: number;
  readonly n: number;
  /** What the tab took for committed. */
  readonly committed: number;
}

export interface Recorded {
  readonly n: number;
  readonly at: number;
  /** Undefined until it is known. */
  outcome: string | undefined;
}

export interface ReaderState {
  readonly role: 'reader' | 'waiting' | undefined;
  readonly committed: number;
  readonly processed: readonly Processed[];
  /** Every call of `record`, by number and time, and what became of it. */
  readonly records: readonly Recorded[];
  /** How the page was shown: again, after it had been kept, or for the first time. */
  readonly persisted: readonly boolean[];
  readonly error: string | undefined;
}

export const reader = {
  start(options: ReaderRun): void {
    run = options;
    tracker = new Recorder(makeStore({ kind: options.kind, name: options.feed }));
    read(options, tracker).catch((thrown: unknown) => (error = String(thrown)));
  },

  state: (): ReaderState => ({
    role: status()?.role,
    committed: numberOf(status()?.committed),
    processed,
    records,
    persisted,
    error,
  }),

  /** How many tabs wait for their turn. */
  async queue(feed: string): Promise<number> {
    const { pending = [] } = await navigator.locks.query();
    return pending.filter(({ name = '' }) => name.endsWith(`${JSON.stringify(feed)}]`)).length;
  },

  /** As in an old browser, or where the page did not come over a secure connection. */
  loseLocks(): void {
    Object.defineProperty(navigator, 'locks', { value: undefined });
  },
};

class Recorder extends OffsetTracker {
  override async read(source: string, options?: ReadOptions): Promise<Reading> {
    const reading = await super.read(source, options);
    const record = reading.record.bind(reading);
    reading.record = (offset, how) => {
      const recorded: Recorded = { n: numberOf(offset), at: Date.now(), outcome: undefined };
      records.push(recorded);
      const told = record(offset, how);
      told.then(
        (outcome) => (recorded.outcome = outcome),
        (failure: unknown) => (recorded.outcome = String(failure)),
      );
      return told;
    };
    return reading;
  }
}

let run: ReaderRun | undefined;
let tracker: OffsetTracker | undefined;
let error: string | undefined;
const processed: Processed[] = [];
const records: Recorded[] = [];
const persisted: boolean[] = [];
addEventListener('pageshow', (event) => persisted.push(event.persisted));

async function read({ feed, tab, takeoverAfterMs, reports }: ReaderRun, reads: OffsetTracker): Promise<void> {
  const events = sse(`/feed?feed=${feed}&rate=50&retention=1000000`);
  let opening = 0;
  const counted: typeof events = (from, context) => {
    opening++;
    return events(from, context);
  };
  for await (const { offset } of resume(reads, feed, counted, { exclusive: true, takeoverAfterMs })) {
    const committed = numberOf(reads.status(feed).committed);
    const event = { feed, tab, opening, n: numberOf(offset), committed };
    processed.push(event);
    if (reports) await fetch('/report', { method: 'POST', body: JSON.stringify(event) });
  }
}

function status() {
  return run && tracker?.status(run.feed);
}

/** The number of an event, by its id; −1: before the first. */
function numberOf(offset: Offset | undefined): number {
  return offset?.kind === 'custom' ? Number(offset.value.split('_')[1]) : -1;
}
