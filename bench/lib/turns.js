// Runs the sides of a comparison in turn: machines differ and are busy, so figures are compared within one run only.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * One way of doing a job. It is called once in a process of its own, and gives a function that does the job once and answers
 * how much that was: operations, or what else the comparison counts.
 * @typedef {(given: any) => Promise<Round> | Round} Side
 * @typedef {() => Promise<number | Answer> | number | Answer} Round
 */

/**
 * What a round answers that takes its time itself, or has more to tell.
 * @typedef {object} Answer
 * @property {number} amount
 * @property {number} [ms] default: as long as the round took
 * @property {Record<string, number>} [also] by name
 */

/**
 * Figures by side, one a round, and what else the rounds told.
 * @typedef {object} Found
 * @property {Record<string, number[]>} figures
 * @property {Record<string, Record<string, number[]>>} also
 * @property {Record<string, string>} failed what a side of others failed with, whose figures are left out
 */

/**
 * @typedef {object} Comparison
 * @property {string} title
 * @property {string} unit what the figures count; where `timed`, for each second
 * @property {boolean} [timed] whether figures are operations a second (the default), or what a round answers itself
 * @property {string} baseline the side that the others are compared with
 * @property {Record<string, Side>} sides
 * @property {readonly Goal[]} [goals]
 * @property {string} [note]
 * @property {number} [rounds] default 7
 * @property {number} [quickRounds] default 3
 * @property {number} [warmUp] rounds before figures count; default 3
 * @property {boolean} [inFullOnly] whether the quick form leaves it out
 * @property {boolean} [alone] whether a side's process ends before the next begins, where one needs much of the machine
 * @property {string[]} [execArgv] options of Node
 * @property {(quick: boolean) => unknown} [given] what every side is called with
 */

/**
 * What is to be reached: a ratio of two sides, or a figure.
 * @typedef {object} Goal
 * @property {string} side
 * @property {string} [of] the other side
 * @property {number} [atLeast]
 * @property {number} [atMost]
 * @property {string} [what] the figure among `also`; default: what the comparison counts
 * @property {string} [why] where the time goes, and how a profile shows it: told where the goal is missed
 */

/** How long a comparison may take before it is given up, in minutes. */
const patience = 6;

/** @typedef {{ readonly median: number, readonly least: number, readonly most: number }} Spread */

/** @param {readonly number[]} values @returns {Spread} */
export function spreadOf(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = NaN, high = NaN] =
    sorted.length % 2 ? [sorted[middle], sorted[middle]] : sorted.slice(middle - 1, middle + 1);
  return { median: (low + high) / 2, least: sorted[0] ?? NaN, most: sorted.at(-1) ?? NaN };
}

/** The ratio of two sides, round by round, as far as both have come. @param {readonly number[]} a @param {readonly number[]} b */
export function ratioOf(a, b) {
  return spreadOf(a.slice(0, b.length).map((value, round) => value / (b[round] ?? NaN)));
}

/**
 * Each side in a process of its own, which stays, so that it is warm; one round of each after the other. The first rounds
 * do not count. Where rounds take long there are fewer of them, so that all comparisons together take their minutes.
 * @param {string} file the module that holds the comparison
 * @param {number} index which of its comparisons
 * @param {Comparison} comparison @param {boolean} quick
 * @returns {Promise<Found>}
 */
export async function takeTurns(file, index, comparison, quick) {
  const { sides, execArgv = [], given, alone } = comparison;
  const input = await given?.(quick);
  const names = Object.keys(sides);
  /** @type {Found} */
  const found = { figures: {}, also: {}, failed: {} };
  try {
    for (const group of alone ? names.map((name) => [name]) : [names]) {
      const processes = group.map((name) => new SideProcess(file, index, name, execArgv));
      try {
        await withinTime(runTogether(processes, comparison, { input, quick, found }));
      } finally {
        await Promise.all(processes.map((side) => side.end()));
      }
    }
    return found;
  } finally {
    if (input && typeof input === 'object' && 'stop' in input && typeof input.stop === 'function') await input.stop();
  }
}

/**
 * @param {SideProcess[]} processes @param {Comparison} comparison
 * @param {{ input: unknown, quick: boolean, found: Found }} run
 */
async function runTogether(
  processes,
  { baseline, rounds = 7, quickRounds = 3, warmUp = 3, timed = true },
  { input, quick, found },
) {
  let left = processes;
  const ask = (/** @type {SideProcess} */ side, /** @type {object} */ message) =>
    side.ask(message).catch((error) => {
      // A peer that fails does not stop the others.
      if (side.name === baseline || side.name.startsWith('tidemark')) throw error;
      found.failed[side.name] = error.message;
      delete found.figures[side.name];
      left = left.filter((other) => other !== side);
    });
  await Promise.all(processes.map((side) => ask(side, { given: input ?? null })));
  const counted = quick ? Math.min(quickRounds, rounds) : rounds;
  const begun = performance.now();
  const isLate = (/** @type {number} */ part) => performance.now() - begun > (quick ? 10_000 : 30_000) * part;
  for (let round = -warmUp; round < counted; round++) {
    // Rounds that take long are fewer, but one counts.
    if (round < 0 && isLate(0.5)) round = 0;
    if (round > 0 && isLate(1)) break;
    for (const side of left) {
      const answer = await ask(side, {});
      if (!answer || round < 0) continue;
      const { amount, ms, also = {} } = answer;
      (found.figures[side.name] ??= []).push(timed ? (amount / ms) * 1000 : amount);
      const others = (found.also[side.name] ??= {});
      for (const [what, value] of Object.entries(also)) (others[what] ??= []).push(Number(value));
    }
  }
}

/** @template T @param {Promise<T>} work @returns {Promise<T>} */
async function withinTime(work) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${patience} minutes`)), patience * 60_000);
  });
  // What is given up fails later on its own.
  work.catch(() => {});
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
  return work;
}

class SideProcess {
  /** @type {Error | undefined} */
  #died;

  /** @param {string} file @param {number} index @param {string} name @param {string[]} execArgv */
  constructor(file, index, name, execArgv) {
    this.name = name;
    const script = fileURLToPath(new URL('side.js', import.meta.url));
    this.child = fork(script, [file, String(index), name], { execArgv });
    this.ended = new Promise((resolve) => {
      this.child.once('exit', (code, signal) => {
        this.#died = new Error(`the side '${name}' ended with ${signal ?? code}`);
        resolve(undefined);
      });
    });
  }

  /** @param {object} message @returns {Promise<any>} */
  async ask(message) {
    const answered = new Promise((resolve) => this.child.once('message', resolve));
    if (!this.#died) this.child.send(message);
    const answer = await Promise.race([answered, this.ended]);
    if (!answer) throw this.#died;
    if (answer.error !== undefined) throw new Error(`the side '${this.name}' failed: ${answer.error}`);
    return answer;
  }

  async end() {
    this.child.kill();
    await this.ended;
  }
}
