/*
 * The model check goes through every schedule of small programs: tabs that read one source, record, begin and finish
 * tickets, commit, apply effects, fence, reset, clear, go away and come back, and crash, over one storage. The trackers are
 * the real ones, and so are the order of checkpoints and the beginning of epochs. Nothing happens by itself: each effect of a
 * call of the storage, each answer, message, timer and operation is a step, and all microtasks run between two steps.
 *
 * What is covered
 * - Storages: `records` as IndexedDB, with and without `begin`, and with effects; `slots` as localStorage; `versions` as
 *   Workers KV; `journal` as the file, whose lines are written and read by the real code. The real store over localStorage
 *   is gone through by itself, see local-storage.ts.
 * - What goes wrong: a call fails before it takes effect or after, or is given up after 15 s and takes effect later; a message comes late, never or twice; a tab crashes, and
 *   what it had asked for takes effect, or not; a slot is folded, a file is replaced; of two that begin an epoch at the same
 *   moment, either is the higher. How often is the plan's budget.
 * - Strategies: auto, every second record, manual with failures that do not pass. Sequences and opaque cursors.
 *
 * What has to hold
 * - Nothing is committed that was not processed in its epoch, so no event is skipped, and a reset's events are processed.
 * - Nothing that stands goes back or is lost, and a fence moves nothing.
 * - Whoever is told 'committed', or has saved something as its page went away, can rely on it, then and later.
 * - Reading starts where the store stands, and does not repeat what this tab has recorded.
 * - What is void is told so. No promise hangs. No other error comes than the store's own.
 * - In the end everything is committed: under auto by itself, else by `close`.
 * - An effect is applied onto the place after which it begins: each event once an epoch.
 * Over `versions` a read may be old. There 'committed' means that it was put, a reading may start further back, and of two
 * writers the last may put less, which is promised to nobody; one writer alone never puts less than before.
 *
 * What is the same is gone through once
 * - What a tab does depends on its own inputs alone: the tracker runs once for each sequence of inputs, see tree.ts.
 * - Schedules that lead to the same state go on alike, see explore.ts. Their number is known all the same, and printed.
 * - A step that touches one tab alone, and is all that this tab can do, is not put off, see `isApart` in world.ts.
 * - Tabs that could change places do so in the luck of their epochs only.
 *
 * What is not covered: several sources in one commit, `clearAll`, records without a read, heartbeats, feed ids, closed
 * readings, a store's `compare`, `resume` and `view`; how the real stores come by the atomicity that is assumed here, which
 * their own tests and the crash tests show; a message that overtakes the answer it is about. Longer
 * schedules, drawn at random, with several sources: test/unit/tracker/model.test.ts.
 */
import { mulberry32 } from '../random.ts';
import { type Explored, Found, explore } from './explore.ts';
import { type Plan, plans } from './plans.ts';
import { type Case, casesOf, enumerate, sample } from './programs.ts';
import { Tree } from './tree.ts';
import type { Budget } from './state.ts';
import { World } from './world.ts';

/** How far to go. */
export interface Bound {
  /** Operations of all tabs together, in programs of which every one is tried. */
  readonly operations: number;
  /** How many programs of eight operations are drawn beside them, for each plan and each of two and three tabs. */
  readonly samples: number;
  /** A drawn program with more states than these is given up, and counted as such. */
  readonly states: number;
  /** Goes through the plan of this name, or those alone whose names have it in them. */
  readonly plan?: string;
  /** Goes through no more programs of a plan after as many ms. */
  readonly ms?: number;
}

export interface Tally {
  programs: number;
  /** States that differ, and steps between them. */
  states: number;
  steps: number;
  schedules: number;
  /** Steps that the real tracker was run for. */
  runs: number;
  givenUp: number;
}

/**
 * Goes through all plans.
 * @param say told of each plan, and of all together
 * @throws Found with the schedule, for the first thing that is not as it has to be
 */
export async function check(bound: Bound, say: (line: string) => void): Promise<Tally> {
  const all: Tally = { programs: 0, states: 0, steps: 0, schedules: 0, runs: 0, givenUp: 0 };
  const exact = plans.filter(({ name }) => name === bound.plan);
  for (const plan of exact.length > 0 ? exact : plans.filter(({ name }) => name.includes(bound.plan ?? ''))) {
    const started = performance.now();
    const tally = await run(plan, bound);
    for (const key of Object.keys(all) as (keyof Tally)[]) all[key] += tally[key];
    say(`${plan.name}: ${told(tally)}, ${((performance.now() - started) / 1000).toFixed(1)} s`);
  }
  say(`in all: ${told(all)}`);
  return all;
}

function told({ programs, states, steps, schedules, runs, givenUp }: Tally): string {
  const many = schedules > 1e7 ? schedules.toExponential(2) : String(schedules);
  const left = givenUp > 0 ? `, ${givenUp} given up` : '';
  return `${programs} programs, ${many} schedules (${states} states, ${steps} steps, ${runs} steps of the tracker)${left}`;
}

async function run(plan: Plan, bound: Bound): Promise<Tally> {
  const { feed, strategy, passing, storage } = plan;
  const { begins, transacts, isEventual, saves } = storage;
  const tree = new Tree({ feed, strategy, passing, begins, transacts, isEventual, saves });
  const tally: Tally = { programs: 0, states: 0, steps: 0, schedules: 0, runs: 0, givenUp: 0 };
  const until = performance.now() + (bound.ms ?? Infinity);
  for (const each of casesFor(plan, bound)) {
    if (performance.now() > until) break;
    if (!saves && each.programs.some((program) => program.includes('hide'))) continue;
    tally.programs++;
    for (const budget of plan.budgets) {
      const found = await tryOut(plan, each, budget, tree, until);
      if (!found) tally.givenUp++;
      for (const key of ['states', 'steps', 'schedules'] as const) tally[key] += found?.[key] ?? 0;
    }
  }
  tally.runs = tree.runs;
  return tally;
}

async function tryOut(
  plan: Plan,
  each: Limited,
  budget: Budget,
  tree: Tree,
  until: number,
): Promise<Explored | undefined> {
  const { name, storage, feed, strategy, passing } = plan;
  try {
    const limit = { states: each.limit, until };
    return await explore(new World(each, storage, tree, feed), budget, strategy === 'auto' && passing, limit);
  } catch (error) {
    if (!(error instanceof Found)) throw error;
    const shown = each.programs.map((program) => program.join(' ')).join(' | ');
    error.message = `${name}, ${shown} (${each.salts.join()}): ${error.message}`;
    throw error;
  }
}

type Limited = Case & { readonly limit: number };

function* casesFor({ first, applies }: Plan, { operations, samples, states }: Bound): Generator<Limited> {
  for (const { programs, awaits } of first) {
    for (const each of casesOf(programs, awaits)) yield { ...each, limit: Infinity };
  }
  for (let size = 1; size <= operations; size++) {
    for (let tabs = 1; tabs <= Math.min(3, size); tabs++) {
      // Where nobody waits there are far more schedules.
      const awaits = size === operations && tabs > 1;
      for (const each of enumerate(tabs, size, applies, awaits)) yield { ...each, limit: Infinity };
    }
  }
  const random = mulberry32(1);
  for (const tabs of [2, 3]) {
    for (const each of sample(tabs, 8, applies, samples, random)) yield { ...each, limit: states };
  }
}
