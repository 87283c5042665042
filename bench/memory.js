// The memory that a source takes, in a tracker and in its store, and what is left once the sources are idle.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InMemoryOffsetStore, Offset, OffsetTracker } from 'tidemark';
import { FileOffsetStore } from 'tidemark/file';

/** The heap in use, in bytes. */
function heap() {
  for (let i = 0; i < 3; i++) globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

/**
 * @param {number} sources
 * @param {(sources: number) => Promise<unknown>} fill gives what is to be measured
 * @returns {import('./lib/turns.js').Side}
 */
const measuring = (sources, fill) => () => async () => {
  // What code takes is no source's.
  await fill(1000);
  const before = heap();
  const held = await fill(sources);
  const amount = (heap() - before) / sources;
  // Not let go before.
  return held ? amount : NaN;
};

/** @param {number} i */
const nameOf = (i) => `source ${i}`;

/** @param {number} sources */
async function fillMap(sources) {
  const map = new Map();
  for (let i = 0; i < sources; i++) map.set(nameOf(i), Offset.sequence(i));
  return map;
}

/** @param {number} sources */
async function fillStore(sources) {
  const store = new InMemoryOffsetStore();
  const committedAt = Date.now();
  for (let i = 0; i < sources; i++) {
    const offset = Offset.sequence(i);
    await store.commit(new Map([[nameOf(i), Object.freeze({ epoch: 0, rank: 1, offset, committedAt })]]));
  }
  return store;
}

/** What a file store holds of its file. @param {number} sources */
async function fillFile(sources) {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-'));
  const store = new FileOffsetStore(join(folder, 'offsets'));
  const committedAt = Date.now();
  const batch = new Map();
  for (let i = 0; i < sources; i++)
    batch.set(nameOf(i), { epoch: 0, rank: 1, offset: Offset.sequence(i), committedAt });
  await store.commit(batch);
  await rm(folder, { recursive: true, force: true });
  return store;
}

/** @param {number} sources */
async function fillTracker(sources) {
  const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy: 'manual' });
  for (let i = 0; i < sources; i++) await tracker.record(nameOf(i), Offset.sequence(i));
  return tracker;
}

/** Each is read, recorded once, and closed. @param {number} sources */
async function leaveIdle(sources) {
  const tracker = new OffsetTracker(new InMemoryOffsetStore(), { resetPolicy: 'earliest' });
  for (let i = 0; i < sources; i++) {
    const reading = await tracker.read(nameOf(i));
    void reading.record(Offset.sequence(i));
    await reading.close();
  }
  return tracker;
}

const plain = 'Map from name to offset';
const store = 'InMemoryOffsetStore';
const file = 'FileOffsetStore';
const pending = 'tracker, an uncommitted offset each';
const idle = 'tracker and store, all readings closed';
const whyIdle = `The last 256 sources are remembered, so that their status can still be shown: about 1 kB each, which is 25 bytes a source
where there are 10,000, and nothing where there are more.`;

/** @type {import('./lib/turns.js').Comparison[]} */
export const comparisons = [10_000, 100_000, 1_000_000].map((sources) => ({
  title: `Memory of a source, ${sources.toLocaleString('en')} sources`,
  unit: 'bytes a source',
  timed: false,
  baseline: plain,
  rounds: 1,
  warmUp: 0,
  alone: true,
  inFullOnly: sources === 1_000_000,
  execArgv: ['--expose-gc', '--max-old-space-size=8192'],
  sides: {
    [plain]: measuring(sources, fillMap),
    [store]: measuring(sources, fillStore),
    [file]: measuring(sources, fillFile),
    [pending]: measuring(sources, fillTracker),
    [idle]: measuring(sources, leaveIdle),
  },
  goals: [{ side: idle, of: store, atMost: 1.1, why: whyIdle }],
  note: 'Smaller is better. The name and the offset itself are part of each. What is idle costs what the store keeps of it.',
}));
