// Runs the benchmarks, prints their tables, and writes RESULTS.md and its charts: `npm run bench`. `npm run bench -- --quick`
// does the same with fewer rounds, and leaves out what takes minutes; `npm run bench -- sse tickets` runs those alone, and writes nothing.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chart } from './lib/chart.js';
import { goalsOf, machine, markdownOf, rowsOf } from './lib/report.js';
import { takeTurns } from './lib/turns.js';

const all = ['hot-path', 'sse', 'indexeddb', 'local-storage', 'file', 'transact', 'tickets', 'memory', 'sizes'];

const quick = process.argv.includes('--quick');
const named = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const writes = named.length === 0;
const charts = new URL('charts/', import.meta.url);
/** @type {string[]} */
const sections = [];
/** @type {string[]} */
const missed = [];
const started = performance.now();

if (writes) rmSync(charts, { recursive: true, force: true });
for (const name of writes ? all : named) await runFile(name);
const minutes = ((performance.now() - started) / 60_000).toFixed(1);
console.log(`\n${minutes} minutes`);
if (writes) writeResults();

/** @param {string} name */
async function runFile(name) {
  const file = fileURLToPath(new URL(`${name}.js`, import.meta.url));
  /** @type {{ comparisons: import('./lib/turns.js').Comparison[] }} */
  const { comparisons } = await import(file);
  for (const [index, comparison] of comparisons.entries()) {
    if (quick && comparison.inFullOnly) continue;
    const found = await takeTurns(file, index, comparison, quick);
    report(`${name}-${index + 1}`, comparison, found);
  }
}

/** @param {string} id @param {import('./lib/turns.js').Comparison} comparison @param {import('./lib/turns.js').Found} found */
function report(id, comparison, found) {
  const { title, unit, timed = true, note } = comparison;
  const rows = rowsOf(comparison, found);
  const goals = goalsOf(comparison, found.figures);
  const table = markdownOf(comparison, rows);
  console.log(`\n${title}\n${table}${goals.map((goal) => `\n${goal}`).join('')}`);
  if (!writes) return;
  mkdirSync(charts, { recursive: true });
  const counted = `${title}: ${unit}${timed ? ' a second' : ''}`;
  writeFileSync(new URL(`${id}.svg`, charts), chart(counted, rows));
  missed.push(...goals.filter((goal) => goal.startsWith('**')).map((goal) => `${title}: ${goal}`));
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
  const goals = missed.length > 0 ? missed.map((goal) => `- ${goal}`).join('\n') : 'None.';
  const text = `# Benchmarks

Written by \`npm run bench${quick ? ' -- --quick' : ''}\`, which took ${minutes} minutes. The sides of a comparison take turns in one run,
each in a process or a page of its own. A ratio is the median of the ratios of the rounds, beside the least and the most of
them. Only ratios hold on another machine${quick ? ', and the quick form takes few rounds: the spread tells how far to trust it' : ''}.

${machine()}

## Goals that are missed

${goals}

${sections.join('\n\n')}
`;
  writeFileSync(new URL('RESULTS.md', import.meta.url), text);
}
