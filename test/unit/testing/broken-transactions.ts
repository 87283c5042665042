import {
  type Batch,
  type Change,
  type ChangeOutcome,
  type ChangeResult,
  type Checkpoint,
  type Offset,
  type OffsetStore,
  type StoreOptions,
  beginEpoch,
  compareChange,
  join,
} from '../../../src/index.ts';
import type { TransactSubject } from '../../../src/testing/index.ts';

/** What is stored, by the id that it was opened with. */
export interface Disk {
  checkpoints: Map<string, Checkpoint>;
  counter: number;
  /** Ends when nobody writes. */
  turn: Promise<unknown>;
}

/** What an effect may do while its transaction is open. */
export interface Transaction {
  counter: number;
}

type Effect = (tx: Transaction) => void;

/** A sound transactional store in which a test breaks one thing. */
export class BreakableTransactions implements OffsetStore, TransactSubject {
  capabilities: OffsetStore['capabilities'] = {
    durability: 'durable',
    transactional: true,
    consistency: 'strong',
    shared: 'processes',
  };
  readonly compare: StoreOptions['compare'];
  readonly store = this;
  disk: Disk;

  constructor(disk: Disk, compare: StoreOptions['compare']) {
    this.disk = disk;
    this.compare = compare;
  }

  async get(source: string): Promise<Checkpoint | undefined> {
    return this.disk.checkpoints.get(source);
  }

  async getAll(): Promise<Map<string, Checkpoint>> {
    return new Map(this.disk.checkpoints);
  }

  async commit(batch: Batch): Promise<Map<string, Checkpoint>> {
    return this.exclusively(() => {
      const stands = new Map<string, Checkpoint>();
      for (const [source, incoming] of batch) {
        stands.set(source, this.join(this.disk.checkpoints.get(source), incoming, source));
      }
      for (const [source, checkpoint] of stands) this.disk.checkpoints.set(source, checkpoint);
      return stands;
    });
  }

  join(stored: Checkpoint | undefined, incoming: Checkpoint, source: string): Checkpoint {
    return join(stored, incoming, source, this.compare);
  }

  async begin(source: string, at?: { readonly offset?: Offset | undefined }): Promise<Checkpoint> {
    return this.exclusively(() => {
      const begun = beginEpoch(this.disk.checkpoints.get(source), at);
      this.disk.checkpoints.set(source, begun);
      return begun;
    });
  }

  async transact(source: string, change: Change, effect: Effect): Promise<ChangeResult> {
    return this.exclusively(async () => {
      const stored = this.disk.checkpoints.get(source);
      const outcome = this.judge(stored, change, source);
      if (outcome !== 'applied') return { outcome, stands: stored };
      const tx = { counter: this.disk.counter };
      await this.run(effect, tx);
      this.disk.counter = tx.counter;
      this.disk.checkpoints.set(source, change.next);
      return { outcome, stands: change.next };
    });
  }

  judge(stored: Checkpoint | undefined, change: Change, source: string): ChangeOutcome {
    return compareChange(stored, change, source, this.compare);
  }

  async run(effect: Effect, tx: Transaction): Promise<void> {
    await Promise.resolve();
    effect(tx);
  }

  exclusively<T>(work: () => T | Promise<T>): Promise<T> {
    const mine = this.disk.turn.then(work);
    this.disk.turn = mine.catch(() => {});
    return mine;
  }

  apply = (source: string, change: Change, amount: number): Promise<ChangeResult> =>
    this.transact(source, change, (tx) => {
      tx.counter += amount;
    });

  fail = (source: string, change: Change, amount: number, error: Error): Promise<ChangeResult> =>
    this.transact(source, change, (tx) => {
      tx.counter += amount;
      throw error;
    });

  misuse = async (source: string, change: Change, amount: number): Promise<ChangeResult> =>
    this.transact(source, change, (tx) => {
      tx.counter += amount;
      throw new Error('the effect awaited something else than its transaction');
    });

  read = async (): Promise<number> => this.disk.counter;

  async clearAll(): Promise<void> {
    this.disk.checkpoints.clear();
  }

  async close(): Promise<void> {}
}

const says = 'the store says that it can';
const together = 'an effect and its offset are stored together';
const duplicates = 'what is stored already is a duplicate, and its effect is not done again';
const moves = 'a change upon something else than what is stored is refused as moved';
const overlaps = 'a batch that overlaps what is stored is not applied, and its rest is';
const fences = 'after a fence nothing of the epoch before is applied';
const resets = 'after a reset a source goes on from where the reset says';
const failures = 'an effect that fails leaves nothing, and its error comes back as it is';
const unbegun = 'an effect that is not to be applied is not begun';
const rules = 'an effect that breaks the rules of its transaction is refused, and leaves no offset';
const twenty = 'of twenty changes upon the same checkpoint one is applied';
const races = 'two readers that race apply every step once';
const failingRaces = 'two readers that race, and fail now and then, apply every step once';
const fencedRaces = 'a fence in the middle of a race lets nothing of the old epoch follow';
const beside = 'plain commits and changes see each other';
const racingCommits = 'a commit that races with a change comes before it, or is joined to it';
const names = 'any string is a source name, and each source goes its own way';
const kinds = 'every kind of offset is compared exactly';
const ranks = 'opaque customs go by rank, also by its fraction';
const compares = 'customs go by compare where the store has one';
const reopens = 'what was applied is there when the store is opened again';

/** What is broken, which tests must see it, and how. */
export const broken: readonly [string, wanted: readonly string[], (store: BreakableTransactions) => void][] = [
  ['nothing', [], () => {}],
  [
    'it says that it cannot',
    [says],
    (store) => {
      store.capabilities = { ...store.capabilities, transactional: false };
    },
  ],
  [
    'a change is a join: whatever is later is applied',
    [moves, overlaps, twenty],
    (store) => {
      store.judge = (stored, change, source) => {
        const outcome = compareChange(stored, change, source, store.compare);
        return outcome === 'moved' ? 'applied' : outcome;
      };
    },
  ],
  [
    'everything is applied',
    [duplicates, moves, overlaps, fences, resets, unbegun, twenty, races, beside, kinds, ranks, compares],
    (store) => {
      store.judge = () => 'applied';
    },
  ],
  [
    "the store's compare is not asked",
    [compares],
    (store) => {
      store.judge = (stored, change, source) => compareChange(stored, change, source);
    },
  ],
  [
    'epochs are not looked at',
    [fences, resets, fencedRaces],
    (store) => {
      const same = (a: Checkpoint | undefined): Checkpoint | undefined => a && { ...a, epoch: 0 };
      store.judge = (stored, { expected, next }, source) =>
        compareChange(same(stored), { expected: same(expected), next: { ...next, epoch: 0 } }, source);
    },
  ],
  [
    'sequences are rounded',
    [kinds],
    (store) => {
      store.judge = (stored, change, source) => {
        const [one, other] = [stored?.offset, change.next.offset];
        const equal =
          one?.kind === 'sequence' && other?.kind === 'sequence' && Number(one.value) === Number(other.value);
        return equal ? 'duplicate' : compareChange(stored, change, source, store.compare);
      };
    },
  ],
  [
    'fractions of a rank are lost',
    [ranks],
    (store) => {
      const whole = (a: Checkpoint | undefined): Checkpoint | undefined => a && { ...a, rank: Math.floor(a.rank) };
      store.judge = (stored, { expected, next }, source) =>
        compareChange(whole(stored), { expected: whole(expected), next: whole(next) ?? next }, source, store.compare);
    },
  ],
  [
    'a failed effect stays',
    [failures, failingRaces],
    (store) => {
      store.run = async (effect, tx) => {
        try {
          effect(tx);
        } finally {
          store.disk.counter = tx.counter;
        }
      };
    },
  ],
  [
    'the error of an effect is wrapped',
    [failures],
    (store) => {
      store.run = async (effect, tx) => {
        try {
          effect(tx);
        } catch (cause) {
          throw new Error('the effect failed', { cause });
        }
      };
    },
  ],
  [
    'the error of an effect is swallowed',
    [failures, rules],
    (store) => {
      store.run = async (effect, tx) => {
        try {
          effect(tx);
        } catch {
          // As if nothing had been.
        }
      };
    },
  ],
  [
    'the offset is stored before the effect is done',
    [failures, rules],
    (store) => {
      store.transact = (source, change, effect) =>
        store.exclusively(async () => {
          const stored = store.disk.checkpoints.get(source);
          const outcome = store.judge(stored, change, source);
          if (outcome !== 'applied') return { outcome, stands: stored };
          store.disk.checkpoints.set(source, change.next);
          await store.run(effect, store.disk);
          return { outcome, stands: change.next };
        });
    },
  ],
  [
    'the effect is stored and the offset is not',
    [together, duplicates, races],
    (store) => {
      store.transact = async (source, change, effect) => {
        if ((await store.get(source))?.rank === 29) return { outcome: 'duplicate', stands: undefined };
        await store.run(effect, store.disk);
        const last = change.next.rank === 30 ? change.next : { ...change.next, rank: 29 };
        store.disk.checkpoints.set(source, last);
        return { outcome: 'applied', stands: change.next };
      };
    },
  ],
  [
    'looking and storing are two transactions',
    [twenty, races, fencedRaces, racingCommits],
    (store) => {
      store.transact = async (source, change, effect) => {
        const stored = await store.get(source);
        const outcome = store.judge(stored, change, source);
        if (outcome !== 'applied') return { outcome, stands: stored };
        await Promise.resolve();
        return store.exclusively(async () => {
          await store.run(effect, store.disk);
          store.disk.checkpoints.set(source, change.next);
          return { outcome, stands: change.next };
        });
      };
    },
  ],
  [
    'a fence is not atomic',
    [fencedRaces],
    (store) => {
      store.begin = async (source, at) => {
        const begun = beginEpoch(await store.get(source), at);
        await store.disk.turn;
        store.disk.checkpoints.set(source, begun);
        return begun;
      };
    },
  ],
  [
    'a commit does not ask what changes have stored',
    [beside, racingCommits],
    (store) => {
      store.join = (_, incoming) => incoming;
    },
  ],
  [
    'what it answers is what was asked for, not what stands',
    [duplicates, moves, fences, beside],
    (store) => {
      const { transact } = store;
      store.transact = async (...call) => ({ ...(await transact.apply(store, call)), stands: call[1].next });
    },
  ],
  [
    'all that is not applied is called a duplicate',
    [moves, overlaps, fences],
    (store) => {
      store.judge = (stored, change, source) =>
        compareChange(stored, change, source, store.compare) === 'applied' ? 'applied' : 'duplicate';
    },
  ],
  [
    'an effect is tried before it is known whether it counts',
    [unbegun],
    (store) => {
      const { transact } = store;
      store.transact = async (source, change, effect) => {
        effect({ counter: 0 });
        return transact.call(store, source, change, effect);
      };
    },
  ],
  [
    'a lone surrogate is stored as UTF-8 has it',
    [names],
    (store) => {
      const { transact } = store;
      store.transact = (source, ...rest) =>
        transact.call(store, new TextDecoder().decode(new TextEncoder().encode(source)), ...rest);
    },
  ],
  [
    'a new store object begins with an empty disk',
    [reopens],
    (store) => {
      store.disk = { checkpoints: new Map(), counter: 0, turn: Promise.resolve() };
    },
  ],
];
