import { type IDBPDatabase, unwrap } from 'idb';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Checkpoint } from '../../../src/checkpoint.ts';
import { Offset } from '../../../src/offset.ts';
import { at, commit, fail, freshName, open, raw } from './databases.ts';

afterEach(() => void vi.unstubAllGlobals());

describe('what a page leaves in localStorage that is gone before it gets to the database', () => {
  const [early, late] = [Offset.timestamp('2026-01-02T03:04:05.678Z'), Offset.timestamp('2026-01-02T03:04:05.679Z')];
  const all = new Map<string, Checkpoint>([
    ['orders', at(7n)],
    ['a/"b"/', { ...at(1n), offset: Offset.custom('0_17') }],
    ['\ud800', { ...at(1n), offset: late }],
  ]);
  /** What a store leaves whose page is gone before the database opens. */
  const left = (name: string, batch: ReadonlyMap<string, Checkpoint>) =>
    open({ name, indexedDB: { open: () => fail('AbortError') } }).commitOnHide(batch);

  test('is joined by reads, and folded into the database by the first', async () => {
    const name = freshName();
    const living = open({ name });
    await commit(living, 'orders', at(6n));
    await commit(living, '\ud800', { ...at(1n), offset: early });
    left(name, all);
    left(name, new Map([['orders', at(3n)]]));
    expect(hideSlots(name)).toHaveLength(4);
    expect(await living.get('orders')).toEqual(at(7n));
    expect(hideSlots(name)).toHaveLength(2);
    expect(await living.getAll()).toEqual(all);
    expect(hideSlots(name)).toEqual([]);
    expect(await open({ name }).getAll()).toEqual(all);
  });

  test('is of one store only, whatever that is named', async () => {
    const name = freshName();
    left(name, all);
    for (const other of [`${name}"`, `${name}/`, name.slice(0, -1)]) {
      const store = open({ name: other });
      expect(await store.getAll()).toEqual(new Map());
      await store.clearAll();
    }
    expect(hideSlots(name)).toHaveLength(3);
  });

  test('is read, and stays, where the database takes no more', async () => {
    const name = freshName();
    left(name, all);
    const full = open({ name, db: async () => refusing(await raw(name), 'QuotaExceededError') });
    await commit(open({ name }), 'orders', at(1n));
    expect(await full.get('orders')).toEqual(at(7n));
    expect(hideSlots(name)).toHaveLength(3);
  });

  test('does not come back after clearAll', async () => {
    const name = freshName();
    left(name, all);
    const living = open({ name });
    await living.clearAll();
    expect(await living.getAll()).toEqual(new Map());
  });

  test.each([
    ['no JSON', '{'],
    ['no checkpoint', '{"epoch":0,"rank":1,"committedAt":1,"offset":{"kind":"sequence","value":"many"}}'],
  ])('fails the reads of its source alone where it is %s, and stays as it is', async (_, text) => {
    const name = freshName();
    left(name, all);
    const key = hideSlots(name).find((each) => each.includes('orders')) ?? '';
    localStorage.setItem(key, text);
    const store = open({ name });
    await expect(store.get('orders')).rejects.toMatchObject({
      name: 'SerializationError',
      source: 'orders',
      message: expect.stringContaining(key),
    });
    expect(await store.get('\ud800')).toEqual(all.get('\ud800'));
    expect(localStorage.getItem(key)).toBe(text);
  });

  test('is done without where there is no localStorage', async () => {
    const name = freshName();
    vi.stubGlobal('localStorage', undefined);
    left(name, all);
    expect(await open({ name }).getAll()).toEqual(new Map());
    vi.unstubAllGlobals();
    expect(hideSlots(name)).toEqual([]);
  });
});

/** The keys of what pages left in localStorage. */
function hideSlots(name: string): string[] {
  return Object.keys(localStorage).filter((key) =>
    key.startsWith(`tidemark-hide/1/${JSON.stringify(`indexeddb:${name}`)}/`),
  );
}

/** A database that can be read, and refuses to be written. */
function refusing(db: IDBPDatabase, name: string): IDBDatabase {
  return new Proxy(unwrap(db), {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (key === 'transaction' && args[1] === 'readwrite') throw new DOMException('refused', name);
        return Reflect.apply(value, target, args);
      };
    },
  });
}
