import { type FencedError, OffsetError, quote } from '../errors.ts';
import { type Offset, earliest } from '../offset.ts';
import { type Committer, answers } from './committer.ts';
import type { Member, Position } from './position.ts';
import type { Rules } from './rules.ts';
import type { ReadingState } from './states.ts';
import type { BeginOptions, CommitOutcome, Reading, RecordOptions, RecordOutcome, Ticket } from './types.ts';
import { type Entry, Window } from './window.ts';

// Not every supported browser has the symbol; code that `await using` is compiled to falls back on this one too.
export const asyncDispose: typeof Symbol.asyncDispose = /* @__PURE__ */ (() =>
  Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose'))() as typeof Symbol.asyncDispose;

/** What readings of one tracker have in common. */
export interface ReadingHost {
  readonly rules: Rules;
  readonly committer: Committer;
  /** Asks the store for a source that is not known yet. */
  start(position: Position): Promise<void>;
  released(position: Position): void;
}

/** See `states.ts` for what each of its states answers. */
export class SourceReading implements Reading, Member {
  readonly position: Position;
  from: Offset = earliest;
  last: Offset | undefined;
  rank = 0;
  readonly #host: ReadingHost;
  #end: FencedError | OffsetError | undefined;
  #window: Window | undefined;
  #controller: AbortController | undefined;

  constructor(position: Position, host: ReadingHost) {
    this.position = position;
    this.#host = host;
    position.admit(this);
  }

  get source(): string {
    return this.position.source;
  }

  get state(): ReadingState {
    if (this.#end) return this.#end.code === 'closed' ? 'closed' : 'fenced';
    return this.position.known ? 'live' : 'starting';
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#end) this.#controller.abort(this.#end);
    }
    return this.#controller.signal;
  }

  get inFlight(): number {
    return this.#window?.open ?? 0;
  }

  get newest(): Offset | undefined {
    return this.#window?.size ? this.#window.newest : undefined;
  }

  record(offset: Offset, options?: RecordOptions): Promise<RecordOutcome> {
    try {
      const { position } = this;
      // What was processed before an own reset is not to be recorded after it.
      if (position.resetting) return position.resetting.then(() => this.record(offset, options));
      if (this.#end) return this.#refuse(answers.fenced);
      if (this.#window && this.#window.size > 0) return this.begin(offset, options).then((ticket) => ticket.done());
      const own = position.check(offset, this);
      position.record(this, own, options?.heartbeat === true);
      return this.#host.committer.recorded(position, 1);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async begin(offset: Offset, options: BeginOptions = {}): Promise<Ticket> {
    const { position } = this;
    const { heartbeat = false, signal } = options;
    if (!this.#end && position.resetting) return position.resetting.then(() => this.begin(offset, options));
    if (!this.#end && !position.known) {
      await this.#host.start(position);
      return this.begin(offset, options);
    }
    if (this.#end) return this.#refuse(this.#ticket(offset, undefined, undefined));
    const own = position.check(offset, this);
    const window = (this.#window ??= new Window(this.source, this.#host.rules));
    const entry = window.begin(own, heartbeat) ?? (await window.wait(own, heartbeat, signal));
    position.changed();
    return this.#ticket(own, window, entry);
  }

  async commit(): Promise<CommitOutcome | 'none'> {
    const { position } = this;
    if (this.#end) return this.#refuse('fenced' as const);
    return position.pending ? this.#host.committer.ask(position, true) : 'none';
  }

  async close(): Promise<void> {
    const { position } = this;
    this.end();
    try {
      if (this.state !== 'fenced' && position.pending) await this.#host.committer.ask(position, true);
    } finally {
      this.#host.released(position);
    }
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The source is in another epoch. */
  fence(error: FencedError): void {
    if (this.#end) return;
    this.#end = error;
    this.#window?.drop();
    this.#controller?.abort(error);
  }

  /** Nothing more is recorded here; what was stays pending. */
  end(): void {
    if (this.#end) return;
    const { source, position } = this;
    const error = new OffsetError('closed', `the reading of ${quote(source)} is closed: read again`, { source });
    this.#end = error;
    position.readings.delete(this);
    if (position.standing === this) position.standing = undefined;
    position.changed();
    this.#window?.drop(error);
    this.#controller?.abort(error);
  }

  #ticket(offset: Offset, window: Window | undefined, entry: Entry | undefined): Ticket {
    return {
      offset,
      done: () => this.#finish(window, entry, 'done'),
      abandon: () => void this.#finish(window, entry, 'abandoned').catch(() => {}),
    };
  }

  #finish(window: Window | undefined, entry: Entry | undefined, state: 'done' | 'abandoned'): Promise<RecordOutcome> {
    try {
      const { position } = this;
      if (this.#end || !window || !entry) return this.#refuse(answers.fenced);
      const record = (offset: Offset, heartbeat: boolean): void => position.record(this, offset, heartbeat);
      const passed = window.finish(entry, state, record);
      position.changed();
      return passed ? this.#host.committer.recorded(position, passed) : answers.pending;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** @throws OffsetError 'closed' where the reading was closed; a fenced one answers */
  #refuse<T>(fenced: T): T {
    if (this.#end?.code === 'closed') throw this.#end;
    return fenced;
  }
}
