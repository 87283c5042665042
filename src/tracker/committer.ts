import { OffsetError, StorageError, quote } from '../errors.ts';
import type { OffsetStore } from '../store.ts';
import type { Position } from './position.ts';

/** What became of recorded offsets: durable, or void because the source was reset. */
export type CommitOutcome = 'committed' | 'fenced';

/** The part of one store write that concerns one source; all who asked for it share its promise. */
export interface Cycle {
  readonly promise: Promise<CommitOutcome>;
  readonly resolve: (outcome: CommitOutcome) => void;
  readonly reject: (error: unknown) => void;
  readonly life: number;
}

/** What a committer tells of. */
export interface CommitterEvents {
  /** A store write went through; to be called before those who wait are answered. */
  committed(position: Position): void;
  /** The store answered with a checkpoint; joins it. */
  meet(position: Position, checkpoint: Parameters<Position['meet']>[0]): void;
  failed(position: Position, error: unknown, cycle: Cycle): void;
}

/**
 * Single-flight group commit: while one store write is under way, all that is asked for meanwhile, for any source, goes
 * into the next one, the latest offset each.
 */
export class Committer {
  readonly #store: OffsetStore;
  readonly #events: CommitterEvents;
  readonly #now: () => number;
  #asked = new Map<Position, Cycle>();
  #chain: Promise<unknown> | undefined;

  constructor(store: OffsetStore, events: CommitterEvents, now: () => number) {
    this.#store = store;
    this.#events = events;
    this.#now = now;
  }

  /** Asks for a commit of what is recorded now. */
  ask(position: Position): Promise<CommitOutcome> {
    position.unasked = 0;
    let { cycle } = position;
    if (cycle === undefined) {
      position.cycle = cycle = newCycle(position.life);
      if (this.#asked.size === 0) void this.alone(() => this.#write());
      this.#asked.set(position, cycle);
    }
    return cycle.promise;
  }

  /** Runs something with no commit under way. */
  alone<T>(run: () => Promise<T>): Promise<T> {
    const turn = Promise.resolve(this.#chain).then(run);
    this.#chain = turn.catch(() => {});
    return turn;
  }

  async #write(): Promise<void> {
    const asked = this.#asked;
    this.#asked = new Map();
    for (const position of asked.keys()) position.cycle = undefined;
    await Promise.all([...asked].map(([position, cycle]) => this.#learn(position, cycle)));
    const batch = new Map();
    const writing = new Map<string, [Position, Cycle]>();
    for (const [position, cycle] of asked) {
      if (position.life !== cycle.life) cycle.resolve('fenced');
      else if (!position.pending) cycle.resolve('committed');
      else if (position.known) {
        batch.set(position.source, position.checkpoint(this.#now()));
        writing.set(position.source, [position, cycle]);
      }
    }
    while (batch.size > 0) {
      try {
        const stands = await this.#store.commit(batch);
        for (const [source, [position, cycle]] of writing) this.#settle(position, cycle, stands.get(source));
        return;
      } catch (error) {
        // A record that one source cannot write must not hold up all others.
        const only = error instanceof OffsetError && error.source !== undefined && writing.has(error.source);
        for (const source of only ? [error.source] : [...writing.keys()]) {
          const failed = writing.get(source);
          if (failed) this.#events.failed(failed[0], error, failed[1]);
          writing.delete(source);
          batch.delete(source);
        }
      }
    }
  }

  /** A tracker that does not know a source yet goes on in the stored epoch from the stored rank. */
  async #learn(position: Position, cycle: Cycle): Promise<void> {
    if (position.known) return;
    try {
      position.learn(await this.#store.get(position.source));
    } catch (error) {
      this.#events.failed(position, error, cycle);
    }
  }

  #settle(position: Position, cycle: Cycle, stands: Parameters<Position['meet']>[0] | undefined): void {
    if (stands === undefined) {
      const source = position.source;
      const error = new StorageError(`the store's commit answered nothing for ${quote(source)}`, { source });
      this.#events.failed(position, error, cycle);
      return;
    }
    this.#events.meet(position, stands);
    if (position.life !== cycle.life) return cycle.resolve('fenced');
    position.lastError = undefined;
    this.#events.committed(position);
    cycle.resolve('committed');
  }
}

function newCycle(life: number): Cycle {
  let settle: Pick<Cycle, 'resolve' | 'reject'> | undefined;
  const promise = new Promise<CommitOutcome>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, life, resolve: (outcome) => settle?.resolve(outcome), reject: (error) => settle?.reject(error) };
}
