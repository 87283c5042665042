// What a record costs in memory: by strategy, with one source and with 10,000, with sequences and customs; beside what the
// machine does of the simplest thing, a `Map.set` of the same objects.
import { InMemoryOffsetStore, Offset, OffsetTracker } from 'tidemark';

const count = 400_000;

/** @param {string} kind @returns {import('tidemark').Offset[]} */
const offsetsOf = (kind) =>
  Array.from({ length: count }, (_, i) => (kind === 'customs' ? Offset.custom(`0_${i}`) : Offset.sequence(i + 1)));
/** @param {number} sources */
const namesOf = (sources) => Array.from({ length: sources }, (_, i) => `source ${i}`);

/** @param {number} sources @param {string} kind @returns {import('./lib/turns.js').Side} */
const setting = (sources, kind) => () => {
  const offsets = offsetsOf(kind);
  const names = namesOf(sources);
  return () => {
    const map = new Map();
    for (let i = 0; i < count; i++) map.set(names[i % sources], offsets[i]);
    return count;
  };
};

/**
 * Each round has a tracker of its own, which knows its sources when the clock starts to count: it is made between rounds.
 * @param {import('tidemark').Strategy} strategy @param {number} sources @param {string} kind
 * @returns {import('./lib/turns.js').Side}
 */
const recording = (strategy, sources, kind) => () => {
  const offsets = offsetsOf(kind);
  const names = namesOf(sources);
  return async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy });
    for (let i = 0; i < count; i++) void tracker.record(names[i % sources] ?? '', offsets[i] ?? Offset.earliest);
    await tracker.close();
    return count;
  };
};

/** @type {import('./lib/turns.js').Side} */
const reading = () => {
  const offsets = offsetsOf('sequences');
  return async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy: 'manual' });
    const orders = await tracker.read('orders').catch(() => undefined);
    for (const offset of offsets) void orders?.record(offset);
    await tracker.close();
    return count;
  };
};

/** @type {import('./lib/turns.js').Side} */
const awaiting = () => {
  const offsets = offsetsOf('sequences').slice(0, count / 10);
  return async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    for (const offset of offsets) await tracker.record('orders', offset);
    await tracker.close();
    return offsets.length;
  };
};

/** @type {import('./lib/turns.js').Side} */
const ticketing = () => {
  const offsets = offsetsOf('sequences').slice(0, count / 4);
  return async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy: 'manual' });
    for (const offset of offsets) void (await tracker.begin('orders', offset)).done();
    await tracker.close();
    return offsets.length;
  };
};

/** @param {number} sources @param {string} kind @returns {import('./lib/turns.js').Comparison} */
const comparison = (sources, kind) => ({
  title: `Records into memory, ${sources === 1 ? 'one source' : `${sources.toLocaleString('en')} sources`}, ${kind}`,
  unit: 'records',
  baseline: 'Map.set',
  sides: {
    'Map.set': setting(sources, kind),
    manual: recording('manual', sources, kind),
    '{ every: 100 }': recording({ every: 100 }, sources, kind),
    'auto, not awaited': recording('auto', sources, kind),
    ...(sources === 1 && kind === 'sequences'
      ? {
          'a reading of its own, manual': reading,
          'auto, awaited one by one': awaiting,
          'a ticket, begun and done': ticketing,
        }
      : {}),
  },
  ...(sources === 1 && kind === 'sequences' && { goals: [{ side: 'manual', of: 'Map.set', atLeast: 20 / 120 }] }),
});

export const comparisons = [
  comparison(1, 'sequences'),
  comparison(1, 'customs'),
  comparison(10_000, 'sequences'),
  comparison(10_000, 'customs'),
];
