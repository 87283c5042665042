// Figures as text: tables for the terminal and for RESULTS.md.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch, cpus, platform, totalmem } from 'node:os';
import { ENGINES, findBrowser } from '../../test/browsers/find.js';
import { ratioOf, spreadOf } from './turns.js';

/** What is compared with, and what runs it. */
const packages = [
  'eventsource',
  'eventsource-client',
  '@microsoft/fetch-event-source',
  'eventsource-parser',
  'idb-keyval',
  'localforage',
  'unstorage',
  'dexie',
  '@nanostores/persistent',
  'better-sqlite3',
  'lmdb',
  'write-file-atomic',
  'pg',
  'miniflare',
  'rolldown',
];

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {import('./turns.js').Spread} figure
 * @property {import('./turns.js').Spread} ratio to the baseline, round by round
 * @property {string} text the figure with its unit
 * @property {Record<string, number>} also what else a round answered, by name: medians
 */

/** @param {import('./turns.js').Comparison} comparison @param {import('./turns.js').Found} found @returns {Row[]} */
export function rowsOf(comparison, { figures, also }) {
  const baseline = figures[comparison.baseline] ?? [];
  return Object.entries(figures).map(([name, values]) => {
    const figure = spreadOf(values);
    const others = Object.entries(also[name] ?? {}).map(([what, each]) => [what, spreadOf(each).median]);
    const text = textOf(figure.median, comparison);
    return { name, figure, ratio: ratioOf(values, baseline), text, also: Object.fromEntries(others) };
  });
}

/**
 * A goal, and what was found.
 * @typedef {object} Verdict
 * @property {boolean} met
 * @property {string} what
 * @property {string} ours
 * @property {string} peer
 * @property {string} found the ratio, or the figure where there is no peer, with its spread
 * @property {string} goal
 * @property {string | undefined} why it is missed
 */

/** @param {import('./turns.js').Comparison} comparison @param {import('./turns.js').Found} found @returns {Verdict[]} */
export function goalsOf(comparison, found) {
  const { goals = [], title } = comparison;
  const told = goals.filter(({ side, of = side }) => found.figures[side] && found.figures[of]);
  return told.map(({ side, of, atLeast, atMost, what, why }) => {
    const valuesOf = (/** @type {string} */ name) => (what ? found.also[name]?.[what] : found.figures[name]) ?? [];
    const values = valuesOf(side);
    const others = of === undefined ? undefined : valuesOf(of);
    const { median, least, most } = others ? ratioOf(values, others) : spreadOf(values);
    const met = (atLeast === undefined || median >= atLeast) && (atMost === undefined || median <= atMost);
    const short = others ? (/** @type {number} */ ratio) => `×${shortOf(ratio)}` : figureOf;
    const bound = atLeast === undefined ? `at most ${short(atMost ?? NaN)}` : `at least ${short(atLeast)}`;
    const spread = least === most ? '' : ` (${shortOf(least)} to ${shortOf(most)})`;
    const named = (/** @type {string} */ name, /** @type {readonly number[]} */ all) =>
      `${name}: ${what ? `${figureOf(spreadOf(all).median)} ${what}` : textOf(spreadOf(all).median, comparison)}`;
    return {
      met,
      what: title,
      ours: named(side, values),
      peer: of === undefined || !others ? '' : named(of, others),
      found: `${short(median)}${spread}`,
      goal: bound,
      why: met ? undefined : why,
    };
  });
}

/** @param {readonly Verdict[]} verdicts */
export function goalTable(verdicts) {
  const lines = verdicts.map(({ met, what, ours, peer, found, goal }) =>
    [what, ours, peer, found, goal, met ? 'met' : '**missed**'].join(' | '),
  );
  return ['| what | ours | peer | found | goal | |', '| --- | --- | --- | --- | --- | --- |']
    .concat(lines.map((line) => `| ${line} |`))
    .join('\n');
}

/** @param {import('./turns.js').Comparison} comparison @param {readonly Row[]} rows */
export function markdownOf({ unit, timed = true, baseline }, rows) {
  const others = [...new Set(rows.flatMap(({ also }) => Object.keys(also)))];
  const heads = [`${unit}${timed ? ' a second' : ''}`, `of ${baseline}`, 'spread', ...others];
  const lines = rows.map(({ name, ratio, text, also }) => {
    const spread = `${shortOf(ratio.least)}–${shortOf(ratio.most)}`;
    const rest = others.map((what) => figureOf(also[what] ?? NaN));
    return `| ${[name, text, `×${shortOf(ratio.median)}`, spread, ...rest].join(' | ')} |`;
  });
  return [`| | ${heads.join(' | ')} |`, `| --- |${' ---: |'.repeat(heads.length)}`, ...lines].join('\n');
}

/** The machine and the versions, without its name and its folders. */
export function machine() {
  const [cpu] = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB of memory`;
  const versions = packages.map((name) => `${name} ${versionOf(name)}`);
  return [
    `- ${new Date().toISOString().slice(0, 10)}, ${cpu?.model.trim()}, ${cpus().length} cores, ${memory}`,
    `- ${platform()} ${arch()}, Node ${process.versions.node}, V8 ${process.versions.v8}`,
    `- ${browserVersions()}`,
    `- ${versions.join(', ')}`,
  ].join('\n');
}

function browserVersions() {
  return ENGINES.map((engine) => {
    const found = findBrowser(engine);
    if (!found) return `no ${engine}: what needs it is left out`;
    // WebKitGTK's says nothing without a display.
    if (found.driver === 'webdriver') return 'WebKitGTK';
    const text = execFileSync(found.path, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return /^\D*[\d.]+/.exec(text)?.[0] ?? engine;
  }).join(', ');
}

/** @param {string} name */
function versionOf(name) {
  const file = new URL(`../../node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')).version;
}

/** @param {number} value @param {import('./turns.js').Comparison} comparison */
function textOf(value, { timed = true }) {
  if (!timed) return figureOf(value);
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
  return value >= 1e4 ? `${(value / 1e3).toFixed(1)} k` : wholeOf(value);
}

/** A figure of any size. @param {number} value */
function figureOf(value) {
  return Math.abs(value) >= 100 ? wholeOf(value) : shortOf(value);
}

/** @param {number} value */
function wholeOf(value) {
  return Math.round(value).toLocaleString('en');
}

/** @param {number} ratio */
function shortOf(ratio) {
  if (Number.isNaN(ratio)) return '';
  if (ratio === 0) return '0';
  return ratio >= 100 ? ratio.toFixed(0) : ratio.toPrecision(ratio >= 1 ? 3 : 2);
}
