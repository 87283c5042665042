// Comparisons to try the runner with: one that works, one whose own side fails, and one of whose peers does.

/** @returns {never} */
const broken = () => {
  throw new Error('no such thing in /some/folder');
};

/** @param {number} factor @returns {import('../../../bench/lib/turns.js').Side} */
const counting =
  (factor) =>
  ({ count }) =>
  () => ({ amount: count * factor, ms: 1000, also: { 'depth, m': factor } });

const given = () => ({ count: 10 });

/** @type {import('../../../bench/lib/turns.js').Comparison[]} */
export const comparisons = [
  {
    title: 'A side that fails',
    unit: 'events',
    baseline: 'fine',
    given,
    sides: { fine: counting(1), 'tidemark, broken': () => broken },
  },
  {
    title: 'Counting',
    unit: 'events',
    baseline: 'peer',
    given,
    rounds: 3,
    warmUp: 1,
    sides: { peer: counting(1), tidemark: counting(2) },
    goals: [
      { side: 'tidemark', of: 'peer', atLeast: 2 },
      { side: 'tidemark', atLeast: 30, why: 'It only counts to twenty.' },
      { side: 'tidemark', of: 'peer', what: 'depth, m', atMost: 1 },
    ],
  },
  {
    title: 'A peer that fails',
    unit: 'events',
    baseline: 'peer',
    given,
    rounds: 3,
    warmUp: 1,
    sides: { peer: counting(1), broken: () => broken, 'broken from the start': broken, tidemark: counting(3) },
    goals: [
      { side: 'tidemark', of: 'broken', atLeast: 2 },
      { side: 'tidemark', of: 'peer', atLeast: 3 },
    ],
  },
];
