// Events that finish in random order: how fast the watermark follows, against the two structures that one would write.
import { InMemoryOffsetStore, Offset, OffsetTracker } from 'tidemark';

/**
 * Begins so many events and finishes them, in an order of its own; answers how many.
 * @typedef {<T>(count: number, begin: (n: number) => Promise<T>, done: (ticket: T) => void) => Promise<number>} Course
 */

/** @param {boolean} quick */
const given = (quick) => ({ count: quick ? 100_000 : 1_000_000 });

/** The order in which events of a window finish: a slot of it each time, from a seed. @param {number} seed */
function randomOf(seed) {
  let state = seed;
  return (/** @type {number} */ below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** @template T @param {T[]} open @param {number} index @param {(ticket: T) => void} done */
function finish(open, index, done) {
  const chosen = /** @type {T} */ (open[index]);
  const last = /** @type {T} */ (open.pop());
  if (index < open.length) open[index] = last;
  done(chosen);
}

/** @param {Course} course @returns {import('./lib/turns.js').Side} */
const tidemark =
  (course) =>
  ({ count }) =>
  async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy: 'manual', maxInFlight: 2 ** 24 });
    const reading = await tracker.read('orders');
    const begin = (/** @type {number} */ n) => reading.begin(Offset.sequence(n));
    await course(count, begin, (ticket) => void ticket.done());
    await tracker.close();
    return count;
  };

/** What is done, in order: each new one is put in its place. @param {Course} course @returns {import('./lib/turns.js').Side} */
const sortedArray =
  (course) =>
  ({ count }) =>
  async () => {
    /** @type {number[]} */
    const finished = [];
    let watermark = -1;
    const begin = async (/** @type {number} */ n) => n;
    return course(count, begin, (n) => {
      let low = 0;
      let high = finished.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((finished[middle] ?? 0) < n) low = middle + 1;
        else high = middle;
      }
      finished.splice(low, 0, n);
      let passed = 0;
      while (finished[passed] === watermark + 1) {
        watermark++;
        passed++;
      }
      if (passed > 0) finished.splice(0, passed);
    });
  };

/** What is open, the least on top, and a set of what is done. @param {Course} course @returns {import('./lib/turns.js').Side} */
const heap =
  (course) =>
  ({ count }) =>
  async () => {
    /** @type {number[]} */
    const heaped = [];
    const finished = new Set();
    let watermark = -1;
    const begin = async (/** @type {number} */ n) => {
      push(heaped, n);
      return n;
    };
    return course(count, begin, (n) => {
      finished.add(n);
      while (heaped.length > 0 && finished.delete(heaped[0])) watermark = pop(heaped);
      return watermark;
    });
  };

/** Keeps a window full: finishes one at random, and begins the next. @param {number} window @returns {Course} */
function keepFull(window) {
  return async (count, begin, done) => {
    const random = randomOf(42);
    /** @type {any[]} */
    const open = [];
    for (let n = 0; n < count; n++) {
      if (open.length === window) finish(open, random(window), done);
      open.push(await begin(n));
    }
    while (open.length > 0) finish(open, random(open.length), done);
    return count;
  };
}

/** @param {number[]} heaped @param {number} n */
function push(heaped, n) {
  let at = heaped.length;
  heaped.push(n);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heaped[parent] ?? 0;
    if (above <= n) break;
    heaped[at] = above;
    at = parent;
  }
  heaped[at] = n;
}

/** @param {number[]} heaped */
function pop(heaped) {
  const [least = NaN] = heaped;
  const last = heaped.pop() ?? NaN;
  if (heaped.length === 0) return least;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heaped.length) break;
    if ((heaped[child + 1] ?? Infinity) < (heaped[child] ?? Infinity)) child++;
    if ((heaped[child] ?? Infinity) >= last) break;
    heaped[at] = heaped[child] ?? NaN;
    at = child;
  }
  heaped[at] = last;
  return least;
}

/**
 * The first event finishes last, behind all others: each stays until then.
 * @template T @param {number} count @param {(n: number) => Promise<T>} begin @param {(ticket: T) => void} done
 */
async function holdHead(count, begin, done) {
  const random = randomOf(42);
  const head = await begin(0);
  /** @type {T[]} */
  const open = [];
  for (let n = 1; n < count; n++) open.push(await begin(n));
  while (open.length > 0) finish(open, random(open.length), done);
  done(head);
  return count;
}

const behind = 100_000;

const note = 'The tracker checks and records the offsets as well; the other two only find the watermark.';

/** @param {Course} course */
const sidesOf = (course) => ({
  tidemark: tidemark(course),
  'a heap and a set': heap(course),
  'a sorted array': sortedArray(course),
});

/** @type {import('./lib/turns.js').Comparison[]} */
export const comparisons = [
  ...[64, 1024, 65_536].map((window) => ({
    title: `Events that finish in random order, ${window.toLocaleString('en')} at a time`,
    unit: 'events',
    baseline: 'a heap and a set',
    rounds: 3,
    warmUp: 1,
    given,
    sides: sidesOf(keepFull(window)),
    note,
  })),
  {
    title: `Events that finish in random order behind a first one that finishes last, ${behind.toLocaleString('en')}`,
    unit: 'events',
    baseline: 'a heap and a set',
    rounds: 3,
    warmUp: 1,
    given: () => ({ count: behind }),
    sides: sidesOf(holdHead),
    note,
  },
];
