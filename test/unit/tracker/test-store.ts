import {
  type Batch,
  type Change,
  type ChangeResult,
  type Checkpoint,
  InMemoryOffsetStore,
  type Offset,
  type OffsetStore,
  type StoreChange,
  type StoreOptions,
} from '../../../src/index.ts';

/** A memory store that counts, waits and fails as a test says, and through which others can be heard. */
export class TestStore implements OffsetStore {
  readonly capabilities = {
    durability: 'durable',
    transactional: false,
    consistency: 'strong',
    shared: 'tabs',
  } as const;
  readonly compare: StoreOptions['compare'];
  readonly inner: InMemoryOffsetStore;
  /** The names of all calls, in order. */
  readonly calls: string[] = [];
  readonly batches: Batch[] = [];
  /** Says what a call fails with, before it has had an effect. */
  failing: (call: string, sources: readonly string[]) => Error | undefined = () => undefined;
  readonly #listeners = new Set<(change: StoreChange) => void>();
  #gate: Promise<void> = Promise.resolve();

  constructor(initial: Iterable<readonly [string, Offset]> = [], options: StoreOptions = {}) {
    this.inner = new InMemoryOffsetStore(initial, options);
    this.compare = options.compare;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** The sources of each write. */
  get written(): string[][] {
    return this.batches.map((batch) => Array.from(batch.keys()));
  }

  /** Holds all calls up. @returns a function that lets them go on */
  hold(): () => void {
    let open = (): void => {};
    this.#gate = new Promise((resolve) => {
      open = resolve;
    });
    return open;
  }

  /** Another tab is heard of. */
  push(change: StoreChange): void {
    for (const listener of this.#listeners) listener(change);
  }

  /** What another tab does, and, where it announces it, is heard of. */
  async elsewhere(source: string, checkpoint: Checkpoint, announced = true): Promise<void> {
    const batch = await this.inner.commit(new Map([[source, checkpoint]]));
    if (announced) this.push({ type: 'commit', batch });
  }

  async get(source: string): Promise<Checkpoint | undefined> {
    await this.#called('get', [source]);
    return this.inner.get(source);
  }

  async getAll(): Promise<Map<string, Checkpoint>> {
    await this.#called('getAll', []);
    return this.inner.getAll();
  }

  async commit(batch: Batch): Promise<Map<string, Checkpoint>> {
    const copy = new Map(batch);
    this.batches.push(copy);
    await this.#called('commit', [...copy.keys()]);
    return this.inner.commit(copy);
  }

  async transact(source: string, change: Change, effect: () => unknown): Promise<ChangeResult> {
    await this.#called('transact', [source]);
    return this.inner.transact(source, change, effect);
  }

  async clearAll(): Promise<void> {
    await this.#called('clearAll', []);
    return this.inner.clearAll();
  }

  async close(): Promise<void> {
    this.calls.push('close');
  }

  commitOnHide(batch: Batch): void {
    this.calls.push('commitOnHide');
    this.batches.push(new Map(batch));
    void this.inner.commit(batch);
  }

  suspend(): void {
    this.calls.push('suspend');
  }

  wake(): void {
    this.calls.push('wake');
  }

  subscribe(listener: (change: StoreChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #called(call: string, sources: readonly string[]): Promise<void> {
    this.calls.push(call);
    await this.#gate;
    const error = this.failing(call, sources);
    if (error) throw error;
  }
}
