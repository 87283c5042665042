import { type Change, type Checkpoint, beginEpoch, compareChange, join } from '../checkpoint.ts';
import { UnsupportedError, quote } from '../errors.ts';
import { type Offset, asOffset } from '../offset.ts';
import type { Batch, ChangeResult, OffsetStore, StoreOptions } from '../store.ts';

/** Keeps checkpoints in memory, for tests and for feeds that start over with the process. */
export class InMemoryOffsetStore implements OffsetStore {
  readonly capabilities = {
    durability: 'none',
    transactional: true,
    consistency: 'strong',
    shared: 'none',
  } as const;
  readonly compare: StoreOptions['compare'];
  readonly #checkpoints = new Map<string, Checkpoint>();

  /**
   * A store that forgets everything with its process, and that nobody else sees.
   * @param initial what is already committed
   * @throws InvalidOffsetError for what is no offset
   * @example
   * const tracker = new OffsetTracker(new InMemoryOffsetStore([['orders', Offset.sequence(41)]]));
   */
  constructor(initial: Iterable<readonly [source: string, offset: Offset]> = [], options: StoreOptions = {}) {
    this.compare = options.compare;
    for (const [source, offset] of initial) {
      this.#checkpoints.set(source, { epoch: 0, rank: 0, offset: asOffset(offset, source), committedAt: 0 });
    }
  }

  async get(source: string): Promise<Checkpoint | undefined> {
    return this.#checkpoints.get(source);
  }

  async getAll(): Promise<Map<string, Checkpoint>> {
    return new Map(this.#checkpoints);
  }

  async commit(batch: Batch): Promise<Map<string, Checkpoint>> {
    const stands = new Map<string, Checkpoint>();
    for (const [source, incoming] of batch) {
      stands.set(source, join(this.#checkpoints.get(source), incoming, source, this.compare));
    }
    for (const [source, checkpoint] of stands) this.#checkpoints.set(source, checkpoint);
    return stands;
  }

  async begin(source: string, at?: { readonly offset?: Offset | undefined }): Promise<Checkpoint> {
    const begun = beginEpoch(this.#checkpoints.get(source), at);
    this.#checkpoints.set(source, begun);
    return begun;
  }

  /**
   * @param effect is done synchronously: what it changes must be gone again when it throws
   * @throws UnsupportedError where the effect is asynchronous; no offset is stored then
   */
  async transact(source: string, change: Change, effect: () => unknown): Promise<ChangeResult> {
    const stored = this.#checkpoints.get(source);
    const outcome = compareChange(stored, change, source, this.compare);
    if (outcome !== 'applied') return { outcome, stands: stored };
    const result = effect();
    if (typeof Object(result).then === 'function') {
      Promise.resolve(result).catch(() => {}); // Nobody else could catch what it still rejects with.
      const message = `the effect on ${quote(source)} is asynchronous, and no offset was stored: await before it, not in it`;
      throw new UnsupportedError(message, { source });
    }
    this.#checkpoints.set(source, change.next);
    return { outcome, stands: change.next };
  }

  async clearAll(): Promise<void> {
    this.#checkpoints.clear();
  }

  async close(): Promise<void> {}
}
