import type { Checkpoint } from '../../src/index.ts';
import type { Ghost } from './ghost.ts';
import type { Operation } from './steps.ts';
import type { Stage } from './storage.ts';
import type { Answer, Call } from './store.ts';
import type { Node } from './tree.ts';

/** What a tab does, in order; 'crash' ends it, and somebody opens it again. */
export type Program = readonly (Operation | 'crash')[];

/** How often what is not expected happens in a schedule, at most. */
export interface Budget {
  /** Calls of the store that fail. */
  readonly failures: number;
  /** Messages that are heard, early or late; all others never come. */
  readonly messages: number;
  /** How many of them come once more. */
  readonly repeats: number;
}

/** A call of a storage that is under way. */
export interface Pending {
  readonly id: number;
  readonly seat: string;
  readonly call: Call;
  /** The call as text, for a tab that is gone, and of which nobody knows any more what it asked for. */
  readonly text: string;
  readonly stage: Stage | undefined;
  readonly answer: Answer | undefined;
  readonly told: Checkpoint | undefined;
}

/** A tab, and what is on its way to it. */
export interface Seat {
  readonly node: Node;
  readonly life: number;
  /** How much of its program is done. */
  readonly done: number;
  readonly away: boolean;
  readonly calls: readonly Pending[];
  readonly messages: ReadonlyMap<string, Checkpoint>;
  /** What stood when it asked where to begin. */
  readonly floors: readonly (Checkpoint | undefined)[];
}

export interface State<S> {
  readonly seats: readonly Seat[];
  readonly stored: S;
  /** What tabs that crashed had asked for: it may still take effect. */
  readonly orphans: readonly Pending[];
  readonly ghost: Ghost;
  readonly budget: Budget;
}

export interface Step<S> {
  readonly label: string;
  /** Whether it has to happen some time. */
  readonly due: boolean;
  readonly take: () => State<S> | Promise<State<S>>;
}
