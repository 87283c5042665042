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
    external: [/^react/, /^node:/],
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
  const loaded = loadedAtOnce(output);
  const sizeOf = (/** @type {boolean} */ later) =>
    output.reduce((sum, part) => {
      const counts = part.type === 'chunk' && loaded.has(part.fileName) !== later;
      return sum + (counts ? brotliCompressSync(part.code).length : 0);
    }, 0);
  return { amount: sizeOf(false), also: { 'loaded on demand': sizeOf(true) } };
};

/** The chunks that come with the entry; others are loaded when they are needed. @param {import('rolldown').RolldownOutput['output']} output */
function loadedAtOnce(output) {
  const chunks = output.filter((part) => part.type === 'chunk');
  const loaded = new Set(chunks.filter(({ isEntry }) => isEntry).map(({ fileName }) => fileName));
  // A set goes on with what is added while it is walked.
  for (const name of loaded) {
    for (const each of chunks.find(({ fileName }) => fileName === name)?.imports ?? []) loaded.add(each);
  }
  return loaded;
}

const imports = {
  'tidemark: tracker, memory': `export { OffsetTracker, InMemoryOffsetStore, Offset } from 'tidemark'`,
  'tidemark: sse': `export { sse } from 'tidemark'`,
  'tidemark: resume, sse, tracker, memory': `export { OffsetTracker, InMemoryOffsetStore, Offset, resume, sse } from 'tidemark'`,
  'tidemark: tracker, IndexedDB': `export { OffsetTracker, Offset } from 'tidemark'; export { IndexedDBOffsetStore } from 'tidemark/indexeddb'`,
  'tidemark: resume, sse, tracker, IndexedDB': `export { OffsetTracker, Offset, resume, sse } from 'tidemark'; export { IndexedDBOffsetStore } from 'tidemark/indexeddb'`,
  'tidemark/indexeddb': `export { IndexedDBOffsetStore } from 'tidemark/indexeddb'`,
  'tidemark/local-storage': `export { LocalStorageOffsetStore } from 'tidemark/local-storage'`,
  'tidemark/cloudflare-kv': `export { CloudflareKVOffsetStore } from 'tidemark/cloudflare-kv'`,
  'tidemark/durable-object': `export { DurableObjectOffsetStore } from 'tidemark/durable-object'`,
  'tidemark/d1': `export { D1OffsetStore } from 'tidemark/d1'`,
  'tidemark/sqlite': `export { SqliteOffsetStore } from 'tidemark/sqlite'`,
  'tidemark/postgres': `export { PostgresOffsetStore } from 'tidemark/postgres'`,
  'tidemark/react, without React': `export { useFeed } from 'tidemark/react'`,
  'tidemark/serve': `export { serve } from 'tidemark/serve'`,
  eventsource: `export { EventSource } from 'eventsource'`,
  'eventsource-client': `export { createEventSource } from 'eventsource-client'`,
  'fetch-event-source': `export { fetchEventSource } from '@microsoft/fetch-event-source'`,
  'eventsource-parser': `export { createParser } from 'eventsource-parser'`,
  'idb-keyval': `export { get, set } from 'idb-keyval'`,
  localforage: `export { default } from 'localforage'`,
  dexie: `export { Dexie } from 'dexie'`,
  'unstorage, IndexedDB': `export { createStorage } from 'unstorage'; export { default } from 'unstorage/drivers/indexedb'`,
  '@nanostores/persistent': `export { persistentAtom } from '@nanostores/persistent'`,
  'idb, openDB': `export { openDB } from 'idb'`,
};

const why = `Nothing in it can be left out by what an import does not use. Of the 93 kB that the last of the three has before
compression, the tracker is 28 kB, resume 26, the IndexedDB store 11 and idb 3, offsets, checkpoints and errors 11, SSE and HTTP 10, tabs 4.`;

/** @type {import('./lib/turns.js').Comparison[]} */
export const comparisons = [
  {
    title: 'Bundle sizes, minified, brotli',
    unit: 'bytes',
    timed: false,
    rounds: 1,
    warmUp: 0,
    alone: true,
    baseline: 'eventsource-client',
    sides: Object.fromEntries(Object.entries(imports).map(([name, code]) => [name, bundling(code)])),
    goals: [
      { side: 'tidemark: tracker, memory', atMost: 4000, why },
      { side: 'tidemark: tracker, IndexedDB', atMost: 7000, why },
      { side: 'tidemark: resume, sse, tracker, IndexedDB', atMost: 11_500, why },
    ],
    note: 'Smaller is better. None of the peers keeps an offset.',
  },
];
