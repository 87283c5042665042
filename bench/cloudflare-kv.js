// Workers KV in workerd: how many writes the records of a feed cost, how far what is stored is behind, and how many calls it
// takes to read all sources.
import { inWorker, openWorker } from './lib/workers.js';

const given = (/** @type {boolean} */ quick) => openWorker(quick, 'cloudflare-kv.js');
const every = 'a put for each event';
const each = 'list, and get each';

/** @type {import('./lib/turns.js').Comparison[]} */
export const comparisons = [
  {
    title: 'Workers KV: writes of one source at 2,000 records a second',
    unit: 'puts per 10,000 records',
    timed: false,
    baseline: every,
    given,
    rounds: 3,
    quickRounds: 1,
    warmUp: 0,
    sides: {
      [every]: inWorker(every),
      'tidemark, auto': inWorker('auto'),
      'tidemark, { every: 100 }': inWorker('{ every: 100 }'),
      'tidemark, { intervalMs: 5000 }': inWorker('{ intervalMs: 5000 }'),
    },
    // Five seconds at one write a second, the last one, and what the first waits for.
    goals: [{ side: 'tidemark, auto', atMost: 7 }],
    note: `Smaller is better. KV itself takes one write a second and key, and refuses or loses the others: the workerd of this
machine has no such limit. The lag is the longest that a record waited until it, or a later one, was stored.`,
  },
  {
    title: 'Workers KV: reading 1,000 sources',
    unit: 'calls',
    timed: false,
    baseline: each,
    given,
    rounds: 1,
    warmUp: 0,
    sides: { [each]: inWorker(each), 'tidemark, getAll': inWorker('getAll') },
    goals: [{ side: 'tidemark, getAll', atMost: 10 }],
    note: 'Smaller is better. An invocation of a Worker may make 50 or 1,000 calls, by plan.',
  },
];
