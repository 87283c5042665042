// Runs the benchmarks, prints their tables, and writes RESULTS.md and its charts: `npm run bench`. `npm run bench -- --quick`
// takes fewer rounds and writes nothing; `npm run bench -- sse tickets` runs those alone, and writes nothing either.
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chart } from './lib/chart.js';
import { goalsOf, machine, markdownOf, rowsOf } from './lib/report.js';
import { takeTurns } from './lib/turns.js';

const all = ['hot-path', 'sse', 'tickets', 'sizes'];
const peers = ['eventsource', 'eventsource-client', '@microsoft/fetch-event-source', 'eventsource-parser'];

const quick = process.argv.includes('--quick');
const named = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
/** @type {string[]} */
const sections = [];
/** @type {string[]} */
const missed = [];

for (const name of named.length > 0 ? named : all) await runFile(name);
if (named.length === 0 && !quick) writeResults();

/** @param {string} name */
async function runFile(name) {
  const file = fileURLToPath(new URL(`${name}.js`, import.meta.url));
  /** @type {{ comparisons: import('./lib/turns.js').Comparison[] }} */
  const { comparisons } = await import(file);
  for (const [index, comparison] of comparisons.entries()) {
    const figures = await takeTurns(file, index, comparison, quick);
    report(`${name}-${index + 1}`, comparison, figures);
  }
}

/** @param {string} id @param {import('./lib/turns.js').Comparison} comparison @param {Record<string, number[]>} figures */
function report(id, comparison, figures) {
  const { title, unit, timed = true, note } = comparison;
  const rows = rowsOf(comparison, figures);
  const goals = goalsOf(comparison, figures);
  const table = markdownOf(comparison, rows);
  console.log(`\n${title}\n${table}${goals.map((goal) => `\n${goal}`).join('')}`);
  if (named.length > 0 || quick) return;
  mkdirSync(new URL('charts/', import.meta.url), { recursive: true });
  const counted = `${title}: ${unit}${timed ? ' a second' : ''}`;
  writeFileSync(new URL(`charts/${id}.svg`, import.meta.url), chart(counted, rows));
  missed.push(...goals.filter((goal) => goal.startsWith('**')));
  const texts = [
    `## ${title}`,
    note,
    table,
    goals.map((goal) => `- ${goal}`).join('\n'),
    `![${counted}](charts/${id}.svg)`,
  ];
  sections.push(texts.filter(Boolean).join('\n\n'));
}

function writeResults() {
  const text = `# Benchmarks

Written by \`npm run bench\`. The sides of a comparison take turns in one run, each in a process of its own. A ratio is the
median of the ratios of the rounds, beside the least and the most of them; only ratios hold on another machine.

${machine(peers)}

${missed.length > 0 ? `## Goals that are missed\n\n${missed.map((goal) => `- ${goal}`).join('\n')}\n\n` : ''}${sections.join('\n\n')}
`;
  writeFileSync(new URL('RESULTS.md', import.meta.url), text);
}
