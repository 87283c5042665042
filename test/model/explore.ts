import type { Budget, State, Step } from './state.ts';
import type { World } from './world.ts';
import { Violation } from './values.ts';

/** What was found by going through all schedules of some programs. */
export interface Explored {
  /** States that differ. */
  readonly states: number;
  /** Steps between them. */
  readonly steps: number;
  /** Schedules, from the start to an end, that lead through them: those with the same steps in the same order are one. */
  readonly schedules: number;
}

/** When to give up: at more states than these, or at a time of `performance.now()`. */
export interface Limit {
  readonly states: number;
  readonly until: number;
}

export class Found extends Error {
  readonly trail: readonly string[];
  constructor(message: string, trail: readonly string[]) {
    super(`${message}\n${trail.map((label, index) => `  ${index + 1}. ${label}`).join('\n')}`);
    this.trail = trail;
  }
}

interface Frame<S> {
  readonly key: string;
  readonly state: State<S>;
  readonly steps: readonly Step<S>[];
  next: number;
  schedules: number;
}

/**
 * Goes through all schedules, depth first. Schedules that lead to the same state have the same future, which is gone through
 * once; their number is still known, since no schedule leads back to where it was.
 * @param isFinal whether nothing may be pending once nothing is left to happen, also where nobody asks for a commit
 * @returns undefined where that is given up
 * @throws Found with the schedule, for the first thing that is not as it has to be
 */
export async function explore<S>(
  world: World<S>,
  budget: Budget,
  isFinal: boolean,
  limit: Limit,
): Promise<Explored | undefined> {
  const known = new Map<string, number>();
  const trail: string[] = [];
  let steps = 0;
  let found: Explored | undefined;
  const frameOf = async (state: State<S>, key: string): Promise<Frame<S>> => {
    const ways = world.steps(state);
    const frame = { key, state, steps: ways, next: 0, schedules: 0 };
    if (ways.some(({ due }) => due)) return frame;
    // What need not happen may not happen: a schedule ends here.
    frame.schedules++;
    world.checkRest(state, isFinal);
    await world.finish(state);
    return frame;
  };
  try {
    const first = world.begin(budget);
    const stack = [await frameOf(first, world.key(first))];
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const step = top.steps[top.next++];
      if (!step) {
        known.set(top.key, top.schedules);
        stack.pop();
        trail.pop();
        found = { states: known.size, steps, schedules: top.schedules };
        add(stack.at(-1), top.schedules);
        continue;
      }
      steps++;
      if (known.size > limit.states || (steps % 256 === 0 && performance.now() > limit.until)) return undefined;
      trail.push(step.label);
      const taken = step.take();
      const state = taken instanceof Promise ? await taken : taken;
      const key = world.key(state);
      const schedules = known.get(key);
      if (schedules === undefined) stack.push(await frameOf(state, key));
      else {
        top.schedules += schedules;
        trail.pop();
      }
    }
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    const { labels = [] } = error as { labels?: readonly string[] };
    throw new Found(error.message, [...trail, ...labels]);
  }
  return found;
}

function add<S>(frame: Frame<S> | undefined, schedules: number): void {
  if (frame) frame.schedules += schedules;
}
