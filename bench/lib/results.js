// RESULTS.md and its charts. They are written after each comparison, so that a run that is stopped leaves what it has found.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chart } from './chart.js';
import { goalTable, goalsOf, machine, markdownOf, rowsOf } from './report.js';

export class Results {
  #started = performance.now();
  /** @type {string[]} */
  #sections = [];
  /** @type {string[]} */
  #failures = [];
  /** @type {import('./report.js').Verdict[]} */
  #verdicts = [];

  /** @param {string | undefined} folder where to write; undefined: only print @param {boolean} quick */
  constructor(folder, quick) {
    this.folder = folder;
    this.quick = quick;
    if (folder !== undefined) rmSync(join(folder, 'charts'), { recursive: true, force: true });
  }

  get minutes() {
    return ((performance.now() - this.#started) / 60_000).toFixed(1);
  }

  get failed() {
    return this.#failures.length > 0;
  }

  /** @param {string} id @param {import('./turns.js').Comparison} comparison @param {import('./turns.js').Found} found */
  add(id, comparison, found) {
    const { title, unit, timed = true, note } = comparison;
    const rows = rowsOf(comparison, found);
    const verdicts = goalsOf(comparison, found);
    const table = markdownOf(comparison, rows);
    const remarks = verdicts.map(
      ({ met, ours, found: what, goal, why }) =>
        `- ${met ? 'Met' : '**Missed**'}: ${ours}; ${what}, ${goal} is the goal.${why ? ` ${why}` : ''}`,
    );
    remarks.push(
      ...Object.entries(found.failed).map(([side, message]) => `- Left out: ${side}, ${firstLine(message)}`),
    );
    this.#verdicts.push(...verdicts);
    console.log(`\n${title}\n${table}${remarks.map((remark) => `\n${remark}`).join('')}`);
    const counted = `${title}: ${unit}${timed ? ' a second' : ''}`;
    const picture = `![${counted}](charts/${id}.svg)`;
    this.#sections.push([`## ${title}`, note, table, remarks.join('\n'), picture].filter(Boolean).join('\n\n'));
    if (this.folder === undefined) return;
    mkdirSync(join(this.folder, 'charts'), { recursive: true });
    writeFileSync(join(this.folder, 'charts', `${id}.svg`), chart(counted, rows));
    this.write();
  }

  /** @param {string} title of what could not be measured @param {unknown} error */
  fail(title, error) {
    console.error(`\n${title}: ${error instanceof Error ? error.stack : error}`);
    this.#failures.push(`- ${title}: ${firstLine(error instanceof Error ? error.message : String(error))}`);
    this.write();
  }

  /** @param {boolean} [complete] */
  write(complete = false) {
    if (this.folder === undefined) return;
    const missed = this.#verdicts.filter(({ met }) => !met);
    const because = missed.map(({ what, ours, why }) => `- ${what}, ${ours}: ${why ?? 'the cause is not known yet.'}`);
    const took = complete
      ? `took ${this.minutes} minutes`
      : `had run for ${this.minutes} minutes and was not yet at its end`;
    const [width, few] = this.quick
      ? [' -- --quick', ', and the quick form takes few rounds: the spread tells how far to trust it']
      : ['', ''];
    const intro = `Written by \`npm run bench${width}\`, which ${took}. The sides of a comparison take turns in one run,
each in a process or a browser of its own. A ratio is the median of the ratios of the rounds, beside the least and the most of
them. Only ratios hold on another machine${few}.`;
    const parts = [
      '# Benchmarks',
      intro,
      machine(),
      ...(this.failed ? ['## Not measured', this.#failures.join('\n')] : []),
      '## Goals',
      goalTable(this.#verdicts),
      '### Why goals are missed',
      because.join('\n') || 'None is missed.',
      ...this.#sections,
    ];
    writeFileSync(join(this.folder, 'RESULTS.md'), `${parts.join('\n\n')}\n`);
  }
}

/** @param {string} message */
function firstLine(message) {
  const [line = ''] = message.split('\n');
  // No path of this machine is anybody's business.
  return line.replaceAll(/\S*\/\S*/g, '…');
}
