import type { Strategy } from '../../src/index.ts';
import { journal } from './journal.ts';
import type { Case } from './programs.ts';
import { slots } from './slots.ts';
import { type Storage, records } from './storage.ts';
import { type Feed, numberedFeed, opaqueFeed } from './values.ts';
import { versions } from './versions.ts';
import type { Budget, Program } from './state.ts';

/** What runs over which storage. */
export interface Plan {
  readonly name: string;
  readonly feed: Feed;
  readonly strategy: Strategy;
  readonly storage: Storage<unknown>;
  /** Whether a failure is one that may pass, so that the tracker tries again by itself. */
  readonly passing: boolean;
  /** Whether events are applied in transactions of the store, and not recorded. */
  readonly applies: boolean;
  /** Each program is gone through once with each of them. */
  readonly budgets: readonly Budget[];
  /** Programs that are gone through first, whatever the bound. */
  readonly first: readonly First[];
}

type First = Pick<Case, 'programs' | 'awaits'>;

/** Apart, since what both add to each other takes ten times as long. */
const budgets: readonly Budget[] = [
  { failures: 1, messages: 0, repeats: 0 },
  { failures: 0, messages: 1, repeats: 0 },
];
const calm: readonly Budget[] = [{ failures: 0, messages: 0, repeats: 0 }];
const twice: readonly Budget[] = [...budgets, { failures: 0, messages: 1, repeats: 1 }];

const recording = written(
  'read record fence record',
  'read record | read record',
  'read record fence | read record',
  'read record reset record | read',
  'read begin begin last done | read',
  'read begin fence done record',
  'read reset record | read clear',
  'read record hide | read fence record',
  'read record crash read record | read',
);

const applying = written(
  'read apply | read apply',
  'read both | read apply',
  'read apply fence apply | read apply',
  'read apply reset apply | read apply',
);

const hasty = [
  ...written('read record record tire record', 'read record record tire fence record'),
  ...inHaste('read reset record | read clear'),
];

export const plans: readonly Plan[] = [
  plan(opaqueFeed, 'auto', (feed) => records(feed, true, false), {
    budgets: twice,
    first: [...recording, ...inHaste('reset record | read clear')],
  }),
  plan(numberedFeed, 'auto', (feed) => records(feed, false, false)),
  // Nobody waits for the end of a reset, or waits until a store that hangs is given up: too much for anything else beside it.
  plan(numberedFeed, 'auto', (feed) => records(feed, true, false), { label: 'in haste', budgets: calm, first: hasty }),
  plan(numberedFeed, 'auto', (feed) => records(feed, false, false), { label: 'in haste', budgets: calm, first: hasty }),
  plan(numberedFeed, 'manual', (feed) => records(feed, true, false), { passing: false }),
  plan(opaqueFeed, { every: 2 }, (feed) => records(feed, true, false)),
  plan(numberedFeed, 'auto', (feed) => records(feed, true, true), { applies: true, first: applying }),
  plan(opaqueFeed, 'auto', slots),
  plan(opaqueFeed, 'auto', versions),
  plan(numberedFeed, 'auto', journal),
];

/** Programs of tabs, as a person writes them. */
function written(...all: readonly string[]): First[] {
  const parsed = (text: string): Program[] => text.split(' | ').map((tab) => tab.split(' ') as unknown as Program);
  return all.map((text) => ({ programs: parsed(text), awaits: true }));
}

/** The same, where nobody waits for the end of a read or a reset. */
function inHaste(...all: readonly string[]): First[] {
  return written(...all).map(({ programs }) => ({ programs, awaits: false }));
}

function plan<S>(
  feed: Feed,
  strategy: Strategy,
  make: (feed: Feed) => Storage<S>,
  own: Partial<Plan> & { label?: string } = {},
): Plan {
  // What states are is the storage's own business.
  const storage = make(feed) as unknown as Storage<unknown>;
  const { label, ...rest } = own;
  const shown = typeof strategy === 'string' ? strategy : JSON.stringify(strategy);
  const name = [storage.name, feed.name, shown, ...(label ? [label] : [])].join(', ');
  return { name, feed, strategy, storage, passing: true, applies: false, budgets, first: recording, ...rest };
}
