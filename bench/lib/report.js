// Figures as text: tables for the terminal and for RESULTS.md.
import { readFileSync } from 'node:fs';
import { arch, cpus, platform, totalmem } from 'node:os';
import { ratioOf, spreadOf } from './turns.js';

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {import('./turns.js').Spread} figure
 * @property {import('./turns.js').Spread} ratio to the baseline, round by round
 * @property {string} text the figure with its unit
 */

/** @param {import('./turns.js').Comparison} comparison @param {Record<string, number[]>} figures @returns {Row[]} */
export function rowsOf(comparison, figures) {
  const baseline = figures[comparison.baseline] ?? [];
  return Object.entries(figures).map(([name, values]) => {
    const figure = spreadOf(values);
    return { name, figure, ratio: ratioOf(values, baseline), text: textOf(figure.median, comparison) };
  });
}

/** @param {import('./turns.js').Comparison} comparison @param {Record<string, number[]>} figures @returns {string[]} */
export function goalsOf({ goals = [] }, figures) {
  return goals.map(({ side, of, atLeast, atMost }) => {
    const { median, least, most } = ratioOf(figures[side] ?? [], figures[of] ?? []);
    const met = (atLeast === undefined || median >= atLeast) && (atMost === undefined || median <= atMost);
    const bound = atLeast === undefined ? `at most ${shortOf(atMost ?? NaN)}` : `at least ${shortOf(atLeast)}`;
    const found = `found ${shortOf(median)} (${shortOf(least)}–${shortOf(most)})`;
    return `${met ? 'Met' : '**Missed**'}: ${side} is ${bound} times ${of}; ${found}.`;
  });
}

/** @param {import('./turns.js').Comparison} comparison @param {readonly Row[]} rows */
export function markdownOf({ unit, timed = true, baseline }, rows) {
  const head = `| | ${unit}${timed ? ' a second' : ''} | of ${baseline} | spread |`;
  const lines = rows.map(({ name, ratio, text }) => {
    const spread = `${shortOf(ratio.least)}–${shortOf(ratio.most)}`;
    return `| ${name} | ${text} | ×${shortOf(ratio.median)} | ${spread} |`;
  });
  return [head, '| --- | ---: | ---: | ---: |', ...lines].join('\n');
}

/** @param {readonly string[]} packages */
export function machine(packages) {
  const [cpu] = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const versions = packages.map((name) => `${name} ${versionOf(name)}`);
  return [
    `- ${new Date().toISOString().slice(0, 10)}, ${platform()} ${arch()}, ${cpus().length} × ${cpu?.model.trim()}, ${memory}`,
    `- Node ${process.versions.node}, V8 ${process.versions.v8}`,
    `- ${versions.join(', ')}`,
  ].join('\n');
}

/** @param {string} name */
function versionOf(name) {
  const file = new URL(`../../node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')).version;
}

/** @param {number} value @param {import('./turns.js').Comparison} comparison */
function textOf(value, { timed = true }) {
  if (!timed) return Math.round(value).toLocaleString('en');
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
  return value >= 1e4 ? `${(value / 1e3).toFixed(1)} k` : Math.round(value).toLocaleString('en');
}

/** @param {number} ratio */
function shortOf(ratio) {
  return ratio >= 100 ? ratio.toFixed(0) : ratio.toPrecision(ratio >= 1 ? 3 : 2);
}
