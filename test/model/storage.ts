import { type Checkpoint, join } from '../../src/index.ts';
import { beginEpoch, compareChange } from '../../src/checkpoint.ts';
import type { Answer, Call } from './store.ts';
import { type Feed, keyOf, source } from './values.ts';

/** One way in which a call may take effect. */
export interface Effect<S> {
  /** Shown where there are several. */
  readonly label?: string;
  readonly state: S;
  /** Undefined where the call goes on with its next stage. */
  readonly answer?: Answer | undefined;
  /** What other tabs are told of once the call is answered. */
  readonly told?: Checkpoint | undefined;
  readonly stage?: Stage | undefined;
  /** What was written, where that is not what stands. */
  readonly wrote?: Checkpoint | undefined;
}

/** How far a call has come that takes effect in several steps. */
export interface Stage {
  readonly key: string;
}

/** What a storage can do, step by step. Its states are values: nothing in them ever changes. */
export interface Storage<S> {
  readonly name: string;
  readonly begins: boolean;
  readonly transacts: boolean;
  readonly isEventual: boolean;
  /** Whether a page that goes away can save something. */
  readonly saves: boolean;
  readonly initial: S;
  key(state: S): string;
  /** What stands for somebody who sees everything that will not be lost. */
  stands(state: S): Checkpoint | undefined;
  /** The ways in which the next step of a call may go. @param seat which tab calls, and in which of its lives */
  effects(state: S, call: Call, seat: string, stage: Stage | undefined): readonly Effect<S>[];
  /** What a page saves as it goes away. */
  save(state: S, checkpoint: Checkpoint, seat: string): S;
  /** What may happen by itself. */
  changes(state: S): readonly { readonly label: string; readonly state: S }[];
}

/** What a storage with transactions holds: what stands, and what pages left and nobody has folded yet. */
export interface Records {
  readonly stored: Checkpoint | undefined;
  readonly slots: readonly Checkpoint[];
}

/**
 * As IndexedDB: a call is one transaction, which joins. What pages saved as they went away lies in slots of its own; a read
 * and the beginning of an epoch join it, a commit does not, and it is folded at any later time.
 * @param begins whether it begins an epoch by itself
 */
export function records(feed: Feed, begins: boolean, transacts: boolean): Storage<Records> {
  const joined = ({ stored, slots }: Records): Checkpoint | undefined =>
    slots.reduce<Checkpoint | undefined>((found, slot) => join(found, slot, source), stored);
  return {
    name: `records${begins ? '' : ' without begin'}${transacts ? ' with effects' : ''}`,
    begins,
    transacts,
    isEventual: false,
    saves: true,
    initial: { stored: undefined, slots: [] },
    key: ({ stored, slots }) => [stored, ...slots].map((each) => keyOf(each, feed)).join(),
    stands: joined,
    effects(state, call) {
      switch (call.type) {
        case 'get':
          return [{ state, answer: { type: 'stands', checkpoint: joined(state) } }];
        case 'commit': {
          const stands = join(state.stored, call.checkpoint, source);
          const told = stands === state.stored ? undefined : stands;
          return [{ state: { ...state, stored: stands }, answer: { type: 'stands', checkpoint: stands }, told }];
        }
        case 'begin': {
          const begun = begin(joined(state), call);
          return [{ state: { stored: begun, slots: [] }, answer: { type: 'stands', checkpoint: begun }, told: begun }];
        }
        case 'transact': {
          const { change } = call;
          const outcome = compareChange(joined(state), change, source);
          if (outcome !== 'applied')
            return [{ state, answer: { type: 'result', result: { outcome, stands: joined(state) } } }];
          const { next } = change;
          const answer = { type: 'result', result: { outcome, stands: next } } as const;
          return [{ state: { stored: next, slots: [] }, answer, told: next }];
        }
      }
    },
    save: (state, checkpoint) => ({ ...state, slots: [...state.slots, checkpoint] }),
    changes: ({ stored, slots: [first, ...slots] }) =>
      first ? [{ label: 'a slot is folded', state: { stored: join(stored, first, source), slots } }] : [],
  };
}

/** A new epoch upon what stands, with the luck of whoever begins it. */
export function begin(stands: Checkpoint | undefined, { at, luck }: Extract<Call, { type: 'begin' }>): Checkpoint {
  const { random } = Math;
  Math.random = () => luck;
  try {
    return beginEpoch(stands, at, 0);
  } finally {
    Math.random = random;
  }
}
