// What passes between the tabs of a browser: how long until another tab hears of an event, and until the next one reads.
import { engines, titles } from './lib/browsers.js';
import { inTabs, measureHearing, measureTakeover, openTabs } from './lib/tabs.js';

const bare = 'a bare BroadcastChannel';

/** @param {import('./lib/tabs.js').Engine} engine @returns {import('./lib/turns.js').Comparison} */
const hearing = (engine) => ({
  title: `Tabs in ${titles[engine]}: until another tab hears of an event`,
  unit: 'ms',
  timed: false,
  baseline: bare,
  given: openTabs(engine, measureHearing),
  rounds: 3,
  quickRounds: 1,
  warmUp: 0,
  sides: {
    [bare]: inTabs('bare'),
    "tidemark, from the reader's feed to `view`": inTabs('view'),
    "tidemark, from 'committed' to `subscribe`": inTabs('committed'),
    'a put in IndexedDB, then a bare BroadcastChannel': inTabs('by hand'),
    'tidemark, from `record` to `subscribe`, IndexedDB': inTabs('record'),
  },
  note: `Smaller is better; medians. The tab that sends is in the background where the engine has such. Less than nothing: the
other tab has heard of a commit before the promise of its record was resolved.`,
});

const lock = 'a bare Web Lock, the tab is closed';

/** @param {import('./lib/tabs.js').Engine} engine @returns {import('./lib/turns.js').Comparison} */
const takeover = (engine) => ({
  title: `Tabs in ${titles[engine]}: until the next tab reads`,
  unit: 'ms',
  timed: false,
  baseline: lock,
  given: openTabs(engine, measureTakeover),
  rounds: 5,
  quickRounds: 2,
  warmUp: 1,
  sides: {
    [lock]: inTabs({ how: 'lock', end: 'closed' }),
    'tidemark, the tab is closed': inTabs({ how: 'resume', end: 'closed' }),
    ...(engine === 'chromium' && {
      'a bare Web Lock, the tab crashes': inTabs({ how: 'lock', end: 'crashed' }),
      'tidemark, the tab crashes': inTabs({ how: 'resume', end: 'crashed' }),
    }),
  },
  note: 'Smaller is better: until the next tab handles its first event, from before the tab that reads is told to close.',
});

export const comparisons = engines.flatMap((engine) => [hearing(engine), takeover(engine)]);
