import type { Change, ChangeOutcome, Checkpoint, CompareCustom } from './checkpoint.ts';
import type { Offset } from './offset.ts';

/** What a store can promise. */
export interface StoreCapabilities {
  /** 'none': gone with the process; 'lagging': a killed browser loses the last seconds; 'durable': a commit stays. */
  readonly durability: 'none' | 'lagging' | 'durable';
  /** Whether effects and offsets can be written in one transaction. */
  readonly transactional: boolean;
  /** 'eventual': a read may be stale, and the last of two concurrent writes wins. */
  readonly consistency: 'strong' | 'eventual';
  /** Who sees the same checkpoints. */
  readonly shared: 'none' | 'tabs' | 'processes' | 'global';
}

/** Checkpoints by source. */
export type Batch = ReadonlyMap<string, Checkpoint>;

/** Tells what whoever commits would commit for a source by now; undefined where there is nothing to add. */
export type NewestOf = (source: string) => Checkpoint | undefined;

/** What others, another tab or another process, did to a store, or what befell the store itself. */
export type StoreChange =
  | { readonly type: 'commit'; readonly batch: Batch }
  | { readonly type: 'clearAll' }
  /** The store stopped working (with the error) or works again (without). Raised once each. */
  | { readonly type: 'health'; readonly error?: Error | undefined };

/** What {@link OffsetStore.transact} answers. */
export interface ChangeResult {
  /** What became of the change. */
  readonly outcome: ChangeOutcome;
  /** What stands now: the change's `next` where it was applied, else what was found. */
  readonly stands: Checkpoint | undefined;
}

/**
 * Where checkpoints live. Every write is a join, so that late, repeated and reordered writes change nothing. Whether an
 * implementation holds to this is told by `testOffsetStore` of `tidemark/testing`.
 */
export interface OffsetStore {
  /** What the store can promise. */
  readonly capabilities: StoreCapabilities;
  /**
   * The same text for all store objects, in any tab or process, that share their checkpoints, and another for all
   * others. Names the lock of `resume(…, { exclusive: true })`, which needs it.
   */
  readonly id?: string;
  /** Orders custom offsets; without it they are opaque and ordered by rank. */
  readonly compare?: CompareCustom | undefined;
  /**
   * The checkpoint of a source, a tombstone too.
   * @throws SerializationError where what is stored cannot be read; StorageError where it cannot be reached
   */
  get(source: string): Promise<Checkpoint | undefined>;
  /** All checkpoints, tombstones too. */
  getAll(): Promise<Map<string, Checkpoint>>;
  /**
   * Joins every checkpoint of the batch into what is stored; resolves, once durable, with what now stands for each
   * source of the batch. An error that concerns one source only carries it as `source`; nothing of the batch need be
   * stored then.
   * @param newest for a store that has to wait before it writes: what it writes then may be later than what it was asked
   */
  commit(batch: Batch, newest?: NewestOf): Promise<Map<string, Checkpoint>>;
  /**
   * Begins a new epoch of a source upon what is stored (see `beginEpoch`), in one atomic step, and resolves, once durable,
   * with what now stands.
   *
   * Without it the tracker reads and commits until its own epoch stands.
   * @param at where the source stands then: `{ offset }` for a reset, `{}` for a tombstone; undefined fences: the source
   * stays where it is
   */
  begin?(source: string, at?: { readonly offset?: Offset | undefined }): Promise<Checkpoint>;
  /**
   * Applies an effect and moves a source in one transaction, where `compareChange` of what is stored answers 'applied';
   * else it does neither. Rejects with what the effect throws, after everything was rolled back.
   * @param effect what the effect takes is the store's own: a transaction, a scope, statements
   */
  transact?(source: string, change: Change, ...effect: never[]): Promise<ChangeResult>;
  /** Removes everything physically. To start one source anew there is a tombstone, which a sleeping writer cannot undo. */
  clearAll(): Promise<void>;
  /** Lets go of files, connections and channels. What is stored stays. */
  close(): Promise<void>;
  /** Starts, synchronously, a write that survives the page going away. It is joined when the store is next read. */
  commitOnHide?(batch: Batch): void;
  /** Releases what keeps a page out of the back/forward cache; `wake` takes it back. */
  suspend?(): void;
  /** Takes back what `suspend` has released. */
  wake?(): void;
  /**
   * Tells of changes made by others.
   * @returns a function that ends it
   */
  subscribe?(listener: (change: StoreChange) => void): () => void;
}

/**
 * What a store says, in types alone, of transactions that depend on a scope: by a property `effectTypes` that is never set.
 * `this['scope']` stands for the scope that is given.
 */
export interface EffectTypes {
  /** The scope that is given. */
  readonly scope: unknown;
  /** What may be given as a scope. */
  readonly scopes: unknown;
  /** The transaction that an effect is given. */
  readonly tx: unknown;
}

/** Options that every store takes. */
export interface StoreOptions {
  /**
   * Orders custom offsets, for sources whose cursors can be compared. It is a property of what is stored: every tracker,
   * tab and process that shares the store must use the same. Default: customs are opaque, ordered by rank.
   */
  readonly compare?: CompareCustom | undefined;
}
