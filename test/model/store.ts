import {
  type Batch,
  type Change,
  type ChangeResult,
  type Checkpoint,
  type OffsetStore,
  type StoreChange,
  StorageError,
} from '../../src/index.ts';
import { type Feed, keyOf, source, timeless } from './values.ts';

/** A call of a store; what it does there is the model's to say. */
export type Call =
  | { readonly type: 'get' }
  | { readonly type: 'commit'; readonly checkpoint: Checkpoint }
  /** @param luck from 0 up to 1: what a new epoch draws */
  | { readonly type: 'begin'; readonly at: Parameters<NonNullable<OffsetStore['begin']>>[1]; readonly luck: number }
  /** @param from the place after which the effect begins */
  | { readonly type: 'transact'; readonly change: Change; readonly from: number };

/** What a call is answered. */
export type Answer =
  | { readonly type: 'stands'; readonly checkpoint: Checkpoint | undefined }
  | { readonly type: 'result'; readonly result: ChangeResult }
  | { readonly type: 'failed' };

export interface StoreHost {
  readonly begins: boolean;
  readonly transacts: boolean;
  readonly isEventual: boolean;
  readonly saves: boolean;
  /** Whether a failure is one that may pass. */
  readonly passing: boolean;
  luck(): number;
  call(call: Call): Promise<Answer>;
  saved(checkpoint: Checkpoint): void;
  suspended(away: boolean): void;
}

/** What a tracker has of the storage: calls that take effect and are answered when the schedule says so. */
export class ModelStore implements OffsetStore {
  readonly capabilities;
  listener: ((change: StoreChange) => void) | undefined;
  readonly #host: StoreHost;
  readonly begin?: NonNullable<OffsetStore['begin']>;
  readonly transact?: NonNullable<OffsetStore['transact']>;
  readonly commitOnHide?: NonNullable<OffsetStore['commitOnHide']>;

  constructor(host: StoreHost) {
    this.#host = host;
    this.capabilities = {
      durability: 'durable',
      transactional: host.transacts,
      consistency: host.isEventual ? 'eventual' : 'strong',
      shared: 'tabs',
    } as const;
    if (host.begins) {
      this.begin = async (_, at) => {
        const stands = await this.#stands({ type: 'begin', at, luck: host.luck() });
        if (!stands) throw new TypeError('what begins stands');
        return stands;
      };
    }
    if (host.saves) {
      this.commitOnHide = (batch) => {
        const checkpoint = batch.get(source);
        if (checkpoint) host.saved(timeless(checkpoint));
      };
    }
    if (host.transacts) {
      this.transact = async (_, change, from) => {
        const answer = await this.#ask({ type: 'transact', change: plain(change), from });
        if (answer.type !== 'result') throw new TypeError('a change has a result');
        return answer.result;
      };
    }
  }

  get(): Promise<Checkpoint | undefined> {
    return this.#stands({ type: 'get' });
  }

  async getAll(): Promise<Map<string, Checkpoint>> {
    throw new TypeError('nobody asks for all');
  }

  async commit(batch: Batch): Promise<Map<string, Checkpoint>> {
    const checkpoint = batch.get(source);
    if (!checkpoint) throw new TypeError('there is one source');
    const stands = await this.#stands({ type: 'commit', checkpoint: timeless(checkpoint) });
    return new Map(stands && [[source, stands]]);
  }

  async clearAll(): Promise<void> {
    throw new TypeError('nobody clears all');
  }

  async close(): Promise<void> {}

  suspend(): void {
    this.#host.suspended(true);
  }

  wake(): void {
    this.#host.suspended(false);
  }

  subscribe(listener: (change: StoreChange) => void): () => void {
    this.listener = listener;
    return () => {
      this.listener = undefined;
    };
  }

  async #stands(call: Call): Promise<Checkpoint | undefined> {
    const answer = await this.#ask(call);
    if (answer.type !== 'stands') throw new TypeError('it says what stands');
    return answer.checkpoint;
  }

  async #ask(call: Call): Promise<Answer> {
    const answer = await this.#host.call(call);
    if (answer.type === 'failed') throw new StorageError('the store failed', { retryable: this.#host.passing });
    return answer;
  }
}

function plain({ expected, next }: Change): Change {
  return { expected: expected && timeless(expected), next: timeless(next) };
}

/** A call as text, which tells it from any other. */
export function textOf(call: Call, feed: Feed): string {
  switch (call.type) {
    case 'get':
      return 'get';
    case 'commit':
      return keyOf(call.checkpoint, feed);
    case 'begin':
      return `${call.luck}${call.at ? `:${feed.place(call.at.offset)}` : ''}`;
    case 'transact':
      return `${call.from}:${keyOf(call.change.expected, feed)}>${keyOf(call.change.next, feed)}`;
  }
}
