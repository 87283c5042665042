// IndexedDB in each engine, on disk: what a durable offset costs, beside one put each by what one would use instead, beside
// the same done by hand, and beside many other sources.
import { engines, inPage, openBrowsers, titles } from './lib/browsers.js';

/** @param {number} count @param {string} what */
const counted = (count, what) => `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`;

const peers = ['idb-keyval', 'localforage', 'unstorage', 'dexie'];

/**
 * @param {import('../test/browsers/find.js').Engine} engine
 * @param {number} records @param {readonly string[]} others @param {number} puts of each of the others
 * @returns {import('./lib/turns.js').Comparison}
 */
const unawaited = (engine, records, others, puts) => ({
  title: `IndexedDB in ${titles[engine]}: ${counted(records, 'record')} at once`,
  unit: 'records',
  baseline: others[0] ?? '',
  given: openBrowsers(engine, 'indexeddb.js'),
  rounds: 3,
  quickRounds: 1,
  warmUp: 0,
  inFullOnly: records > 10_000,
  sides: {
    ...Object.fromEntries(others.map((name) => [name, inPage(name, puts)])),
    'tidemark, auto': inPage('records at once', records),
  },
  goals: others.map((of) => ({ side: 'tidemark, auto', of, atLeast: 100 })),
  note: `All at once, on a profile on disk, with the durability that each has by default. The others do one put for each
record, ${counted(puts, 'put')} a round: their time grows with the number.`,
});

const whyAwaited = `Built up by hand in Chromium, in steps: a transaction over two object stores ×0.95, a look for what hidden pages
have left there ×0.91, a message to other tabs after each commit ×0.79. The rest are the checks of what is read and written.`;

/** @param {import('../test/browsers/find.js').Engine} engine @returns {import('./lib/turns.js').Comparison} */
const awaited = (engine) => ({
  title: `IndexedDB in ${titles[engine]}: awaited one by one`,
  unit: 'records',
  baseline: 'get, compare, put',
  given: openBrowsers(engine, 'indexeddb.js'),
  rounds: 5,
  warmUp: 1,
  sides: { 'get, compare, put': inPage('raw, get and put'), 'tidemark, auto': inPage('records awaited') },
  goals: [{ side: 'tidemark, auto', of: 'get, compare, put', atLeast: 1 / 1.15, why: whyAwaited }],
  note: 'The other side does the same by hand, in one transaction each, with `commit()`.',
});

/** @param {number} sources */
const beside = (sources) => `${counted(sources, 'source')} stored`;

/** @param {import('../test/browsers/find.js').Engine} engine @returns {import('./lib/turns.js').Comparison} */
const growth = (engine) => {
  const many = beside(100_000);
  return {
    title: `IndexedDB in ${titles[engine]}: growth`,
    unit: 'commits of one source',
    baseline: beside(1),
    given: openBrowsers(engine, 'indexeddb.js'),
    rounds: 3,
    quickRounds: 1,
    warmUp: 0,
    sides: Object.fromEntries([1, 1000, 100_000].map((sources) => [beside(sources), inPage('growth', sources)])),
    goals: [
      { side: many, of: beside(1), atLeast: 0.5 },
      { side: many, of: beside(1), what: 'get, ms', atMost: 2 },
      { side: many, of: beside(1000), what: 'getAll, µs a source', atMost: 2 },
      { side: many, of: beside(1000), what: 'all committed, µs a source', atMost: 2 },
    ],
  };
};

export const comparisons = engines.flatMap((engine) => [
  unawaited(engine, 10_000, peers, 2000),
  unawaited(engine, 100_000, ['idb-keyval'], 10_000),
  awaited(engine),
  growth(engine),
]);
