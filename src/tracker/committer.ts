import type { Checkpoint } from '../checkpoint.ts';
import { OffsetError, StorageError, quote } from '../errors.ts';
import { Cycle } from './cycle.ts';
import type { Position } from './position.ts';
import type { Rules } from './rules.ts';
import type { CommitOutcome } from './types.ts';

/**
 * Single-flight group commit: while one store write is under way, all that is asked for meanwhile, for any source, goes
 * into the next one, the latest offset each.
 */
export class Committer {
  readonly #rules: Rules;
  readonly #failed: (position: Position, error: unknown, cycle: Cycle) => void;
  #asked = new Map<Position, Cycle>();
  #chain: Promise<unknown> | undefined;

  /** @param failed is to reject the cycle */
  constructor(rules: Rules, failed: (position: Position, error: unknown, cycle: Cycle) => void) {
    this.#rules = rules;
    this.#failed = failed;
  }

  /** Asks for a commit of what is recorded now. */
  ask(position: Position): Promise<CommitOutcome> {
    position.unasked = 0;
    clearTimeout(position.timer);
    position.timer = undefined;
    let { cycle } = position;
    if (cycle === undefined) {
      position.cycle = cycle = new Cycle(position.life);
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
    const jobs = new Map([...asked].filter(([{ known }]) => known).map((job) => [job[0].source, job]));
    while (jobs.size > 0) await this.#commit(jobs);
  }

  /** Writes and settles all jobs, or takes those out that cannot be written, so that they do not hold up the others. */
  async #commit(jobs: Map<string, readonly [Position, Cycle]>): Promise<void> {
    try {
      const batch = new Map<string, Checkpoint>();
      for (const [source, [position, cycle]] of jobs) {
        if (position.life === cycle.life && position.pending) batch.set(source, position.checkpoint(this.#rules.now()));
        else this.#settle(jobs, position, cycle);
      }
      if (batch.size === 0) return;
      // What a store that has to wait before it writes puts in the place of what it was asked.
      const newest = (source: string): Checkpoint | undefined => {
        const [position, cycle] = jobs.get(source) ?? [];
        const isStill = position !== undefined && position.life === cycle?.life && position.pending;
        return isStill ? position.checkpoint(this.#rules.now()) : undefined;
      };
      const stands = await this.#rules.store.commit(batch, newest);
      for (const [source, [position, cycle]] of jobs) {
        this.#meet(position, cycle, stands.get(source));
        this.#settle(jobs, position, cycle);
      }
    } catch (error) {
      const guilty = error instanceof OffsetError && jobs.get(error.source ?? '');
      for (const [position, cycle] of guilty ? [guilty] : jobs.values()) {
        jobs.delete(position.source);
        this.#failed(position, error, cycle);
      }
    }
  }

  #settle(jobs: Map<string, unknown>, position: Position, cycle: Cycle): void {
    cycle.resolve(position.life === cycle.life ? 'committed' : 'fenced');
    jobs.delete(position.source);
  }

  /** A tracker that does not know a source yet goes on in the stored epoch from the stored rank. */
  async #learn(position: Position, cycle: Cycle): Promise<void> {
    if (position.known) return;
    try {
      position.learn(await this.#rules.store.get(position.source));
    } catch (error) {
      this.#failed(position, error, cycle);
    }
  }

  #meet(position: Position, cycle: Cycle, stands: Checkpoint | undefined): void {
    const { source } = position;
    if (stands === undefined) throw new StorageError(`the store did not answer for ${quote(source)}`, { source });
    position.lastError = undefined;
    position.meet(stands, 'local');
    if (position.life === cycle.life) position.tell('committed', 'local');
  }
}
