// What an import adds to a page: bundled, minified and compressed by brotli, beside what one would import instead.
import { build } from 'rolldown';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync } from 'node:zlib';

/** @param {string} code @returns {import('./lib/turns.js').Side} */
const bundling = (code) => () => async () => {
  const entry = fileURLToPath(new URL('entry.js', import.meta.url));
  const { output } = await build({
    input: entry,
    platform: 'browser',
    write: false,
    logLevel: 'silent',
    output: { minify: true },
    plugins: [
      {
        name: 'entry',
        resolveId: (id) => (id === entry ? id : undefined),
        load: (id) => (id === entry ? code : undefined),
      },
    ],
  });
  return output.reduce((sum, part) => sum + ('code' in part ? brotliCompressSync(part.code).length : 0), 0);
};

const imports = {
  'tidemark: tracker, memory': `export { OffsetTracker, InMemoryOffsetStore, Offset } from 'tidemark'`,
  'tidemark: sse': `export { sse } from 'tidemark'`,
  'tidemark: resume, sse, tracker, memory': `export { OffsetTracker, InMemoryOffsetStore, Offset, resume, sse } from 'tidemark'`,
  'tidemark/indexeddb': `export { IndexedDBOffsetStore } from 'tidemark/indexeddb'`,
  'tidemark/local-storage': `export { LocalStorageOffsetStore } from 'tidemark/local-storage'`,
  eventsource: `export { EventSource } from 'eventsource'`,
  'eventsource-client': `export { createEventSource } from 'eventsource-client'`,
  'fetch-event-source': `export { fetchEventSource } from '@microsoft/fetch-event-source'`,
  'eventsource-parser': `export { createParser } from 'eventsource-parser'`,
  'idb, openDB': `export { openDB } from 'idb'`,
};

/** @type {import('./lib/turns.js').Comparison[]} */
export const comparisons = [
  {
    title: 'Bundle sizes, minified, brotli',
    unit: 'bytes',
    timed: false,
    rounds: 1,
    baseline: 'eventsource-client',
    sides: Object.fromEntries(Object.entries(imports).map(([name, code]) => [name, bundling(code)])),
    note: 'Smaller is better. None of the peers keeps an offset.',
  },
];
