import { type Change, type Checkpoint, beginEpoch, isFence } from '../checkpoint.ts';
import { Offset } from '../offset.ts';
import type { ChangeResult, OffsetStore } from '../store.ts';
import { type KitCase, type Opener, type TestApi, declareKit, globalApi, hostileNames } from './api.ts';

/**
 * A store with `transact`, and effects that it can carry. They all change one durable counter, which lives where the
 * checkpoints live and starts at 0.
 */
export interface TransactSubject {
  /** The store under test. */
  readonly store: OffsetStore;
  /** Calls `store.transact` with an effect that adds `amount` to the counter. */
  apply(source: string, change: Change, amount: number): Promise<ChangeResult>;
  /** Calls `store.transact` with an effect that adds `amount` to the counter and then throws `error`. */
  fail(source: string, change: Change, amount: number, error: Error): Promise<ChangeResult>;
  /**
   * Calls `store.transact` with an effect that adds `amount` to the counter and breaks the rules of the platform: it awaits
   * something else where its transaction then ends, is asynchronous where it may not be, or ends the transaction itself.
   * Leave it out where an effect can do no such thing.
   */
  misuse?(source: string, change: Change, amount: number): Promise<ChangeResult>;
  /** Whether a rejection is that of a failing effect; default: it is the very `error` that was thrown. */
  isFailure?(found: unknown, error: Error): boolean;
  /** The counter as it is stored, outside of any transaction. */
  read(): Promise<number>;
}

/**
 * Opens a store for {@link testTransact}. The same `id` must open the same stored data and counter, in a new store object;
 * an `id` not seen before must be empty.
 */
export type TransactFactory = Opener<TransactSubject>;

/**
 * The conformance suite of `OffsetStore.transact`: an effect and its offset are stored both or neither, and each once.
 * Run it beside `testOffsetStore`.
 * @param name heads the tests
 * @param makeSubject opens the store under test, with effects that it can carry; see {@link TransactSubject}
 * @param api the test runner's functions; default: the globals `describe`, `it` and `expect`
 */
export function testTransact(name: string, makeSubject: TransactFactory, api: TestApi = globalApi()): void {
  declareKit(`${name} applies effects exactly once:`, cases, makeSubject, ({ store }) => store, api);
}

const cases: Record<string, KitCase<TransactSubject>> = {
  'the store says that it can': async (open, expect) => {
    const { store } = await open();
    expect([store.capabilities.transactional, typeof store.transact]).toEqual([true, 'function']);
  },

  'an effect and its offset are stored together': async (open, expect) => {
    const { store, apply, read } = await open();
    let expected: Checkpoint | undefined;
    for (const n of [1, 2, 3]) {
      const next = { ...step(0, n), feed: `log ${n}` };
      expect(await apply('orders', { expected, next }, n)).toEqual({ outcome: 'applied', stands: next });
      expect(await store.get('orders')).toEqual(next);
      expected = next;
    }
    expect(await read()).toEqual(6);
    expect(await store.getAll()).toEqual(new Map([['orders', { ...step(0, 3), feed: 'log 3' }]]));
  },

  'what is stored already is a duplicate, and its effect is not done again': async (open, expect) => {
    const { store, apply, read } = await open();
    await apply('orders', { expected: undefined, next: step(0, 5) }, 1);
    for (const n of [5, 4, 1]) {
      const again = { expected: undefined, next: step(0, n) };
      expect(await apply('orders', again, 10)).toEqual({ outcome: 'duplicate', stands: step(0, 5) });
    }
    expect(await store.get('orders')).toEqual(step(0, 5));
    expect(await read()).toEqual(1);
  },

  'a change upon something else than what is stored is refused as moved': async (open, expect) => {
    const { store, apply, read } = await open();
    await apply('orders', { expected: undefined, next: step(0, 5) }, 1);
    for (const expected of [undefined, step(0, 4), step(0, 6), { ...step(0, 5), rank: 4 }]) {
      expect(await apply('orders', { expected, next: step(0, 8) }, 10)).toEqual({
        outcome: 'moved',
        stands: step(0, 5),
      });
    }
    expect(await apply('unknown', { expected: step(0, 7), next: step(0, 8) }, 10)).toEqual({
      outcome: 'moved',
      stands: undefined,
    });
    expect(await store.getAll()).toEqual(new Map([['orders', step(0, 5)]]));
    expect(await read()).toEqual(1);
  },

  'a batch that overlaps what is stored is not applied, and its rest is': async (open, expect) => {
    const { apply, read } = await open();
    await apply('orders', { expected: undefined, next: step(0, 5) }, 5);
    expect((await apply('orders', { expected: undefined, next: step(0, 8) }, 8)).outcome).toEqual('moved');
    expect((await apply('orders', { expected: step(0, 5), next: step(0, 8) }, 3)).outcome).toEqual('applied');
    expect(await read()).toEqual(8);
  },

  'after a fence nothing of the epoch before is applied': async (open, expect) => {
    const { store, apply, read } = await open();
    await apply('orders', { expected: undefined, next: step(0, 5) }, 1);
    const fence = await begin(store, 'orders');
    expect([isFence(fence.epoch), fence.offset, fence.rank]).toEqual([true, Offset.sequence(5), 5]);
    const late = { expected: step(0, 5), next: step(0, 6) };
    expect(await apply('orders', late, 10)).toEqual({ outcome: 'fenced', stands: fence });
    const next = step(fence.epoch, 6);
    expect(await apply('orders', { expected: fence, next }, 1)).toEqual({ outcome: 'applied', stands: next });
    expect(await read()).toEqual(2);
  },

  'after a reset a source goes on from where the reset says': async (open, expect) => {
    const { store, apply, read } = await open();
    await apply('orders', { expected: undefined, next: step(0, 5) }, 1);
    const reset = await begin(store, 'orders', { offset: Offset.earliest });
    const late = { expected: step(0, 5), next: step(0, 6) };
    expect((await apply('orders', late, 10)).outcome).toEqual('fenced');
    const first = step(reset.epoch, 1);
    expect((await apply('orders', { expected: reset, next: first }, 1)).outcome).toEqual('applied');
    const tombstone = await begin(store, 'orders', {});
    const again = step(tombstone.epoch, 1);
    expect((await apply('orders', { expected: tombstone, next: again }, 1)).outcome).toEqual('applied');
    expect(await store.get('orders')).toEqual(again);
    expect(await read()).toEqual(3);
  },

  'an effect that fails leaves nothing, and its error comes back as it is': async (open, expect) => {
    const subject = await open();
    const { store, apply, fail, read } = subject;
    for (const expected of [undefined, step(0, 1)]) {
      const next = step(0, (expected?.rank ?? 0) + 1);
      const error = new Error('the effect failed on purpose');
      const found = await rejection(fail('orders', { expected, next }, 10, error));
      expect(subject.isFailure ? subject.isFailure(found, error) : found === error).toEqual(true);
      expect(await store.get('orders')).toEqual(expected);
      expect(await read()).toEqual(expected ? 1 : 0);
      expect((await apply('orders', { expected, next }, 1)).outcome).toEqual('applied');
    }
    expect(await read()).toEqual(2);
  },

  'an effect that is not to be applied is not begun': async (open, expect) => {
    const { apply, fail, read } = await open();
    await apply('orders', { expected: undefined, next: step(0, 5) }, 1);
    const error = new Error('the effect was begun');
    expect((await fail('orders', { expected: undefined, next: step(0, 5) }, 1, error)).outcome).toEqual('duplicate');
    expect((await fail('orders', { expected: undefined, next: step(0, 6) }, 1, error)).outcome).toEqual('moved');
    expect(await read()).toEqual(1);
  },

  'an effect that breaks the rules of its transaction is refused, and leaves no offset': async (open, expect) => {
    const { store, apply, misuse, read } = await open();
    if (misuse === undefined) return;
    const found = await rejection(misuse('orders', { expected: undefined, next: step(0, 1) }, 0));
    expect([found instanceof Error, String(found).length > 20]).toEqual([true, true]);
    expect(await store.get('orders')).toEqual(undefined);
    expect((await apply('orders', { expected: undefined, next: step(0, 1) }, 1)).outcome).toEqual('applied');
    expect(await read()).toEqual(1);
  },

  'of twenty changes upon the same checkpoint one is applied': async (open, expect) => {
    const subjects = await openTwo(open);
    const [one] = subjects;
    await one.apply('orders', { expected: undefined, next: step(0, 1) }, 1000);
    for (const expected of [step(0, 1), undefined]) {
      const source = expected ? 'orders' : 'unknown';
      const before = await one.read();
      const changes = Array.from({ length: 20 }, (_, i) => ({ expected, next: step(0, 2 + ((i * 7) % 20)) }));
      const results = await Promise.all(
        changes.map((change, i) => subjects[i % 2 ? 1 : 0].apply(source, change, change.next.rank)),
      );
      const applied = changes.filter((_, i) => results[i]?.outcome === 'applied');
      expect(applied.length).toEqual(1);
      const others = results.map(({ outcome }) => outcome).filter((outcome) => outcome !== 'applied');
      expect(others.filter((outcome) => outcome !== 'moved' && outcome !== 'duplicate')).toEqual([]);
      expect(await one.store.get(source)).toEqual(applied[0]?.next);
      expect((await one.read()) - before).toEqual(applied[0]?.next.rank);
    }
  },

  'two readers that race apply every step once': async (open, expect) => {
    const subjects = await openTwo(open);
    const last = 30;
    await Promise.all(subjects.map((subject) => applyUpTo(subject, 'orders', last)));
    const [one, two] = subjects;
    expect(await one.read()).toEqual((last * (last + 1)) / 2);
    expect(await two.store.get('orders')).toEqual(step(0, last));
  },

  'two readers that race, and fail now and then, apply every step once': async (open, expect) => {
    const subjects = await openTwo(open);
    const last = 20;
    await Promise.all(subjects.map((subject, i) => applyUpTo(subject, 'orders', last, 2 + i)));
    expect(await subjects[0].read()).toEqual((last * (last + 1)) / 2);
    expect(await subjects[1].store.get('orders')).toEqual(step(0, last));
  },

  'a fence in the middle of a race lets nothing of the old epoch follow': async (open, expect) => {
    const [one, two] = await openTwo(open);
    for (let round = 0; round < 5; round++) {
      const source = `round ${round}`;
      await one.apply(source, { expected: undefined, next: step(0, 1) }, 1);
      const before = await one.read();
      const race = (n: number): Promise<ChangeResult> =>
        one.apply(source, { expected: step(0, n - 1), next: step(0, n) }, 1);
      const sooner = [2, 3, 4].slice(0, round % 4).map(race);
      const fencing = begin(two.store, source);
      const later = [2, 3, 4].slice(round % 4).map(race);
      const [fence, results] = await Promise.all([fencing, Promise.all([...sooner, ...later])]);
      const applied = results.filter(({ outcome }) => outcome === 'applied').length;
      // The steps before the fence are carried over by it; those after it are refused.
      expect(await two.store.get(source)).toEqual(step(fence.epoch, 1 + applied));
      expect((await one.read()) - before).toEqual(applied);
    }
  },

  'plain commits and changes see each other': async (open, expect) => {
    const [one, two] = await openTwo(open);
    await one.apply('orders', { expected: undefined, next: step(0, 1) }, 1);
    await commit(two.store, 'orders', step(0, 3));
    const behind = { expected: step(0, 1), next: step(0, 4) };
    expect(await one.apply('orders', behind, 10)).toEqual({ outcome: 'moved', stands: step(0, 3) });
    expect((await one.apply('orders', { expected: step(0, 3), next: step(0, 4) }, 1)).outcome).toEqual('applied');
    expect(await commit(two.store, 'orders', step(0, 2))).toEqual(step(0, 4));
    expect(await one.read()).toEqual(2);
  },

  'a commit that races with a change comes before it, or is joined to it': async (open, expect) => {
    const [one, two] = await openTwo(open);
    for (let round = 0; round < 10; round++) {
      const source = `round ${round}`;
      await one.apply(source, { expected: undefined, next: step(0, 1) }, 0);
      const before = await one.read();
      const change = { expected: step(0, 1), next: step(0, 3) };
      const [{ outcome }, stands] = await Promise.all([
        one.apply(source, change, 1),
        commit(two.store, source, step(0, 2)),
      ]);
      const wanted = outcome === 'applied' ? step(0, 3) : step(0, 2);
      expect([stands, await two.store.get(source)]).toEqual([wanted, wanted]);
      expect((await one.read()) - before).toEqual(outcome === 'applied' ? 1 : 0);
    }
  },

  'any string is a source name, and each source goes its own way': async (open, expect) => {
    const { store, apply, read } = await open();
    const last = new Map<string, Checkpoint>();
    for (const [i, source] of hostileNames.entries()) {
      const first = { ...step(0, 1), offset: Offset.custom(source) };
      expect((await apply(source, { expected: undefined, next: first }, 1)).outcome).toEqual('applied');
      const next = { ...step(0, 2 + i), offset: Offset.custom(`${source}!`) };
      expect((await apply(source, { expected: first, next }, 1)).outcome).toEqual('applied');
      last.set(source, next);
    }
    expect(await store.getAll()).toEqual(last);
    expect(await read()).toEqual(2 * hostileNames.length);
  },

  'every kind of offset is compared exactly': async (open, expect) => {
    const { apply, read } = await open();
    const rising = [
      undefined,
      Offset.earliest,
      Offset.latest,
      Offset.sequence(2n ** 53n),
      Offset.sequence(2n ** 53n + 1n),
      Offset.sequence(2n ** 64n - 1n),
      Offset.timestamp(-1),
      Offset.timestamp('2026-01-02T03:04:05.678Z'),
      Offset.custom('\u0000 \ud800 "\\ 😀'),
    ];
    let expected: Checkpoint | undefined;
    for (const offset of rising) {
      const next: Checkpoint = { ...step(0, 1), offset };
      const change = { expected, next };
      expect((await apply('orders', change, 1)).outcome).toEqual('applied');
      expect((await apply('orders', change, 10)).outcome).toEqual('duplicate');
      expected = next;
    }
    expect(await read()).toEqual(rising.length);
  },

  'opaque customs go by rank, also by its fraction': async (open, expect) => {
    const { apply, read } = await open();
    await apply('orders', { expected: undefined, next: cursor(1, 'z') }, 1);
    const heartbeat = cursor(1 + 2 ** -20, 'y');
    expect((await apply('orders', { expected: cursor(1, 'z'), next: heartbeat }, 1)).outcome).toEqual('applied');
    expect((await apply('orders', { expected: cursor(1, 'z'), next: cursor(2, 'a') }, 10)).outcome).toEqual('moved');
    expect((await apply('orders', { expected: heartbeat, next: cursor(2, 'a') }, 1)).outcome).toEqual('applied');
    expect((await apply('orders', { expected: cursor(2, 'a'), next: cursor(1, 'zz') }, 10)).outcome).toEqual(
      'duplicate',
    );
    expect(await read()).toEqual(3);
  },

  'customs go by compare where the store has one': async (open, expect) => {
    const { apply, read } = await open((a, b) => a.length - b.length);
    await apply('orders', { expected: undefined, next: cursor(5, 'bbb') }, 1);
    expect((await apply('orders', { expected: cursor(5, 'bbb'), next: cursor(6, 'cc') }, 10)).outcome).toEqual(
      'duplicate',
    );
    expect((await apply('orders', { expected: cursor(5, 'bbb'), next: cursor(1, 'aaaa') }, 1)).outcome).toEqual(
      'applied',
    );
    expect(await read()).toEqual(2);
  },

  'what was applied is there when the store is opened again': async (open, expect) => {
    const first = await open();
    if (first.store.capabilities.durability === 'none') return;
    await first.apply('orders', { expected: undefined, next: step(0, 1) }, 7);
    await first.store.close();
    const second = await open();
    expect(await second.store.get('orders')).toEqual(step(0, 1));
    expect(await second.read()).toEqual(7);
  },
};

function step(epoch: number, n: number): Checkpoint {
  return { epoch, rank: n, offset: Offset.sequence(n), committedAt: 1_767_323_045_000 };
}

function cursor(rank: number, value: string): Checkpoint {
  return { ...step(0, 1), rank, offset: Offset.custom(value) };
}

/** Two store objects on the same data; where nobody shares it, the same one twice. */
async function openTwo(open: () => Promise<TransactSubject>): Promise<[TransactSubject, TransactSubject]> {
  const one = await open();
  return [one, one.store.capabilities.shared === 'none' ? one : await open()];
}

/** What a consumer does: looks where it stands and takes the next step, until all are taken. Each adds its number. */
async function applyUpTo(subject: TransactSubject, source: string, last: number, failEvery = 0): Promise<void> {
  // Each turn takes a step, loses to the other reader's, or fails on purpose: a sound store needs far fewer.
  for (let turn = 1; turn <= 20 * last; turn++) {
    const expected = await subject.store.get(source);
    const n = (expected?.rank ?? 0) + 1;
    if (n > last) return;
    const change = { expected, next: step(0, n) };
    if (failEvery > 0 && turn % failEvery === 0) {
      await subject.fail(source, change, n, new Error('the effect failed on purpose')).catch(() => {});
    } else {
      await subject.apply(source, change, n);
    }
  }
  throw new Error(`after ${20 * last} turns of a reader the store is still not at ${last}`);
}

/** By the store's own `begin`; else as the tracker does without one. */
async function begin(store: OffsetStore, source: string, at?: { readonly offset?: Offset }): Promise<Checkpoint> {
  if (store.begin) return store.begin(source, at);
  for (;;) {
    const begun = beginEpoch(await store.get(source), at);
    if ((await commit(store, source, begun))?.epoch === begun.epoch) return begun;
  }
}

async function commit(store: OffsetStore, source: string, checkpoint: Checkpoint): Promise<Checkpoint | undefined> {
  return (await store.commit(new Map([[source, checkpoint]]))).get(source);
}

async function rejection(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => undefined,
    (error: unknown) => error,
  );
}
