// Ways to record in memory, in Node as in a page: each is a side that is given how many events there are.
import { InMemoryOffsetStore, Offset, OffsetTracker } from 'tidemark';

/** @typedef {(given: { readonly count: number }) => import('./turns.js').Round} Way */

/** @param {string} kind @param {number} count @returns {import('tidemark').Offset[]} */
const offsetsOf = (kind, count) =>
  Array.from({ length: count }, (_, i) => (kind === 'customs' ? Offset.custom(`0_${i}`) : Offset.sequence(i + 1)));
/** @param {number} sources */
const namesOf = (sources) => Array.from({ length: sources }, (_, i) => `source ${i}`);

/** @param {number} sources @param {string} kind @returns {Way} */
const setting =
  (sources, kind) =>
  ({ count }) => {
    const offsets = offsetsOf(kind, count);
    const names = namesOf(sources);
    return () => {
      const map = new Map();
      for (let i = 0; i < count; i++) map.set(names[i % sources], offsets[i]);
      return count;
    };
  };

/**
 * Each round has a tracker of its own, so that it meets its sources within the time.
 * @param {import('tidemark').Strategy} strategy @param {number} sources @param {string} kind @returns {Way}
 */
const recording =
  (strategy, sources, kind) =>
  ({ count }) => {
    const offsets = offsetsOf(kind, count);
    const names = namesOf(sources);
    return async () => {
      const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy });
      for (let i = 0; i < count; i++) void tracker.record(names[i % sources] ?? '', offsets[i] ?? Offset.earliest);
      await tracker.close();
      return count;
    };
  };

/** @type {Way} */
const reading = ({ count }) => {
  const offsets = offsetsOf('sequences', count);
  return async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy: 'manual', resetPolicy: 'earliest' });
    const orders = await tracker.read('orders');
    for (const offset of offsets) void orders.record(offset);
    await tracker.close();
    return count;
  };
};

/** @type {Way} */
const awaiting = ({ count }) => {
  const offsets = offsetsOf('sequences', count / 10);
  return async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    for (const offset of offsets) await tracker.record('orders', offset);
    await tracker.close();
    return offsets.length;
  };
};

/** @type {Way} */
const ticketing = ({ count }) => {
  const offsets = offsetsOf('sequences', count / 4);
  return async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy: 'manual' });
    for (const offset of offsets) void (await tracker.begin('orders', offset)).done();
    await tracker.close();
    return offsets.length;
  };
};

export const baseline = 'Map.set';

/** By name. @param {number} sources @param {string} kind @returns {Record<string, Way>} */
export const waysOf = (sources, kind) => ({
  [baseline]: setting(sources, kind),
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
});
