// Events a second of a feed over HTTP, from another process: through `resume(sse())`, through what else reads such feeds,
// and through the parser alone.
import { fetchEventSource } from '@microsoft/fetch-event-source';
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { EventSource } from 'eventsource';
import { createEventSource } from 'eventsource-client';
import { createParser } from 'eventsource-parser';
import { InMemoryOffsetStore, Offset, OffsetTracker, resume, sse } from 'tidemark';

/** @typedef {{ readonly url: string, readonly count: number }} Server */

/** @param {boolean} quick @returns {Promise<Server & { stop: () => void }>} */
async function serve(quick) {
  const count = quick ? 100_000 : 200_000;
  const child = fork(fileURLToPath(new URL('lib/sse-server.js', import.meta.url)), [String(count)]);
  const port = await new Promise((resolve) => child.once('message', resolve));
  return { url: `http://127.0.0.1:${port}/`, count, stop: () => child.kill() };
}

/**
 * Reads the feed anew each round, with a tracker of its own.
 * @param {import('tidemark').Strategy} strategy @param {import('tidemark').SseOptions} [options]
 * @returns {import('./lib/turns.js').Side}
 */
const resuming =
  (strategy, options = {}) =>
  ({ url, count }) =>
  async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy });
    let seen = 0;
    for await (const _ of resume(tracker, 'orders', sse(url, { earliest: '', ...options }))) {
      if (++seen === count) break;
    }
    await tracker.close();
    return seen;
  };

/** @type {Record<string, import('./lib/turns.js').Side>} */
const sides = {
  'eventsource-client':
    ({ url, count }) =>
    async () => {
      let seen = 0;
      const source = createEventSource(url);
      for await (const _ of source) if (++seen === count) break;
      source.close();
      return seen;
    },
  'eventsource-parser, alone':
    ({ url }) =>
    async () => {
      let seen = 0;
      const decoder = new TextDecoder();
      const parser = createParser({ onEvent: () => void seen++ });
      for await (const chunk of (await fetch(url)).body ?? []) parser.feed(decoder.decode(chunk, { stream: true }));
      return seen;
    },
  eventsource:
    ({ url, count }) =>
    async () => {
      let seen = 0;
      const source = new EventSource(url);
      await new Promise((resolve) => {
        source.addEventListener('message', () => void (++seen === count && resolve(undefined)));
      });
      source.close();
      return seen;
    },
  'fetch-event-source': ({ url }) => {
    // Written for pages: it looks for both.
    Object.assign(globalThis, { window: globalThis, document: new EventTarget() });
    return async () => {
      let seen = 0;
      await fetchEventSource(url, {
        openWhenHidden: true,
        onmessage: () => void seen++,
        onerror: (error) => {
          throw error;
        },
      });
      return seen;
    };
  },
  'resume(sse()), manual': resuming('manual'),
  'resume(sse()), { every: 100, intervalMs: 1000 }': resuming({ every: 100, intervalMs: 1000 }),
  'resume(sse()), auto': resuming('auto'),
  'resume(sse()), auto, sequences': resuming('auto', { offset: Offset.sequence }),
};

/** @type {import('./lib/turns.js').Comparison[]} */
export const comparisons = [
  {
    title: 'Server-Sent Events over HTTP',
    unit: 'events',
    baseline: 'eventsource-client',
    sides,
    given: serve,
    goals: [
      { side: 'resume(sse()), manual', of: 'eventsource-client', atLeast: 1 },
      { side: 'resume(sse()), { every: 100, intervalMs: 1000 }', of: 'eventsource-client', atLeast: 1 },
      { side: 'resume(sse()), auto', of: 'eventsource-client', atLeast: 0.5 },
    ],
    note: 'The whole feed at hand on a local HTTP server in another process; each reader in a process of its own; commits into memory.',
  },
];
