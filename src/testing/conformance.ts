import { type Checkpoint, beginEpoch, isFence, join } from '../checkpoint.ts';
import { Offset } from '../offset.ts';
import type { OffsetStore } from '../store.ts';
import { type KitCase, type Opener, type TestApi, declareKit, globalApi, hostileNames } from './api.ts';

/**
 * Opens a store. The same `id` must open the same stored data, in a new store object; an `id` not seen before must be
 * empty.
 */
export type StoreFactory = Opener<OffsetStore>;

/**
 * The conformance suite of the OffsetStore contract, for the stores of this library and for your own.
 * @param name heads the tests
 * @param makeStore opens the store under test; see {@link StoreFactory}
 * @param api the test runner's functions; default: the globals `describe`, `it` and `expect`
 */
export function testOffsetStore(name: string, makeStore: StoreFactory, api: TestApi = globalApi()): void {
  declareKit(`${name} keeps the OffsetStore contract:`, cases, makeStore, (store) => store, api);
}

const cases: Record<string, KitCase<OffsetStore>> = {
  'an unknown source has no checkpoint': async (open, expect) => {
    const store = await open();
    expect(await store.get('unknown')).toEqual(undefined);
    expect(await store.getAll()).toEqual(new Map());
  },

  'every kind of checkpoint comes back as it was committed': async (open, expect) => {
    const store = await open();
    for (const [index, offset] of offsets.entries()) {
      const checkpoint = { epoch: 3, rank: index, offset, committedAt: 1_767_323_045_678 + index };
      const source = `kind ${index}`;
      expect(await commit(store, source, checkpoint)).toEqual(checkpoint);
      expect(await store.get(source)).toEqual(checkpoint);
    }
  },

  'a commit never moves a source back': async (open, expect) => {
    const store = await open();
    const high = at(0, 2, Offset.sequence(10));
    await commit(store, 'orders', high);
    expect(await commit(store, 'orders', at(0, 3, Offset.sequence(9)))).toEqual(high);
    expect(await store.get('orders')).toEqual(high);
    const past53bits = at(0, 3, Offset.sequence(2n ** 63n + 1n));
    expect(await commit(store, 'orders', past53bits)).toEqual(past53bits);
    expect(await commit(store, 'orders', at(0, 4, Offset.sequence(2n ** 63n)))).toEqual(past53bits);
  },

  'a higher epoch wins, whatever the offset': async (open, expect) => {
    const store = await open();
    await commit(store, 'orders', at(0, 9, Offset.sequence(100)));
    const reset = at(1, 0, Offset.earliest);
    expect(await commit(store, 'orders', reset)).toEqual(reset);
    expect(await commit(store, 'orders', at(0, 10, Offset.sequence(101)))).toEqual(reset);
    expect(await store.get('orders')).toEqual(reset);
  },

  'a tombstone stands, and is listed': async (open, expect) => {
    const store = await open();
    await commit(store, 'orders', at(0, 9, Offset.custom('x')));
    const tombstone = at(1, 0, undefined);
    await commit(store, 'orders', tombstone);
    expect(await commit(store, 'orders', at(0, 10, Offset.custom('y')))).toEqual(tombstone);
    expect(await store.getAll()).toEqual(new Map([['orders', tombstone]]));
  },

  'opaque customs are ordered by rank': async (open, expect) => {
    const store = await open();
    await commit(store, 'orders', at(0, 5, Offset.custom('b')));
    expect((await commit(store, 'orders', at(0, 4, Offset.custom('z'))))?.offset).toEqual(Offset.custom('b'));
    expect((await commit(store, 'orders', at(0, 6, Offset.custom('a'))))?.offset).toEqual(Offset.custom('a'));
  },

  'customs are ordered by compare where the store has one': async (open, expect) => {
    const store = await open((a, b) => a.length - b.length);
    await commit(store, 'orders', at(0, 5, Offset.custom('bbb')));
    expect((await commit(store, 'orders', at(0, 6, Offset.custom('cc'))))?.offset).toEqual(Offset.custom('bbb'));
    expect((await commit(store, 'orders', at(0, 1, Offset.custom('aaaa'))))?.offset).toEqual(Offset.custom('aaaa'));
  },

  'a batch of many sources is stored whole': async (open, expect) => {
    const store = await open();
    const batch = new Map(Array.from({ length: 200 }, (_, i) => [`source ${i}`, at(0, i + 1, Offset.sequence(i))]));
    expect(await store.commit(batch)).toEqual(batch);
    expect(await store.getAll()).toEqual(batch);
  },

  'an empty batch changes nothing': async (open, expect) => {
    const store = await open();
    expect(await store.commit(new Map())).toEqual(new Map());
    expect(await store.getAll()).toEqual(new Map());
  },

  'any string is a source name': async (open, expect) => {
    const store = await open();
    const batch = new Map(hostileNames.map((source, i) => [source, at(0, i + 1, Offset.custom(source))]));
    await store.commit(batch);
    for (const [source, checkpoint] of batch) expect(await store.get(source)).toEqual(checkpoint);
    expect(await store.getAll()).toEqual(batch);
  },

  'what the store hands out is not what it keeps': async (open, expect) => {
    const store = await open();
    const checkpoint = at(0, 1, Offset.sequence(1));
    const stands = await store.commit(new Map([['orders', checkpoint]]));
    stands.clear();
    (await store.getAll()).clear();
    expect(await store.get('orders')).toEqual(checkpoint);
  },

  'commits that overlap end at the highest': async (open, expect) => {
    const store = await open();
    const order = [7, 3, 9, 1, 8, 2, 6, 4, 5, 0];
    await Promise.all(order.map((n) => commit(store, 'orders', at(0, n + 1, Offset.sequence(n)))));
    expect(await store.get('orders')).toEqual(at(0, 10, Offset.sequence(9)));
  },

  'any sequence of commits is the join of all of them': async (open, expect) => {
    const store = await open();
    let expected: Checkpoint | undefined;
    let seed = 1;
    const random = (below: number): number => {
      seed = (seed * 48271) % 0x7fff_ffff;
      return seed % below;
    };
    for (let i = 0; i < 40; i++) {
      const incoming = at(random(3), random(4), offsets[random(offsets.length)]);
      expected = join(expected, incoming, 'orders');
      expect(await commit(store, 'orders', incoming)).toEqual(expected);
    }
    expect(await store.get('orders')).toEqual(expected);
  },

  'clearAll removes everything, also what would hold a later epoch back': async (open, expect) => {
    const store = await open();
    await commit(store, 'orders', at(4, 2, Offset.sequence(5)));
    await commit(store, 'other', at(0, 1, undefined));
    await store.clearAll();
    expect(await store.get('orders')).toEqual(undefined);
    expect(await store.getAll()).toEqual(new Map());
    const fresh = at(0, 1, Offset.sequence(1));
    expect(await commit(store, 'orders', fresh)).toEqual(fresh);
  },

  'closing twice is no error': async (open) => {
    const store = await open();
    await store.close();
    await store.close();
  },

  'what was committed is there when the store is opened again': async (open, expect) => {
    const first = await open();
    if (first.capabilities.durability === 'none') return;
    const checkpoint = at(2, 7, Offset.sequence(2n ** 64n - 1n));
    await commit(first, 'orders', checkpoint);
    await first.close();
    const second = await open();
    expect(await second.get('orders')).toEqual(checkpoint);
    expect(await second.getAll()).toEqual(new Map([['orders', checkpoint]]));
  },

  'two open stores on the same data never take each other back': async (open, expect) => {
    const [one, two] = [await open(), await open()];
    const { shared, consistency } = one.capabilities;
    if (shared === 'none' || consistency === 'eventual') return;
    const high = at(0, 5, Offset.sequence(5));
    await one.get('orders');
    await two.get('orders');
    await commit(one, 'orders', high);
    expect(await commit(two, 'orders', at(0, 3, Offset.sequence(3)))).toEqual(high);
    // Out of order, so that a store whose reading and writing are two steps ends too low.
    const order = Array.from({ length: 20 }, (_, i) => 6 + ((i * 7) % 20));
    await Promise.all(order.map((n, i) => commit(i % 2 ? one : two, 'orders', at(0, n, Offset.sequence(n)))));
    expect((await one.get('orders'))?.offset).toEqual(Offset.sequence(25));
    expect((await two.get('orders'))?.offset).toEqual(Offset.sequence(25));
    await commit(one, 'orders', at(0, 26, Offset.sequence(26)));
    expect((await two.get('orders'))?.offset).toEqual(Offset.sequence(26));
  },

  'begin starts a higher epoch at an offset, as a tombstone, or where the source stands': async (open, expect) => {
    const store = await open();
    if (store.begin === undefined) return;
    await commit(store, 'orders', at(0, 9, Offset.custom('x')));
    const fence = await store.begin('orders');
    expect(fence).toEqual({ ...at(fence.epoch, 9, Offset.custom('x')) });
    expect(isFence(fence.epoch)).toEqual(true);
    const reset = await store.begin('orders', { offset: Offset.sequence(2n ** 64n - 1n) });
    const { epoch, committedAt } = reset;
    expect(reset).toEqual({ ...at(epoch, 0, Offset.sequence(2n ** 64n - 1n)), committedAt });
    expect([epoch > fence.epoch, isFence(epoch)]).toEqual([true, false]);
    expect(await store.get('orders')).toEqual(reset);
    expect(await commit(store, 'orders', at(fence.epoch, 10, Offset.custom('y')))).toEqual(reset);
    const tombstone = await store.begin('orders', {});
    expect([tombstone.epoch > epoch, tombstone.rank, tombstone.offset]).toEqual([true, 0, undefined]);
    expect(await store.get('orders')).toEqual(tombstone);
    const unknown = await store.begin('unknown');
    expect([unknown.rank, unknown.offset, isFence(unknown.epoch)]).toEqual([0, undefined, true]);
    expect(await store.getAll()).toEqual(
      new Map([
        ['orders', tombstone],
        ['unknown', unknown],
      ]),
    );
  },

  'no two that begin an epoch at once begin the same, and a fence moves nothing': async (open, expect) => {
    const [one, two] = [await open(), await open()];
    if (one.begin === undefined || one.capabilities.consistency === 'eventual') return;
    const stores = one.capabilities.shared === 'none' ? [one, one] : [one, two];
    await commit(one, 'orders', at(0, 5, Offset.sequence(5)));
    const ats = [undefined, { offset: Offset.sequence(5) }];
    const begun = await Promise.all(
      Array.from({ length: 20 }, (_, i) => stores[i % 2]?.begin?.('orders', ats[(i >> 1) % 2]) ?? Promise.reject()),
    );
    expect(new Set(begun.map(({ epoch }) => epoch)).size).toEqual(20);
    const stands = begun.reduce((last, each) => (each.epoch > last.epoch ? each : last));
    for (const store of stores) expect(await store.get('orders')).toEqual(stands);
    expect(begun.every(({ offset }) => offset !== undefined && Offset.equals(offset, Offset.sequence(5)))).toEqual(
      true,
    );
  },

  'a commit that races with begin is of the old epoch, or carried over': async (open, expect) => {
    const [one, two] = [await open(), await open()];
    if (one.begin === undefined || one.capabilities.consistency === 'eventual') return;
    const other = one.capabilities.shared === 'none' ? one : two;
    for (let round = 1; round <= 10; round++) {
      const before = (await one.get('orders')) ?? at(0, 0, undefined);
      const next = at(before.epoch, round, Offset.sequence(round));
      const [fence, stands] = await Promise.all([other.begin?.('orders'), commit(one, 'orders', next)]);
      const now = await one.get('orders');
      // Either the commit came first, and the fence stands at its place, or the fence did, and the commit was refused.
      const carried = stands?.epoch === before.epoch;
      expect(now).toEqual(fence);
      expect(carried ? now?.rank : stands?.epoch).toEqual(carried ? round : fence?.epoch);
      if (!carried) await commit(one, 'orders', { ...next, epoch: fence?.epoch ?? 0 });
    }
  },

  'what is saved while the page goes away is carried over by begin': async (open, expect) => {
    const [one, two] = [await open(), await open()];
    if (one.commitOnHide === undefined || two.begin === undefined) return;
    await commit(one, 'orders', at(0, 5, Offset.sequence(5)));
    one.commitOnHide(new Map([['orders', at(0, 9, Offset.sequence(9))]]));
    expect((await two.begin('orders')).offset).toEqual(Offset.sequence(9));
    const { epoch } = await two.begin('orders', { offset: Offset.sequence(1) });
    expect(await two.get('orders')).toEqual({ ...(await two.get('orders')), epoch, offset: Offset.sequence(1) });
  },

  'a feed id is kept with the offset that it goes with': async (open, expect) => {
    const store = await open();
    const named = { ...at(0, 1, Offset.sequence(1)), feed: 'log \ud800 "7"' };
    expect(await commit(store, 'orders', named)).toEqual(named);
    expect(await store.get('orders')).toEqual(named);
    const fence = beginEpoch(named);
    expect(await commit(store, 'orders', fence)).toEqual(fence);
    expect(await store.getAll()).toEqual(new Map([['orders', fence]]));
  },

  'what is saved while the page goes away is joined by the next reader': async (open, expect) => {
    const [one, two] = [await open(), await open()];
    if (one.commitOnHide === undefined) return;
    await commit(one, 'orders', at(0, 5, Offset.sequence(5)));
    one.commitOnHide(new Map([['orders', at(0, 9, Offset.sequence(9))]]));
    one.commitOnHide(new Map([['orders', at(0, 2, Offset.sequence(2))]]));
    expect(await commit(two, 'orders', at(0, 7, Offset.sequence(7)))).toEqual(at(0, 9, Offset.sequence(9)));
    expect(await two.getAll()).toEqual(new Map([['orders', at(0, 9, Offset.sequence(9))]]));
  },
};

const offsets: readonly (Offset | undefined)[] = [
  undefined,
  Offset.earliest,
  Offset.latest,
  Offset.sequence(0),
  Offset.sequence(2n ** 64n - 1n),
  Offset.timestamp(0),
  Offset.timestamp('2026-01-02T03:04:05.678Z'),
  Offset.timestamp(-1),
  Offset.custom(''),
  Offset.custom('0_17'),
  Offset.custom('\u0000 \ud800 "\\ 😀'),
];

function at(epoch: number, rank: number, offset: Offset | undefined): Checkpoint {
  return { epoch, rank, offset, committedAt: 1_767_323_045_000 };
}

async function commit(store: OffsetStore, source: string, checkpoint: Checkpoint): Promise<Checkpoint | undefined> {
  return (await store.commit(new Map([[source, checkpoint]]))).get(source);
}
