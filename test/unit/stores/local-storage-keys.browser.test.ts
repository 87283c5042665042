import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Checkpoint } from '../../../src/checkpoint.ts';
import { Offset } from '../../../src/offset.ts';
import { LocalStorageOffsetStore } from '../../../src/stores/local-storage/store.ts';

const opened: LocalStorageOffsetStore[] = [];
const name = 'keys';
const prefix = `tidemark/1/"${name}"/`;

beforeEach(() => localStorage.clear());

afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
  vi.unstubAllGlobals();
  localStorage.clear();
});

describe('what a call costs in calls of the storage', () => {
  test('a commit costs the same beside any number of sources and foreign keys', async () => {
    const costs: number[] = [];
    for (const count of [20, 160, 1280]) {
      localStorage.clear();
      for (let i = 0; i < count; i++) localStorage.setItem(`foreign ${i}`, 'x');
      const { storage, calls } = counting();
      const store = open(storage);
      await store.commit(many(count, 1n));
      calls();
      await commit(store, 'source 1', 2n);
      await store.commit(many(3, 3n));
      costs.push(calls());
    }
    expect(new Set(costs).size).toBe(1);
    expect(costs[0]).toBeLessThan(40);
  });

  test('a look at each of many sources costs as much for each, and one at all no more', async () => {
    const costs: number[] = [];
    for (const count of [20, 160, 1280]) {
      localStorage.clear();
      await open().commit(many(count, 1n));
      const { storage, calls } = counting();
      const [store, other] = [open(storage), open(storage)];
      await Promise.all(Array.from({ length: count }, (_, i) => store.get(`source ${i}`)));
      const each = calls() / count;
      await other.getAll();
      costs.push(each, calls() / count);
    }
    expect(Math.max(...costs)).toBeLessThan(12);
  });

  test('neither grows with the number of past visits, whatever they read', async () => {
    const costs: number[] = [];
    for (let visit = 0; visit < 60; visit++) {
      const { storage, calls } = counting();
      const store = open(storage);
      await commit(store, `source ${visit}`, 1n);
      await folded(store);
      calls();
      await commit(store, 'other', BigInt(visit + 1));
      await store.get('other');
      costs.push(calls());
      store.suspend();
    }
    expect(Math.max(...costs.slice(30))).toBeLessThanOrEqual(Math.max(...costs.slice(0, 30)));
    expect(Math.max(...costs)).toBeLessThan(40);
    expect(lives().size).toBeLessThan(6);
    expect((await open().getAll()).size).toBe(61);
  });
});

describe.each(['with', 'without'])('%s Web Locks', (locks) => {
  beforeEach(() => {
    if (locks === 'without') vi.stubGlobal('navigator', {});
  });

  test.each([
    ['left', (store: LocalStorageOffsetStore) => store.suspend()],
    ['closed', (store: LocalStorageOffsetStore) => store.close()],
    [
      'left with something pending',
      (store: LocalStorageOffsetStore) => {
        store.commitOnHide(new Map([['orders', at(1000n)]]));
        store.suspend();
        store.commitOnHide(new Map([['orders', at(1001n)]]));
      },
    ],
  ])('short visits of a page that is %s leave few keys', async (_, leave) => {
    for (let visit = 1n; visit <= 20n; visit++) {
      const store = open();
      for (let n = 0n; n < 5n; n++) await commit(store, 'orders', visit * 5n + n);
      await folded(store);
      await leave(store);
    }
    expect(localStorage.length).toBeLessThanOrEqual(5);
    expect((await open().get('orders'))?.rank).toBeGreaterThanOrEqual(104);
  });

  test('what visits left of sources that nobody has read since is kept', async () => {
    for (let visit = 0; visit < 30; visit++) {
      const store = open();
      await store.commit(new Map([[`source ${visit % 10}`, at(BigInt(visit + 1))]]));
      await folded(store);
      store.suspend();
    }
    const all = await open().getAll();
    expect([...all.values()].map(({ rank }) => rank).sort()).toEqual([21, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
    expect(lives().size).toBeLessThan(6);
  });

  test('a page that is away saves under a key that the next visit may fold at once', async () => {
    const gone = open();
    await commit(gone, 'orders', 1n);
    gone.suspend();
    for (const n of [2n, 4n, 3n]) gone.commitOnHide(new Map([['orders', at(n)]]));
    expect(slots()).toHaveLength(4);
    const next = open();
    expect(await next.get('orders')).toEqual(at(4n));
    await commit(next, 'orders', 5n);
    await expect.poll(slots).toHaveLength(1);
    expect(await open().get('orders')).toEqual(at(5n));
  });

  test('what cannot be read is neither folded nor in the way', async () => {
    const gone = open();
    await commit(gone, 'orders', 1n);
    await commit(gone, 'other', 1n);
    gone.suspend();
    const key = slots().find((slot) => slot.endsWith('"other"')) ?? '';
    localStorage.setItem(key, 'garbage');
    const next = open();
    await commit(next, 'orders', 2n);
    await expect.poll(slots).toHaveLength(2);
    expect(localStorage.getItem(key)).toBe('garbage');
  });
});

describe('a life that ended without a word', () => {
  test('is folded without Web Locks once it has been silent for a day, not before', async () => {
    vi.stubGlobal('navigator', {});
    const crashed = open();
    await commit(crashed, 'orders', 1n);
    const [id = ''] = lives().keys();
    const store = open();
    const settle = () => vi.waitFor(async () => expect((await commit(store, 'orders', 2n))?.rank).toBe(2));
    list({ [id]: Date.now() - 80_000_000 });
    await settle();
    expect(slots()).toHaveLength(2);
    list({ [id]: Date.now() - 90_000_000 });
    await expect
      .poll(async () => [await commit(store, 'orders', 2n), slots().length], { interval: 100 })
      .toEqual([at(2n), 1]);
    // It lives after all: it lists itself again, and what it commits counts.
    expect(await commit(crashed, 'orders', 3n)).toEqual(at(3n));
    expect(lives().has(id)).toBe(true);
    expect(await store.get('orders')).toEqual(at(3n));
  });
});

describe('the list of lives', () => {
  test('may lose one: it lists itself again, and a new tab finds it by its keys', async () => {
    const [one, two] = [open(), open()];
    await commit(two, 'orders', 1n);
    await commit(one, 'orders', 5n);
    const [, second] = lives().keys();
    const without = () => list(Object.fromEntries([...lives()].filter(([life]) => life !== second)));
    without();
    expect(await open().get('orders')).toEqual(at(5n));
    await commit(one, 'orders', 6n);
    expect(lives().has(second ?? '')).toBe(true);
    expect(await commit(two, 'orders', 2n)).toEqual(at(6n));
  });

  test.each(['not json', '{"generation":1,"lives":{}}', '{"generation":"x","lives":{"a":"b"}}', 'null', '[]'])(
    'may be spoilt, and is made anew: %s',
    async (text) => {
      const one = open();
      await commit(one, 'orders', 5n);
      localStorage.setItem(`${prefix}lives`, text);
      const two = open();
      expect(await two.get('orders')).toEqual(at(5n));
      expect(await commit(two, 'orders', 6n)).toEqual(at(6n));
      expect(await commit(one, 'orders', 7n)).toEqual(at(7n));
      expect(await two.getAll()).toEqual(new Map([['orders', at(7n)]]));
    },
  );

  test('without it a tab that reads finds what others committed within seconds', async () => {
    const [one, two] = [open(), open()];
    await two.get('orders');
    await commit(one, 'orders', 5n);
    localStorage.removeItem(`${prefix}lives`);
    await expect.poll(() => two.get('orders'), { timeout: 15_000 }).toEqual(at(5n));
  });
});

describe('what other tabs told of', () => {
  test('does not outlive clearAll, whether or not that was heard', async () => {
    const [one, two] = [open(), open()];
    const told: unknown[] = [];
    const unsubscribe = two.subscribe((change) => told.push(change));
    await commit(one, 'orders', 5n);
    await expect.poll(() => told).toHaveLength(1);
    unsubscribe();
    await one.clearAll();
    expect(await two.get('orders')).toBe(undefined);
    expect(await two.getAll()).toEqual(new Map());
    expect(await commit(two, 'orders', 1n)).toEqual(at(1n));
  });

  test('does not come back when the news arrives after clearAll', async () => {
    const store = open();
    const told: unknown[] = [];
    store.subscribe((change) => told.push(change));
    await commit(store, 'orders', 5n);
    const { generation } = directory();
    await store.clearAll();
    await commit(store, 'orders', 1n);
    const late = new BroadcastChannel(`tidemark/1/${store.id}`);
    late.postMessage({ type: 'commit', batch: new Map([['orders', at(6n)]]), generation });
    await expect.poll(() => told).toHaveLength(1);
    late.close();
    expect(await store.get('orders')).toEqual(at(1n));
  });

  test('counts before it arrives', async () => {
    const store = open();
    const told: unknown[] = [];
    store.subscribe((change) => told.push(change));
    await commit(store, 'orders', 5n);
    const other = new BroadcastChannel(`tidemark/1/${store.id}`);
    const { generation } = directory();
    other.postMessage({ type: 'commit', batch: new Map([['orders', at(6n)]]), generation });
    await expect.poll(() => told).toHaveLength(1);
    other.close();
    expect(await commit(store, 'orders', 4n)).toEqual(at(6n));
    expect(await store.getAll()).toEqual(new Map([['orders', at(6n)]]));
  });
});

/** Waits until a store has folded what it may fold at once: it has committed before. */
async function folded(store: LocalStorageOffsetStore): Promise<void> {
  await store.getAll();
  // The store asks for the locks before it folds; an answer to a later question comes later.
  await navigator.locks?.query();
  await Promise.resolve();
}

function open(storage: Storage = localStorage): LocalStorageOffsetStore {
  const store = new LocalStorageOffsetStore({ name, storage });
  opened.push(store);
  return store;
}

/** localStorage, with a count of its calls since the last time that was asked for. */
function counting() {
  let count = 0;
  const storage = new Proxy(localStorage, {
    get(target, key) {
      count++;
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const calls = () => {
    const counted = count;
    count = 0;
    return counted;
  };
  return { storage, calls };
}

function directory(): { generation: string; lives: Record<string, number> } {
  return JSON.parse(localStorage.getItem(`${prefix}lives`) ?? '{"generation":"","lives":{}}');
}

function lives(): Map<string, number> {
  return new Map(Object.entries(directory().lives));
}

function list(changed: Record<string, number>): void {
  localStorage.setItem(`${prefix}lives`, JSON.stringify({ ...directory(), lives: changed }));
}

function slots(): string[] {
  return Object.keys(localStorage).filter((key) => key.startsWith(prefix) && key !== `${prefix}lives`);
}

function many(count: number, n: bigint): Map<string, Checkpoint> {
  return new Map(Array.from({ length: count }, (_, i) => [`source ${i}`, at(n)]));
}

async function commit(store: LocalStorageOffsetStore, source: string, n: bigint) {
  return (await store.commit(new Map([[source, at(n)]]))).get(source);
}

function at(value: bigint): Checkpoint {
  return { epoch: 0, rank: Number(value), offset: Offset.sequence(value), committedAt: 1 };
}
