// Runs the sides of a comparison in turn: machines differ and are busy, so figures are compared within one run only.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * One way of doing a job. It is called once in a process of its own, and gives a function that does the job once and answers
 * how much that was: operations, or what else the comparison counts.
 * @typedef {(given: any) => Promise<Round> | Round} Side
 * @typedef {() => Promise<number> | number} Round
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
 * @property {string[]} [execArgv] options of Node
 * @property {(quick: boolean) => unknown} [given] what every side is called with
 */

/**
 * A ratio of two sides that is to be reached.
 * @typedef {object} Goal
 * @property {string} side
 * @property {string} of the other side
 * @property {number} [atLeast]
 * @property {number} [atMost]
 */

/** Rounds before figures count. */
const warmUp = 3;

/** @typedef {{ readonly median: number, readonly least: number, readonly most: number }} Spread */

/** @param {readonly number[]} values @returns {Spread} */
export function spreadOf(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = NaN, high = NaN] =
    sorted.length % 2 ? [sorted[middle], sorted[middle]] : sorted.slice(middle - 1, middle + 1);
  return { median: (low + high) / 2, least: sorted[0] ?? NaN, most: sorted.at(-1) ?? NaN };
}

/** The ratio of two sides, round by round. @param {readonly number[]} a @param {readonly number[]} b */
export function ratioOf(a, b) {
  return spreadOf(a.map((value, round) => value / (b[round] ?? NaN)));
}

/**
 * Each side in a process of its own, which stays, so that it is warm; one round of each after the other. The first rounds
 * do not count.
 * @param {string} file the module that holds the comparison
 * @param {number} index which of its comparisons
 * @param {Comparison} comparison @param {boolean} quick
 * @returns {Promise<Record<string, number[]>>} figures by side, one a round
 */
export async function takeTurns(file, index, { sides, rounds = 7, execArgv = [], timed = true, given }, quick) {
  const input = await given?.(quick);
  const names = Object.keys(sides);
  const processes = names.map((name) => new SideProcess(file, index, name, execArgv));
  try {
    for (const side of processes) await side.ask({ given: input });
    /** @type {Record<string, number[]>} */
    const figures = Object.fromEntries(names.map((name) => [name, []]));
    const turns = Array.from({ length: warmUp + (quick ? 3 : rounds) }, () => processes).flat();
    for (const side of turns) {
      const { amount, ms } = await side.ask({});
      figures[side.name]?.push(timed ? (amount / ms) * 1000 : amount);
    }
    for (const values of Object.values(figures)) values.splice(0, warmUp);
    return figures;
  } finally {
    for (const side of processes) side.end();
    if (input && typeof input === 'object' && 'stop' in input && typeof input.stop === 'function') input.stop();
  }
}

class SideProcess {
  /** @param {string} file @param {number} index @param {string} name @param {string[]} execArgv */
  constructor(file, index, name, execArgv) {
    this.name = name;
    const script = fileURLToPath(new URL('side.js', import.meta.url));
    this.child = fork(script, [file, String(index), name], { execArgv });
  }

  /** @param {object} message @returns {Promise<any>} */
  ask(message) {
    return new Promise((resolve, reject) => {
      const died = () => reject(new Error(`the side '${this.name}' died`));
      this.child.once('exit', died);
      this.child.once('message', (answer) => {
        this.child.off('exit', died);
        resolve(answer);
      });
      this.child.send(message);
    });
  }

  end() {
    this.child.kill();
  }
}
