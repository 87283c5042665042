import type { Checkpoint, Strategy } from '../../src/index.ts';
import type { Answer, Call } from './store.ts';
import type { Feed } from './values.ts';

/** What an application does in a tab. */
export type Operation =
  | 'read'
  /** Reads and fences whoever read before. */
  | 'fence'
  | 'record'
  | 'begin'
  /** The oldest ticket is done; the newest. */
  | 'done'
  | 'last'
  | 'commit'
  /** To the first event, and to the start. */
  | 'reset'
  | 'clear'
  /** Applies the effect of the next event; of the next two. */
  | 'apply'
  | 'both'
  | 'hide'
  | 'wake'
  /** What waits for the store for too long gives it up. */
  | 'tire'
  | 'close';

/** What comes from outside. */
export type Input =
  | { readonly type: 'operation'; readonly operation: Operation }
  | { readonly type: 'answer'; readonly call: number; readonly answer: Answer }
  | { readonly type: 'message'; readonly checkpoint: Checkpoint }
  | { readonly type: 'timer' };

/** What a tab does to the outside, or claims about it. */
export type Output =
  | { readonly type: 'call'; readonly id: number; readonly call: Call }
  /** It saved something as it went away. */
  | { readonly type: 'saved'; readonly checkpoint: Checkpoint }
  | { readonly type: 'away'; readonly away: boolean }
  /** It asks where to begin, and begins there: at what the store held when it asked, or later. */
  | { readonly type: 'asks' }
  | {
      readonly type: 'starts';
      /** Whether it asked, and does not go on after an own reset. */
      readonly asked: boolean;
      readonly epoch: number;
      readonly place: number;
      /** What this tab had recorded when it asked. */
      readonly own: View['owed'];
    }
  | { readonly type: 'processed'; readonly epoch: number; readonly place: number }
  /** It was told that this is durable. */
  | { readonly type: 'told'; readonly epoch: number; readonly place: number; readonly why: string }
  /** It has saved this, where nothing has made it void. */
  | { readonly type: 'safe'; readonly epoch: number; readonly place: number }
  | { readonly type: 'wrong'; readonly what: string };

/** What can be seen of a tab from outside. */
export interface View {
  readonly can: ReadonlySet<Operation>;
  /** Whether a timer will come. */
  readonly armed: boolean;
  /** What its tracker owes to the store; undefined: nothing. */
  readonly owed: { readonly epoch: number; readonly place: number } | undefined;
  /** What has been promised and has not come. */
  readonly unsettled: readonly string[];
  readonly pending: boolean;
  /** Whether a call to the tracker that changes where it reads has not come back. */
  readonly busy: boolean;
}

export interface Setup {
  readonly strategy: Strategy;
  readonly feed: Feed;
  readonly begins: boolean;
  readonly transacts: boolean;
  readonly isEventual: boolean;
  readonly saves: boolean;
  readonly passing: boolean;
}
