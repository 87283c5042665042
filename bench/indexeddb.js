// IndexedDB in Chromium, on disk: what a durable offset costs, beside one put each and beside the same done by hand.
import { hasChromium, inPage, openChromium } from './lib/chromium.js';

const growth = [1, 10_000, 100_000];
/** @param {number} sources */
const beside = (sources) => `a commit, ${sources.toLocaleString('en')} source${sources === 1 ? '' : 's'} stored`;

const given = openChromium('indexeddb.js');

/** @type {import('./lib/turns.js').Comparison[]} */
const all = [
  {
    title: 'IndexedDB in Chromium: 10,000 offsets that nobody awaits one by one',
    unit: 'records',
    baseline: 'idb-keyval, one put each',
    given,
    rounds: 3,
    quickRounds: 1,
    warmUp: 0,
    sides: {
      'idb-keyval, one put each': inPage('puts of idb-keyval'),
      'tidemark, auto': inPage('records at once'),
    },
    goals: [{ side: 'tidemark, auto', of: 'idb-keyval, one put each', atLeast: 100 }],
    note: 'All puts of idb-keyval are under way at once. A profile on disk, relaxed durability, which is the default.',
  },
  {
    title: 'IndexedDB in Chromium: awaited one by one',
    unit: 'records',
    baseline: 'get, compare, put',
    given,
    rounds: 5,
    warmUp: 1,
    sides: { 'get, compare, put': inPage('raw, get and put'), 'tidemark, auto': inPage('records awaited') },
    goals: [{ side: 'tidemark, auto', of: 'get, compare, put', atLeast: 1 / 1.15 }],
    note: 'The other side does the same by hand, in one transaction each, with `commit()`.',
  },
  {
    title: 'IndexedDB in Chromium: growth',
    unit: 'commits',
    baseline: beside(1),
    given,
    rounds: 5,
    quickRounds: 2,
    warmUp: 1,
    sides: Object.fromEntries(growth.map((sources) => [beside(sources), inPage('commit beside', sources)])),
    goals: [{ side: beside(100_000), of: beside(1), atLeast: 0.5 }],
  },
];

export const comparisons = hasChromium ? all : [];
