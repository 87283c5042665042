// localStorage in Chromium: offsets beside a `setItem` for each event, and beside the keys of others.
import { engines, inPage, openBrowsers } from './lib/browsers.js';

/** @type {import('./lib/turns.js').Comparison} */
const comparison = {
  title: 'localStorage in Chromium',
  unit: 'events',
  baseline: 'setItem for each event',
  given: openBrowsers('chromium', 'local-storage.js'),
  rounds: 5,
  warmUp: 1,
  sides: {
    'setItem for each event': inPage('setItem', 0),
    '@nanostores/persistent': inPage('nanostores', 0),
    'tidemark, not awaited one by one': inPage('records at once', 0),
    'tidemark, awaited': inPage('records awaited', 0),
    'tidemark, awaited, 1,000 other keys': inPage('records awaited', 1000),
    'tidemark, awaited, 20,000 other keys': inPage('records awaited', 20_000),
  },
  goals: [
    { side: 'tidemark, not awaited one by one', of: 'setItem for each event', atLeast: 1 },
    { side: 'tidemark, not awaited one by one', of: '@nanostores/persistent', atLeast: 1 },
    { side: 'tidemark, awaited, 20,000 other keys', of: 'tidemark, awaited', atLeast: 0.5 },
  ],
};

export const comparisons = engines.includes('chromium') ? [comparison] : [];
