// Reads a feed and says each event and why it was opened again: `node suspended.mjs <url>`.
import process from 'node:process';
import { InMemoryOffsetStore } from '../../../src/stores/memory.ts';
import { OffsetTracker } from '../../../src/tracker/tracker.ts';
import { resume } from '../../../src/resume/resume.ts';
import { sse } from '../../../src/feeds/sse/sse.ts';

const [url = ''] = process.argv.slice(2);
await resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', sse(url), {
  handler: ({ id }) => void process.stdout.write(`event ${id} \n`),
  onState: (_, { reason }) => reason && void process.stdout.write(`${reason}\n`),
});
