/**
 * - 'starting': the store has not said yet in which epoch the source is. Only the tracker's own standing reading is seen in
 *   this state; `tracker.read` answers when it is over.
 * - 'live': what is recorded counts.
 * - 'fenced': the source is in another epoch. Nothing that is recorded counts any more, for ever.
 * - 'closed': the reading was closed, or its tracker was.
 */
export type ReadingState = 'starting' | 'live' | 'fenced' | 'closed';

/** What can happen to a reading. */
export type ReadingEvent =
  | 'record'
  | 'begin'
  | 'done'
  | 'transact'
  | 'commit'
  | 'reset'
  | 'fence'
  | 'remote commit'
  | 'close'
  | 'store failure';

/** What it answers: an outcome, a rejection by its code, or for what happens elsewhere 'told' (its signal is aborted). */
export type ReadingAnswer = 'pending' | 'committed' | 'applied' | 'fenced' | 'none' | 'ticket' | 'void ticket' | 'closed' | 'ended' | 'rejected' | 'told' | 'unmoved'; // prettier-ignore

/**
 * Every state and event, what is answered, and the state after it; under the strategy 'manual', with nothing pending
 * before. A test drives a reading through all of them, so that a combination that is forgotten here does not compile, and
 * one that the code treats otherwise fails.
 */
export const transitions: Readonly<
  Record<ReadingState, Readonly<Record<ReadingEvent, readonly [answer: ReadingAnswer, next: ReadingState]>>>
> = {
  starting: {
    // Accepted for now; the answer comes once the epoch is known.
    record: ['pending', 'live'],
    begin: ['ticket', 'live'],
    done: ['pending', 'live'],
    transact: ['applied', 'live'],
    commit: ['committed', 'live'],
    reset: ['told', 'fenced'],
    // It moves nothing, and the store has not said yet in which epoch the source is.
    fence: ['unmoved', 'live'],
    'remote commit': ['unmoved', 'live'],
    close: ['ended', 'closed'],
    'store failure': ['rejected', 'starting'],
  },
  live: {
    record: ['pending', 'live'],
    begin: ['ticket', 'live'],
    done: ['pending', 'live'],
    transact: ['applied', 'live'],
    commit: ['none', 'live'],
    reset: ['told', 'fenced'],
    fence: ['told', 'fenced'],
    'remote commit': ['unmoved', 'live'],
    close: ['ended', 'closed'],
    'store failure': ['rejected', 'live'],
  },
  fenced: {
    record: ['fenced', 'fenced'],
    begin: ['void ticket', 'fenced'],
    done: ['fenced', 'fenced'],
    transact: ['fenced', 'fenced'],
    commit: ['fenced', 'fenced'],
    reset: ['unmoved', 'fenced'],
    fence: ['unmoved', 'fenced'],
    'remote commit': ['unmoved', 'fenced'],
    close: ['ended', 'fenced'],
    'store failure': ['fenced', 'fenced'],
  },
  closed: {
    record: ['closed', 'closed'],
    begin: ['closed', 'closed'],
    done: ['closed', 'closed'],
    transact: ['closed', 'closed'],
    commit: ['closed', 'closed'],
    reset: ['unmoved', 'closed'],
    fence: ['unmoved', 'closed'],
    'remote commit': ['unmoved', 'closed'],
    close: ['ended', 'closed'],
    'store failure': ['closed', 'closed'],
  },
};
