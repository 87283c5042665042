import type { Checkpoint } from '../checkpoint.ts';
import { OffsetError, StorageError, quote } from '../errors.ts';
import { Cycle } from './cycle.ts';
import { guard } from './listeners.ts';
import type { PageLife } from './page-life.ts';
import type { Position } from './position.ts';
import { Retry } from './retry.ts';
import type { Rules } from './rules.ts';
import { SingleFlight } from './single-flight.ts';
import type { Triggers } from './strategy.ts';
import type { CommitOutcome, RecordOutcome } from './types.ts';

/** Microtasks that a commit waits for at most while each of them brings another record: a loop over what is at hand. */
const gatherTurns = 64;

/** One answer for all, so that a record allocates nothing. */
export const answers = /* @__PURE__ */ (() => ({
  pending: Promise.resolve('pending' as const),
  committed: Promise.resolve('committed' as const),
  fenced: Promise.resolve('fenced' as const),
}))();

type Job = readonly [position: Position, cycle: Cycle];

/** What a committer asks of its tracker. */
export interface CommitterHost {
  readonly onError: ((error: unknown, source?: string) => void) | undefined;
  /** Asks the store for a source that is not known yet. */
  start(position: Position): Promise<void>;
  /** The store failed, or without an error works again. */
  health(error?: unknown): void;
  /** The position may have become idle. */
  released(position: Position): void;
  readonly page: PageLife;
}

/**
 * Decides when to commit, by the strategy, and writes. Single-flight group commit: while one store write is under way, all
 * that is asked for meanwhile, for any source, goes into the next one, the latest offset each. What fails and may pass is
 * tried again with backoff, and shares that try with all that is asked for meanwhile.
 */
export class Committer {
  readonly #rules: Rules;
  readonly #triggers: Triggers;
  readonly #host: CommitterHost;
  readonly #flight: SingleFlight;
  readonly #asked = new Map<Position, Cycle>();
  #writing = false;
  /** Whether the next write waits for records of the same turn; how many have come. */
  #gathering = false;
  #gathered = 0;
  readonly #retry: Retry;
  /** Positions whose last commit failed, to be written at the next try. */
  readonly #owed = new Set<Position>();
  /** Whether all wait for the next try: the last failure was, as far as is known, not one of some sources alone. */
  #isDown = false;
  /** Whether the next write is that try. */
  #tries = false;
  /** What `onError` was called with. */
  readonly #told = new WeakSet<object>();

  constructor(rules: Rules, triggers: Triggers, host: CommitterHost) {
    this.#rules = rules;
    this.#triggers = triggers;
    this.#host = host;
    this.#flight = new SingleFlight();
    this.#retry = new Retry(() => this.#schedule());
  }

  /** Something was recorded: commits it where the strategy says so. @param count of events */
  recorded(position: Position, count: number): Promise<RecordOutcome> {
    if (!position.pending) {
      position.unasked = 0;
      return answers.committed;
    }
    if (this.#host.page.away) this.#host.page.save([position]);
    const { every, intervalMs } = this.#triggers;
    const timed = intervalMs < Infinity;
    if (position.unasked === 0 && timed) position.firstAt = this.#rules.now();
    position.unasked += count;
    if (position.unasked >= every || (timed && this.#rules.now() - position.firstAt >= intervalMs)) {
      return this.ask(position);
    }
    if (timed) this.#arm(position);
    return position.known ? answers.pending : this.#begun(position);
  }

  /** Asks for a commit of what is recorded now. @param atOnce whether a try that waits for its time is made now */
  ask(position: Position, atOnce = false): Promise<CommitOutcome> {
    position.unasked = 0;
    clearTimeout(position.timer);
    position.timer = undefined;
    let { cycle } = position;
    if (cycle === undefined) {
      position.cycle = cycle = new Cycle(position.life);
      this.#asked.set(position, cycle);
    }
    const isHeldUp = this.#isDown || this.#owed.has(position);
    if (!this.#retry.pending || atOnce) this.#schedule();
    else if (isHeldUp) this.#retry.wait();
    else this.#schedule(false);
    return cycle.promise;
  }

  /**
   * With a listener for errors, nobody has to await this: what it rejects with is told, unless a commit that failed has told
   * it, or the caller's signal has ended it.
   */
  watched<T>(source: string, outcome: Promise<T>, signal?: AbortSignal): Promise<T> {
    const { onError } = this.#host;
    if (!onError) return outcome;
    outcome.catch((error: unknown) => {
      if (this.#told.has(Object(error)) || (signal?.aborted && error === signal.reason)) return;
      this.#told.add(Object(error));
      guard(() => onError(error, source));
    });
    return outcome;
  }

  /** Runs something with no commit under way. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    return this.#flight.run(work);
  }

  /** Resolves when all that was asked for before has ended. */
  async settled(): Promise<void> {
    await this.alone(async () => {});
  }

  /**
   * Runs what writes a source by itself, with nothing of it pending. Rejects with what the work, or the store, does.
   * @param failed is told of a failure before whatever comes next is run
   */
  async effect<T>(position: Position, work: () => Promise<T>, failed: (error: unknown) => void): Promise<T> {
    try {
      const result = await this.alone(async () => {
        try {
          if (!position.known) await this.#host.start(position);
          await this.writeNow(position);
          return await work();
        } catch (error) {
          failed(error);
          throw error;
        }
      });
      this.#worked();
      position.worked();
      return result;
    } catch (error) {
      // What an effect fails with is no failure of the store's.
      if (isOfStore(error)) {
        if (mayPass(error) && !position.failsAlone) this.#host.health(error);
        this.#tell(position, error);
        position.failed(error);
      }
      throw error;
    } finally {
      this.#host.released(position);
    }
  }

  /** An effect whose time does not count, as part of `effect`. */
  timed(effect: unknown): unknown {
    return this.#flight.timed(effect);
  }

  /** Commits what is pending for a source, as part of `alone`. Rejects with what the store fails with. */
  async writeNow(position: Position): Promise<void> {
    if (!position.pending) return;
    const stands = await this.#rules.store.commit(new Map([[position.source, position.checkpoint()]]));
    this.#merge(position, stands.get(position.source));
  }

  /** Ends all timers. */
  stop(): void {
    this.#retry.stop();
    this.#owed.clear();
  }

  /** @param tries whether what waits for its next try is part of it */
  #schedule(tries = true): void {
    if (tries) {
      this.#tries = true;
      this.#retry.stop();
    }
    // One that gathers is under way: nobody need watch it.
    if (this.#gathering) return void this.#gathered++;
    if (this.#writing) return this.#flight.watch();
    this.#writing = true;
    const taken: Job[] = [];
    // Rejects only where it was given up.
    this.alone(() => this.#write(taken)).catch((error: unknown) => {
      this.#writing = false;
      this.#failed(taken, error);
    });
  }

  async #write(taken: Job[]): Promise<void> {
    // What is asked for in the same turn is part of it, and what a loop asks for that goes on without a wait.
    this.#gathering = true;
    let before = -1;
    for (let turn = 0; turn < gatherTurns && this.#gathered !== before; turn++) {
      before = this.#gathered;
      await undefined;
    }
    this.#gathering = false;
    if (this.#tries) {
      this.#retry.stop();
      for (const position of this.#owed)
        if (position.pending && !position.cycle) void this.ask(position).catch(() => {});
      this.#owed.clear();
      this.#tries = false;
    }
    for (const job of this.#asked) if (!this.#owed.has(job[0])) taken.push(job);
    for (const [position] of taken) this.#asked.delete(position);
    this.#writing = false;
    for (const [position] of taken) position.cycle = undefined;
    const jobs = new Map<string, Job>();
    const unknown = taken.filter(([{ known }]) => !known);
    if (unknown.length > 0) await Promise.all(unknown.map((job) => this.#start(job)));
    for (const job of taken) if (job[0].known) jobs.set(job[0].source, job);
    while (jobs.size > 0) await this.#commit(jobs);
    for (const [position] of taken) this.#host.released(position);
  }

  /** Writes and settles all jobs, or takes those out that cannot be written, so that they do not hold up the others. */
  async #commit(jobs: Map<string, Job>): Promise<void> {
    try {
      const batch = new Map<string, Checkpoint>();
      for (const [source, job] of jobs) {
        const [position, cycle] = job;
        if (position.life === cycle.life && position.pending) batch.set(source, position.checkpoint());
        else this.#settle(jobs, job, position.life === cycle.life);
      }
      if (batch.size === 0) return;
      // What a store that has to wait before it writes puts in the place of what it was asked.
      const newest = (source: string): Checkpoint | undefined => {
        const [position, cycle] = jobs.get(source) ?? [];
        return position?.pending && position.life === cycle?.life ? position.checkpoint() : undefined;
      };
      const stands = await this.#rules.store.commit(batch, newest);
      this.#worked();
      for (const [source, job] of jobs) {
        const [position, cycle] = job;
        this.#merge(position, stands.get(source));
        // During an own reset, what stands in another epoch is not merged yet.
        const counts = position.life === cycle.life && stands.get(source)?.epoch === batch.get(source)?.epoch;
        if (counts) position.tell('committed', 'local');
        position.worked();
        this.#settle(jobs, job, counts);
      }
    } catch (error) {
      const guilty = error instanceof OffsetError && jobs.get(error.source ?? '');
      const failed = guilty ? [guilty] : [...jobs.values()];
      if (guilty && jobs.size > 1) guilty[0].failsAlone = true;
      for (const [{ source }] of failed) jobs.delete(source);
      this.#failed(failed, error);
    }
  }

  #settle(jobs: Map<string, Job>, [position, cycle]: Job, counts: boolean): void {
    cycle.resolve(counts ? 'committed' : 'fenced');
    jobs.delete(position.source);
  }

  #merge(position: Position, stands: Checkpoint | undefined): void {
    const { source } = position;
    if (stands === undefined) throw new StorageError(`the store did not answer for ${quote(source)}`, { source });
    position.lastError = undefined;
    position.failsAlone = false;
    position.changed();
    try {
      position.checkStands(stands);
    } catch (error) {
      position.drop(stands);
      throw error;
    } finally {
      // An epoch that this tracker did not begin is somebody else's.
      position.merge(stands, stands.epoch > position.epoch ? 'remote' : 'local');
    }
  }

  /** Asks where a source is; what fails concerns that source alone. */
  async #start(job: Job): Promise<void> {
    try {
      await this.#host.start(job[0]);
    } catch (error) {
      this.#failed([job], error);
    }
  }

  /** Until it is known where the source is, a record that needs no commit waits for that. */
  #begun(position: Position): Promise<RecordOutcome> {
    if (position.answer) return position.answer;
    const { life } = position;
    const outcome = this.#host
      .start(position)
      .then((): RecordOutcome => (position.life === life ? 'pending' : 'fenced'))
      .finally(() => {
        position.answer = undefined;
      });
    position.answer = outcome;
    // With a listener for errors, nobody has to await a record.
    if (this.#host.onError) outcome.catch((error: unknown) => this.#tell(position, error));
    return outcome;
  }

  #arm(position: Position): void {
    position.timer ??= setTimeout(() => {
      position.timer = undefined;
      if (position.pending) this.ask(position).catch(() => {});
    }, this.#triggers.intervalMs);
  }

  /** The store works, if not for those that wait for their next try. */
  #worked(): void {
    for (const position of this.#owed) position.failsAlone = true;
    if (this.#isDown || this.#owed.size === 0) this.#retry.worked();
    this.#isDown = false;
    this.#host.health();
  }

  #failed(jobs: readonly Job[], error: unknown): void {
    const passes = mayPass(error);
    // Stores name the source of a call for one, whatever fails: that alone says nothing of the others.
    const isNamed = error instanceof OffsetError && error.source !== undefined;
    if (!isNamed || (passes && !jobs.every(([{ failsAlone }]) => failsAlone))) {
      this.#isDown = true;
      this.#host.health(error);
    }
    for (const [position, cycle] of jobs) {
      if (position.life === cycle.life) {
        if (passes) this.#owed.add(position);
        else if (this.#triggers.intervalMs < Infinity && position.pending) this.#arm(position);
      }
      if (this.#host.onError) cycle.promise.catch(() => {});
      cycle.reject(error);
      this.#tell(position, error);
      position.failed(error);
    }
    if (!passes) return;
    this.#retry.failed();
  }

  #tell(position: Position, error: unknown): void {
    position.lastError = error;
    position.changed();
    const { onError } = this.#host;
    if (onError) {
      this.#told.add(Object(error));
      guard(() => onError(error, position.source));
    }
    position.tell('error', 'local', error);
  }
}

/** Whether an error is the store's own, and not that of an effect. */
export function isOfStore(error: unknown): error is OffsetError {
  return error instanceof OffsetError && /^(storage|lock|serialization)$/.test(error.code);
}

/** Whether the same may succeed later by itself. What is no error of ours, like a network error, may pass. */
function mayPass(error: unknown): boolean {
  return !(error instanceof OffsetError) || ('retryable' in error && error.retryable === true);
}
