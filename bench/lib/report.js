// Figures as text: tables for the terminal and for RESULTS.md.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch, cpus, platform, release, totalmem } from 'node:os';
import { findBrowser } from '../../test/browsers/find.js';
import { ratioOf, spreadOf } from './turns.js';

/** What is compared with, and what runs it. */
const packages = [
  'eventsource',
  'eventsource-client',
  '@microsoft/fetch-event-source',
  'eventsource-parser',
  'idb-keyval',
  'better-sqlite3',
  'write-file-atomic',
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

/** @param {import('./turns.js').Comparison} comparison @param {Record<string, number[]>} figures @returns {string[]} */
export function goalsOf({ goals = [], unit }, figures) {
  return goals.map(({ side, of, atLeast, atMost }) => {
    const values = figures[side] ?? [];
    const { median, least, most } = of === undefined ? spreadOf(values) : ratioOf(values, figures[of] ?? []);
    const met = (atLeast === undefined || median >= atLeast) && (atMost === undefined || median <= atMost);
    const short = of === undefined ? wholeOf : shortOf;
    const bound = atLeast === undefined ? `at most ${short(atMost ?? NaN)}` : `at least ${short(atLeast)}`;
    const found = least === most ? short(median) : `${short(median)} (${short(least)}–${short(most)})`;
    return `${met ? 'Met' : '**Missed**'}: ${side} is to be ${bound} ${of === undefined ? unit : `times ${of}`}; found ${found}.`;
  });
}

/** @param {import('./turns.js').Comparison} comparison @param {readonly Row[]} rows */
export function markdownOf({ unit, timed = true, baseline }, rows) {
  const others = [...new Set(rows.flatMap(({ also }) => Object.keys(also)))];
  const heads = [`${unit}${timed ? ' a second' : ''}`, `of ${baseline}`, 'spread', ...others];
  const lines = rows.map(({ name, ratio, text, also }) => {
    const spread = `${shortOf(ratio.least)}–${shortOf(ratio.most)}`;
    const rest = others.map((what) => shortOf(also[what] ?? NaN));
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
    `- ${platform()} ${release()} ${arch()}, Node ${process.versions.node}, V8 ${process.versions.v8}, ${browserVersion()}`,
    `- ${versions.join(', ')}`,
  ].join('\n');
}

function browserVersion() {
  const found = findBrowser('chromium');
  if (!found) return 'no Chromium: what needs a browser is left out';
  const text = execFileSync(found.path, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return /^\D*[\d.]+/.exec(text)?.[0] ?? text.trim();
}

/** @param {string} name */
function versionOf(name) {
  const file = new URL(`../../node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')).version;
}

/** @param {number} value @param {import('./turns.js').Comparison} comparison */
function textOf(value, { timed = true }) {
  if (!timed) return wholeOf(value);
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
  return value >= 1e4 ? `${(value / 1e3).toFixed(1)} k` : wholeOf(value);
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
