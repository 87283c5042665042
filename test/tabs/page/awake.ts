import { InMemoryOffsetStore, Offset, OffsetTracker, resume, sse } from 'tidemark';

const seen: number[] = [];
const reasons: string[] = [];

/** Reads a feed of numbers, and keeps why its connection was opened anew. */
export const awake = {
  start(url: string): void {
    void read(url);
  },

  found: () => ({ seen, reasons }),
};

async function read(url: string): Promise<void> {
  const tracker = new OffsetTracker(new InMemoryOffsetStore());
  const feed = sse(url, { parse: Number, offset: Offset.sequence, earliest: '0' });
  const events = resume(tracker, 'numbers', feed, { onState: (_, { reason }) => reason && reasons.push(reason) });
  for await (const { data } of events) seen.push(data);
}
