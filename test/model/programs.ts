import type { Operation } from './steps.ts';
import type { Program } from './state.ts';

type Act = Program[number];

/** What may be done in a tab that has begun to read, or apply effects. */
const acts: readonly Act[] = [
  'record',
  'fence',
  'reset',
  'clear',
  'begin',
  'done',
  'last',
  'commit',
  'read',
  'hide',
  'wake',
  'crash',
];
const effectActs: readonly Act[] = ['apply', 'both', 'fence', 'reset', 'clear', 'read', 'hide', 'wake', 'crash'];

/** Begin an epoch: of two that do so at the same moment, either may have the higher one. */
const begins: ReadonlySet<Act> = new Set<Operation>(['fence', 'reset', 'clear']);

/** Programs of some tabs, and which of the tabs draws the higher epochs. */
export interface Case {
  readonly programs: readonly Program[];
  readonly salts: readonly number[];
  /** Whether an application waits for the end of a read or a reset before it goes on. */
  readonly awaits: boolean;
}

/**
 * All programs of tabs that begin by reading, with so many operations in all, tabs that could change places once.
 * @param applies whether events are applied in transactions of the store, and not recorded
 */
export function* enumerate(tabs: number, operations: number, applies: boolean, awaits: boolean): Generator<Case> {
  const bodies = Array.from({ length: operations - tabs + 1 }, (_, length) => [...bodiesOf(length, applies)]);
  for (const programs of pick(tabs, operations - tabs, bodies)) yield* casesOf(programs, awaits);
}

/** The same programs, with either luck where that matters. */
export function* casesOf(programs: readonly Program[], awaits = true): Generator<Case> {
  const salts = [...programs.keys()];
  yield { programs, salts, awaits };
  if (programs.filter((program) => program.some((act) => begins.has(act))).length > 1)
    yield { programs, salts: [...salts].reverse(), awaits };
}

/** As many cases of a size as asked for, by random numbers. */
export function* sample(
  tabs: number,
  operations: number,
  applies: boolean,
  count: number,
  random: () => number,
): Generator<Case> {
  for (let made = 0; made < count;) {
    const programs: Act[][] = Array.from({ length: tabs }, () => ['read']);
    for (let left = operations - tabs; left > 0;) {
      const program = programs[Math.floor(random() * tabs)] ?? [];
      const able = (applies ? effectActs : acts).filter((act) => isAble(program, act));
      const act = able[Math.floor(random() * able.length)];
      if (act) program.push(act);
      left--;
    }
    if (!programs.every(isWhole)) continue;
    const cases = [...casesOf(programs)];
    const found = cases[Math.floor(random() * cases.length)];
    if (found) yield found;
    made++;
  }
}

function* pick(
  tabs: number,
  left: number,
  bodies: readonly (readonly Program[])[],
  most = Infinity,
): Generator<Program[]> {
  if (tabs === 0) {
    if (left === 0) yield [];
    return;
  }
  // The longest first, and of the same length in their order: each set of programs comes once.
  for (let length = Math.min(left, most); length >= 0; length--) {
    for (const body of bodies[length] ?? []) yield* lead(body, pick(tabs - 1, left - length, bodies, length));
  }
}

function* lead(body: Program, all: Iterable<Program[]>): Generator<Program[]> {
  for (const others of all) if (leads(body, others[0])) yield [body, ...others];
}

function leads(body: Program, next: Program | undefined): boolean {
  return next?.length !== body.length || order(body, next) >= 0;
}

function order(a: Program, b: Program): number {
  const [left, right] = [a.join(), b.join()];
  return left === right ? 0 : left < right ? -1 : 1;
}

function* bodiesOf(length: number, applies: boolean, before: readonly Act[] = ['read']): Generator<Program> {
  if (length === 0) {
    if (isWhole(before)) yield before;
    return;
  }
  for (const act of applies ? effectActs : acts) {
    if (isAble(before, act)) yield* bodiesOf(length - 1, applies, [...before, act]);
  }
}

/** Whether an operation makes sense after some others. */
function isAble(before: readonly Act[], act: Act): boolean {
  const last = before.at(-1);
  const life = before.slice(before.lastIndexOf('crash') + 1);
  const reads = life.some((each) => each === 'read' || begins.has(each));
  const open = life.filter((each) => each === 'begin').length - life.filter(isDone).length;
  const isAway = life.lastIndexOf('hide') > life.lastIndexOf('wake');
  switch (act) {
    case 'record':
    case 'begin':
    case 'apply':
    case 'both':
      return reads;
    case 'done':
      return open > 0;
    case 'last':
      return open > 1;
    case 'read':
      return last !== 'read' && last !== 'fence';
    case 'fence':
    case 'commit':
      return last !== act;
    case 'hide':
      return !isAway;
    case 'wake':
      return isAway;
    case 'crash':
      return last !== 'crash';
    default:
      return true;
  }
}

function isDone(act: Act): boolean {
  return act === 'done' || act === 'last';
}

/** Whether a program does not stop where nothing can come of what it did last. */
function isWhole(program: Program): boolean {
  return (
    program.filter((act) => act === 'begin').length <= program.filter(isDone).length + 1 || program.includes('crash')
  );
}
