// What a record costs in memory: by strategy, with one source and with 10,000, with sequences and customs; beside what the
// machine does of the simplest thing, a `Map.set` of the same objects. In Node and in Chromium.
import { engines, inPage, openBrowsers } from './lib/browsers.js';
import { baseline, waysOf } from './lib/records.js';

const count = 400_000;

/** @type {readonly (readonly [number, string])[]} */
const kinds = [
  [1, 'sequences'],
  [1, 'customs'],
  [10_000, 'sequences'],
  [10_000, 'customs'],
];

/** @param {string} where @param {number} sources @param {string} kind */
const titleOf = (where, sources, kind) =>
  `Records into memory in ${where}, ${sources === 1 ? 'one source' : `${sources.toLocaleString('en')} sources`}, ${kind}`;

/** @param {number} sources @param {string} kind */
const goalsOf = (sources, kind) =>
  sources === 1 && kind === 'sequences' ? [{ side: 'manual', of: baseline, atLeast: 20 / 120, why }] : [];

const why = `A profile (node --cpu-prof) is flat: \`record\` of the tracker, of the reading and of the position take a third,
garbage collection a tenth, the check that an offset is one and is frozen a sixth. What is left are comparisons of bigints.`;

/** @type {import('./lib/turns.js').Comparison[]} */
const inNode = kinds.map(([sources, kind]) => ({
  title: titleOf('Node', sources, kind),
  unit: 'records',
  baseline,
  given: () => ({ count }),
  sides: waysOf(sources, kind),
  goals: goalsOf(sources, kind),
}));

/** @type {import('./lib/turns.js').Comparison[]} */
const inChromium = kinds.map(([sources, kind]) => ({
  title: titleOf('Chromium', sources, kind),
  unit: 'records',
  baseline,
  given: openBrowsers('chromium', 'hot-path.js'),
  inFullOnly: sources > 1 || kind === 'customs',
  sides: Object.fromEntries(Object.keys(waysOf(sources, kind)).map((way) => [way, inPage(way, sources, kind, count)])),
  goals: goalsOf(sources, kind),
}));

export const comparisons = [...inNode, ...(engines.includes('chromium') ? inChromium : [])];
