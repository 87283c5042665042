import * as fake from 'fake-indexeddb';
import { openDB } from 'idb';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { IndexedDBOffsetStore, createOffsetStore } from '../../../src/stores/indexeddb/store.ts';
import { at, closeAfter, commit } from './databases.ts';

afterEach(() => void vi.unstubAllGlobals());

const isBare = () => Object.keys(globalThis).every((name) => !name.startsWith('IDB') && name !== 'indexedDB');

// Deno has a localStorage that outlives the process: a page that is left leaves its place there.
afterEach(() => globalThis.localStorage?.clear());

describe('where there is no IndexedDB, as in Node', () => {
  test.each([
    ['get', (store: IndexedDBOffsetStore) => store.get('orders')],
    ['getAll', (store: IndexedDBOffsetStore) => store.getAll()],
    ['commit', (store: IndexedDBOffsetStore) => commit(store, 'orders', at(1n))],
    ['commit of nothing', (store: IndexedDBOffsetStore) => store.commit(new Map())],
    ['begin', (store: IndexedDBOffsetStore) => store.begin('orders')],
    ['clearAll', (store: IndexedDBOffsetStore) => store.clearAll()],
    [
      'transact',
      (store: IndexedDBOffsetStore) => store.transact('orders', { expected: undefined, next: at(1n) }, [], () => {}),
    ],
  ])('%s says so', async (_, call) => {
    expect(isBare()).toBe(true);
    const store = closeAfter(new IndexedDBOffsetStore());
    await expect(call(store)).rejects.toMatchObject({ name: 'UnsupportedError', code: 'unsupported' });
  });

  test('a page that is left, and listeners, are no trouble', async () => {
    const store = closeAfter(new IndexedDBOffsetStore());
    const told: unknown[] = [];
    store.subscribe((change) => told.push(change));
    store.commitOnHide(new Map([['orders', at(1n)]]));
    store.suspend();
    store.wake();
    await expect.poll(() => told).toMatchObject([{ type: 'health', error: { code: 'unsupported' } }]);
  });
});

test('a factory that is given needs no globals of IndexedDB', async () => {
  expect(isBare()).toBe(true);
  const factory = new fake.IDBFactory();
  const store = closeAfter(new IndexedDBOffsetStore({ indexedDB: factory }));
  const other = closeAfter(new IndexedDBOffsetStore({ indexedDB: factory }));
  expect(await store.get('orders')).toBe(undefined);
  expect(await commit(store, 'orders', at(1n))).toEqual(at(1n));
  other.commitOnHide(new Map([['orders', at(2n)]]));
  await other.get('orders');
  other.commitOnHide(new Map([['orders', at(3n)]]));
  expect(await commit(store, 'orders', at(2n))).toEqual(at(3n));
  const fence = await other.begin('orders');
  expect(fence).toMatchObject({ rank: 3, offset: at(3n).offset });
  expect(await store.getAll()).toEqual(new Map([['orders', fence]]));
  await store.clearAll();
  expect(await other.get('orders')).toBe(undefined);
  expect(isBare()).toBe(true);
});

test('effects need the globals, because idb does, and say so', async () => {
  for (const [name, value] of Object.entries(fake)) if (name.startsWith('IDB')) vi.stubGlobal(name, value);
  vi.stubGlobal('indexedDB', new fake.IDBFactory());
  const upgrade = (
    upgraded: Parameters<typeof createOffsetStore>[0] & { createObjectStore(name: string): unknown },
  ) => {
    upgraded.createObjectStore('totals');
    createOffsetStore(upgraded);
  };
  const db = await openDB('own', 1, { upgrade });
  const store = closeAfter(new IndexedDBOffsetStore({ db }));
  const add = (n: bigint, wait?: Promise<unknown>) =>
    store.transact('orders', { expected: n > 1n ? at(n - 1n) : undefined, next: at(n) }, ['totals'], async (tx) => {
      const totals = tx.objectStore('totals');
      for (let i = 0; i < 10; i++) await totals.put(((await totals.get('n')) ?? 0) + 1, 'n');
      await wait;
    });
  expect((await add(1n)).outcome).toBe('applied');
  await expect(add(2n, new Promise(() => {}))).rejects.toThrow(/awaited something other/);
  expect(await db.get('totals', 'n')).toBe(10);
  expect((await add(2n)).outcome).toBe('applied');
  expect(await db.get('totals', 'n')).toBe(20);
  vi.unstubAllGlobals();
  await expect(add(3n)).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining('globals') });
});
