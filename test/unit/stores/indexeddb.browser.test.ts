import { type IDBPDatabase, deleteDB, openDB } from 'idb';
import { afterEach, describe, expect, it, test, vi } from 'vitest';
import type { Offset } from '../../../src/offset.ts';
import type { StoreChange } from '../../../src/store.ts';
import { IndexedDBOffsetStore, createOffsetStore } from '../../../src/stores/indexeddb/store.ts';
import { testOffsetStore } from '../../../src/testing/index.ts';
import { at, closeAfter, commit, fail, freshName, open, raw } from './databases.ts';

const objectStore = 'tidemark-checkpoints';
const slotStore = 'tidemark-hide-slots';
testOffsetStore('IndexedDBOffsetStore', ({ id, compare }) => new IndexedDBOffsetStore({ name: id, compare }), {
  describe,
  it,
  expect,
});

testOffsetStore(
  'IndexedDBOffsetStore with strict durability in a database of the application’s own',
  ({ id, compare }) => {
    const name = `own ${id}`;
    return new IndexedDBOffsetStore({ name, compare, durability: 'strict', db: () => openOwn(name) });
  },
  { describe, it, expect },
);

describe('what cannot be read', () => {
  test('fails the reads and commits of its source alone, by name, and stays as it is', async () => {
    const name = freshName();
    const store = open({ name });
    await commit(store, 'orders', at(1n));
    await commit(store, 'other', at(2n));
    const garbage = { source: 'orders', epoch: 0, rank: 'many', offset: null };
    const db = await raw(name);
    await db.put(objectStore, garbage);

    const unreadable = { name: 'SerializationError', source: 'orders', message: expect.stringContaining('"orders"') };
    await expect(store.get('orders')).rejects.toMatchObject(unreadable);
    await expect(store.getAll()).rejects.toMatchObject(unreadable);
    const both = new Map([
      ['other', at(3n)],
      ['orders', at(9n)],
    ]);
    await expect(store.commit(both)).rejects.toMatchObject(unreadable);
    expect(await db.get(objectStore, 'orders')).toEqual(garbage);
    expect(await store.get('other')).toEqual(at(2n));
    expect(await commit(store, 'other', at(3n))).toEqual(at(3n));
  });

  test('is no reason to call the store ill, and clearAll gets rid of it', async () => {
    const name = freshName();
    const store = open({ name });
    const heard = follow(store);
    await commit(store, 'orders', at(1n));
    await (await raw(name)).put(slotStore, { source: 'orders', epoch: 'high' });
    await expect(store.get('orders')).rejects.toMatchObject({ code: 'serialization' });
    await expect(commit(store, 'orders', at(2n))).rejects.toMatchObject({ code: 'serialization' });
    await store.clearAll();
    expect(await commit(store, 'orders', at(2n))).toEqual(at(2n));
    expect(heard).toEqual([]);
  });
});

describe('what a closing tab saves', () => {
  test('lies in the database as it was, until the next commit of the source folds it away', async () => {
    const name = freshName();
    const [closing, living] = [open({ name }), open({ name })];
    await commit(closing, 'orders', at(1n));
    for (const n of [7n, 5n, 6n])
      closing.commitOnHide(
        new Map([
          ['orders', at(n)],
          ['other', at(n)],
        ]),
      );
    const db = await raw(name);
    expect(await db.count(slotStore)).toBe(6);
    expect(await db.getAll(objectStore)).toEqual([{ source: 'orders', ...at(1n) }]);

    expect(await commit(living, 'orders', at(2n))).toEqual(at(7n));
    expect((await db.getAll(slotStore)).map(({ source }) => source)).toEqual(['other', 'other', 'other']);
    expect(await db.getAll(objectStore)).toEqual([{ source: 'orders', ...at(7n) }]);
  });

  test.each(['get', 'getAll', 'begin'] as const)('is folded away by %s', async (read) => {
    const name = freshName();
    const [closing, living] = [open({ name }), open({ name })];
    await commit(closing, 'orders', at(8n));
    for (const n of [9n, 7n]) closing.commitOnHide(new Map([['orders', at(n)]]));
    await living[read]('orders');
    const db = await raw(name);
    expect(await db.count(slotStore)).toBe(0);
    expect((await db.get(objectStore, 'orders'))?.offset).toEqual(at(9n).offset);
  });

  test('does not come back after clearAll', async () => {
    const name = freshName();
    const [closing, living] = [open({ name }), open({ name })];
    await commit(closing, 'orders', at(1n));
    closing.commitOnHide(new Map([['orders', at(9n)]]));
    await living.clearAll();
    closing.commitOnHide(new Map([['orders', at(2n)]]));
    expect(await living.get('orders')).toEqual(at(2n));
  });

  test('does not queue behind a commit under way, with which it would be lost: that one is repeated after it', async () => {
    const store = open({ name: freshName() });
    const heard = follow(store);
    await commit(store, 'orders', at(1n));
    const underWay = commit(store, 'orders', at(2n));
    for (let turns = 0; turns < 5; turns++) await Promise.resolve();
    store.commitOnHide(new Map([['orders', at(3n)]]));
    expect(await underWay).toEqual(at(3n));
    expect(heard).toEqual([]);
  });

  test('finds the database open where somebody listens, though nothing was read or written yet', async () => {
    const name = freshName();
    const [closing, living] = [open({ name }), open({ name })];
    follow(closing);
    await living.get('orders');
    const reads = () => closing.commitOnHide(new Map([['orders', at(3n)]]));
    reads();
    await expect.poll(() => living.get('orders')).toEqual(at(3n));
  });

  test('never throws, also when the store is closed', async () => {
    const store = open({ name: freshName() });
    store.commitOnHide(new Map([['orders', at(1n)]]));
    await store.close();
    store.commitOnHide(new Map([['orders', at(2n)]]));
    open({ name: freshName(), indexedDB: { open: () => fail('SecurityError') } }).commitOnHide(new Map());
  });
});

describe('what a commit costs', () => {
  afterEach(() => void vi.restoreAllMocks());

  test('is one read and one write a source, and one look a transaction, beside any number of others', async () => {
    const name = freshName();
    const store = open({ name });
    const batch = (count: number, n: bigint) => new Map(Array.from({ length: count }, (_, i) => [`s ${i}`, at(n)]));
    const counted: object[] = [];
    for (const [count, n] of [
      [10, 1n],
      [10, 2n],
      [2500, 3n],
      [10, 4n],
    ] as const) {
      counted.push(await counts(() => store.commit(batch(count, n))));
    }
    expect(counted).toEqual([
      { transaction: 1, getAllKeys: 1, get: 10, put: 10 },
      { transaction: 1, getAllKeys: 1, get: 10, put: 10 },
      { transaction: 3, getAllKeys: 3, get: 2500, put: 2500 },
      { transaction: 1, getAllKeys: 1, get: 10, put: 10 },
    ]);
    expect(await counts(() => store.commit(batch(10, 4n)))).toEqual({ transaction: 1, getAllKeys: 1, get: 10 });
    expect(await counts(() => store.get('s 1'))).toEqual({ transaction: 1, getAllKeys: 1, get: 1 });
    expect(await counts(() => store.begin('s 1'))).toEqual({ transaction: 1, getAllKeys: 1, get: 1, put: 1 });
    expect(await open({ name }).getAll()).toHaveProperty('size', 2500);
  });

  test('is one look more a source while what pages saved waits to be read', async () => {
    const store = open({ name: freshName() });
    await store.commit(new Map(['a', 'b', 'c', 'd'].map((source) => [source, at(1n)])));
    store.commitOnHide(new Map([['other', at(1n)]]));
    const batch = new Map(['a', 'b', 'c'].map((source) => [source, at(2n)]));
    expect(await counts(() => store.commit(batch))).toEqual({
      transaction: 1,
      getAllKeys: 1,
      get: 3,
      getAll: 3,
      put: 3,
    });
  });

  test('is no look at localStorage', async () => {
    const store = open({ name: freshName() });
    await commit(store, 'orders', at(1n));
    const key = vi.spyOn(Storage.prototype, 'key');
    const own = vi.spyOn(Object, 'keys');
    await commit(store, 'orders', at(2n));
    expect(own.mock.calls.flat().includes(localStorage)).toBe(false);
    expect(key).not.toHaveBeenCalled();
  });

  async function counts(work: () => Promise<unknown>): Promise<object> {
    const spies = [
      vi.spyOn(IDBDatabase.prototype, 'transaction'),
      ...(['get', 'getAll', 'getAllKeys', 'getKey', 'put', 'add', 'delete', 'openCursor'] as const).map((method) =>
        vi.spyOn(IDBObjectStore.prototype, method),
      ),
      vi.spyOn(IDBIndex.prototype, 'getAll'),
    ];
    await work();
    const called = spies.map((spy) => [spy.getMockName(), spy.mock.calls.length] as const);
    for (const spy of spies) spy.mockRestore();
    return Object.fromEntries(called.filter(([, count]) => count > 0));
  }
});

test('the globals of IndexedDB are not needed beside a factory that is given', async () => {
  const factory = indexedDB;
  const name = freshName();
  vi.stubGlobal('indexedDB', undefined);
  for (const global of ['IDBKeyRange', 'IDBRequest', 'IDBDatabase', 'IDBTransaction', 'IDBObjectStore', 'IDBCursor'])
    vi.stubGlobal(global, undefined);
  try {
    const store = open({ name, indexedDB: factory });
    expect(await commit(store, 'orders', at(1n))).toEqual(at(1n));
    store.commitOnHide(new Map([['orders', at(2n)]]));
    expect(await store.get('orders')).toEqual(at(2n));
    expect((await store.begin('orders')).offset).toEqual(at(2n).offset);
  } finally {
    vi.unstubAllGlobals();
  }
});

test('what is given back is frozen, and what was given may change', async () => {
  const store = open({ name: freshName() });
  const given = { ...at(1n), offset: { ...at(1n).offset } as Offset };
  const all = [await commit(store, 'orders', given), await store.get('orders'), (await store.getAll()).get('orders')];
  for (const found of [...all, await store.begin('orders')]) {
    expect([Object.isFrozen(found), Object.isFrozen(found?.offset)]).toEqual([true, true]);
  }
  given.rank = 9;
  expect(all[0]).toEqual(at(1n));
});

describe('between tabs', () => {
  test('what a closing tab could only tell of is written by the tabs that heard it', async () => {
    const name = freshName();
    const living = open({ name });
    const heard = follow(living);
    await commit(living, 'orders', at(1n));
    const closing = new BroadcastChannel(`tidemark/1/indexeddb:${name}`);
    closing.postMessage({ type: 'leaving', batch: new Map([['orders', at(3n)]]) });
    await expect.poll(() => heard).toEqual([{ type: 'commit', batch: new Map([['orders', at(3n)]]) }]);
    closing.close();
    expect(await open({ name }).get('orders')).toEqual(at(3n));
  });

  test('a commit, what a closing tab saves and clearAll are told, a commit that changes nothing is not', async () => {
    const name = freshName();
    const [one, two] = [open({ name }), open({ name })];
    const heard = follow(two);
    await commit(one, 'orders', at(2n));
    await commit(one, 'orders', at(1n));
    one.commitOnHide(new Map([['orders', at(3n)]]));
    await expect.poll(() => heard).toHaveLength(2);
    await one.clearAll();
    await expect
      .poll(() => heard)
      .toEqual([
        { type: 'commit', batch: new Map([['orders', at(2n)]]) },
        { type: 'commit', batch: new Map([['orders', at(3n)]]) },
        { type: 'clearAll' },
      ]);
  });

  test('strange messages are counted', async () => {
    const name = freshName();
    const store = open({ name });
    follow(store);
    const stranger = new BroadcastChannel(`tidemark/1/${store.id}`);
    closeAfter(stranger);
    stranger.postMessage('hello');
    await expect.poll(() => store.malformedMessages).toBe(1);
  });
});

describe('a database of the application’s own', () => {
  test('names the store, and stays open when the store is closed', async () => {
    const name = freshName();
    const db = await openOwn(name);
    const store = open({ db });
    expect(store.id).toBe(`indexeddb:${name}`);
    await commit(store, 'orders', at(1n));
    await store.close();
    expect(await db.count(objectStore)).toBe(1);
  });

  test('may be a promise, and must bear the name that the store was given', async () => {
    const name = freshName();
    const store = open({ name, db: openOwn(name) });
    expect(await commit(store, 'orders', at(1n))).toEqual(at(1n));
    const wrong = open({ db: () => openOwn(name) });
    await expect(wrong.get('orders')).rejects.toMatchObject({
      name: 'StorageError',
      message: expect.stringContaining(`"${name}", not "tidemark"`),
    });
  });

  test.each([
    ['any', () => {}],
    ['one', (db: IDBPDatabase) => void db.createObjectStore(objectStore, { keyPath: 'source' })],
    ['the one of an early version', (db: IDBPDatabase) => void db.createObjectStore('tidemark-offsets')],
  ])('without the object stores, having %s, gets an error that says what to call', async (_, upgrade) => {
    const name = freshName();
    const db = await openDB(name, 1, { upgrade });
    closeAfter(db);
    await expect(open({ db }).get('orders')).rejects.toMatchObject({
      name: 'StorageError',
      retryable: false,
      message: expect.stringContaining('createOffsetStore(db)'),
    });
  });

  test('gets what it lacks by an upgrade, and keeps what it has', async () => {
    const name = freshName();
    const half = await openDB(name, 1, {
      upgrade: (db) => void db.createObjectStore(objectStore, { keyPath: 'source' }),
    });
    await half.put(objectStore, { source: 'orders', ...at(1n) });
    half.close();
    const store = open({ db: await openOwn(name) });
    store.commitOnHide(new Map([['orders', at(2n)]]));
    expect(await store.get('orders')).toEqual(at(2n));
  });

  test('given as such and closed cannot be opened again, and the error says what to give', async () => {
    const name = freshName();
    const db = await openOwn(name);
    const store = open({ db });
    await commit(store, 'orders', at(1n));
    db.close();
    await expect(store.get('orders')).rejects.toMatchObject({
      name: 'StorageError',
      retryable: false,
      message: expect.stringContaining('give a function'),
    });
  });

  test('is asked for again when its connection was closed', async () => {
    const name = freshName();
    let asked = 0;
    let db: IDBPDatabase | undefined;
    const store = open({
      name,
      db: async () => {
        asked++;
        return (db = await openOwn(name));
      },
    });
    await commit(store, 'orders', at(1n));
    db?.close();
    expect(await commit(store, 'orders', at(2n))).toEqual(at(2n));
    expect(asked).toBe(2);
  });
});

test('after close every call says that the store is closed', async () => {
  const store = open({ name: freshName() });
  const early = store.get('orders');
  await store.close();
  await expect(early).rejects.toMatchObject({ code: 'closed' });
  await expect(store.get('orders')).rejects.toMatchObject({ code: 'closed' });
  await expect(store.commit(new Map())).rejects.toMatchObject({ code: 'closed' });
});

test('a commit under way when the store is closed is still durable', async () => {
  const name = freshName();
  const store = open({ name });
  await store.get('orders');
  const committing = commit(store, 'orders', at(1n));
  await Promise.resolve();
  await store.close();
  expect(await committing).toEqual(at(1n));
  expect(await open({ name }).get('orders')).toEqual(at(1n));
});

test('a store that was closed lets go of its database', async () => {
  const name = freshName();
  const store = open({ name });
  const early = open({ name });
  await commit(store, 'orders', at(1n));
  early.get('orders').catch(() => {});
  await Promise.all([store.close(), early.close()]);
  await deleteDB(name, { blocked: () => expect.unreachable('a connection was left open') });
});

async function openOwn(name: string): Promise<IDBPDatabase> {
  const db = await openDB(name, 3, {
    upgrade(upgraded) {
      upgraded.createObjectStore('notes');
      createOffsetStore(upgraded);
    },
  });
  closeAfter(db);
  return db;
}

function follow(store: IndexedDBOffsetStore): StoreChange[] {
  const heard: StoreChange[] = [];
  store.subscribe((change) => heard.push(change));
  return heard;
}
