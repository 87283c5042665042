import { InMemoryOffsetStore, Offset, OffsetTracker, resume, sse } from 'tidemark';

const byEventSource: number[] = [];
const byResume: number[] = [];
let source: EventSource | undefined;
let hasEnded = false;

/** Reads one served feed twice: by the browser's own EventSource, and by `resume`. */
export const served = {
  start(url: string): void {
    source = new EventSource(url);
    source.addEventListener('message', ({ data }) => byEventSource.push(Number(data)));
    void read(url);
  },

  found: () => ({ byEventSource, byResume }),

  /** Whether each has taken the end of the feed for the end. */
  ended: () => ({ byEventSource: source?.readyState === EventSource.CLOSED, byResume: hasEnded }),
};

async function read(url: string): Promise<void> {
  const tracker = new OffsetTracker(new InMemoryOffsetStore());
  const feed = sse(url, {
    parse: Number,
    offset: Offset.sequence,
    earliest: 'earliest',
    latest: 'latest',
    feedId: 'Feed-Id',
  });
  for await (const { data } of resume(tracker, 'numbers', feed)) byResume.push(data);
  hasEnded = true;
}
