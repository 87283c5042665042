import { type DBSchema, type IDBPDatabase, openDB, unwrap } from 'idb';
import { beforeEach, describe, expect, expectTypeOf, test } from 'vitest';
import type { Checkpoint } from '../../../src/checkpoint.ts';
import type { StoreChange } from '../../../src/store.ts';
import {
  IndexedDBOffsetStore,
  type IndexedDBOffsetStoreOptions,
  createOffsetStore,
} from '../../../src/stores/indexeddb/store.ts';
import { at, closeAfter, commit, freshName } from './databases.ts';

interface Schema extends DBSchema {
  notes: { key: number; value: { id: number; text: string } };
  totals: { key: string; value: number };
}

let name: string;
let db: IDBPDatabase<Schema>;

beforeEach(async () => {
  name = freshName();
  db = await openOwn();
});

describe('an effect and its offset', () => {
  test('are stored together, and told to other tabs', async () => {
    const [store, other] = [open(), open()];
    const heard = follow(other);
    const change = { expected: undefined, next: at(1n) };
    const result = await store.transact('orders', change, ['notes'], (tx) =>
      tx.objectStore('notes').put({ id: 1, text: 'one' }),
    );
    expect(result).toEqual({ outcome: 'applied', stands: at(1n) });
    expect(await db.getAll('notes')).toEqual([{ id: 1, text: 'one' }]);
    expect(await store.get('orders')).toEqual(at(1n));
    await expect.poll(() => heard).toEqual([{ type: 'commit', batch: new Map([['orders', at(1n)]]) }]);
    expect(store.capabilities.transactional).toBe(true);
  });

  test('may take many requests, one after the other, by cursors too', async () => {
    const store = open();
    for (let id = 0; id < 50; id++) await db.put('notes', { id, text: 'old' });
    const { outcome } = await store.transact('orders', first, ['notes', 'totals'], async (tx) => {
      for (let i = 0; i < 50; i++) await add(tx.objectStore('totals'));
      for await (const cursor of tx.objectStore('notes')) await cursor.update({ ...cursor.value, text: 'new' });
      let cursor = await tx.objectStore('notes').openKeyCursor();
      while (cursor) cursor = await cursor.continue();
      await Promise.all(Array.from({ length: 20 }, () => tx.objectStore('totals').get('n')));
      await Promise.resolve();
      expect(await tx.objectStore('totals').get('n')).toBe(50);
    });
    expect(outcome).toBe('applied');
    expect(await total()).toBe(50);
    expect((await db.getAll('notes')).every(({ text }) => text === 'new')).toBe(true);
  });

  test('may be nothing, or synchronous', async () => {
    const store = open();
    expect((await store.transact('orders', first, [], () => {})).outcome).toBe('applied');
    const second = { expected: at(1n), next: at(2n) };
    const applied = store.transact('orders', second, ['totals'], (tx) => void tx.objectStore('totals').put(7, 'n'));
    expect((await applied).outcome).toBe('applied');
    expect(await total()).toBe(7);
  });

  test('are neither stored where the offset is stored already, is of a later epoch, or not what was expected', async () => {
    const store = open();
    const skipped = async (next: Checkpoint, expected: Checkpoint | undefined) =>
      store.transact('orders', { expected, next }, ['totals'], () => expect.unreachable('the effect ran'));
    await commit(store, 'orders', at(5n));
    expect(await skipped(at(5n), at(4n))).toEqual({ outcome: 'duplicate', stands: at(5n) });
    expect(await skipped(at(3n), at(2n))).toEqual({ outcome: 'duplicate', stands: at(5n) });
    expect(await skipped(at(7n), at(4n))).toEqual({ outcome: 'moved', stands: at(5n) });
    expect(await skipped(at(7n), undefined)).toEqual({ outcome: 'moved', stands: at(5n) });
    const fence = await store.begin('orders');
    expect(await skipped(at(6n), at(5n))).toEqual({ outcome: 'fenced', stands: fence });
    expect(await store.get('orders')).toEqual(fence);
  });

  test('count what a closing page saved', async () => {
    const store = open();
    await commit(store, 'orders', at(1n));
    store.commitOnHide(new Map([['orders', at(5n)]]));
    const change = { expected: at(1n), next: at(2n) };
    const result = await store.transact('orders', change, ['totals'], () => expect.unreachable('the effect ran'));
    expect(result).toEqual({ outcome: 'duplicate', stands: at(5n) });
    const next = { expected: at(5n), next: at(6n) };
    expect((await store.transact('orders', next, ['totals'], () => {})).outcome).toBe('applied');
    expect(await store.get('orders')).toEqual(at(6n));
  });

  test('are exact while two tabs race through one feed', async () => {
    const stores = [open(), open({ db: () => openOwn() })];
    const applied = await Promise.all(
      stores.map(async (store) => {
        let own = 0;
        let expected: Checkpoint | undefined;
        for (let n = 1n; n <= 100n;) {
          const { outcome, stands } = await store.transact('orders', { expected, next: at(n) }, ['totals'], (tx) =>
            add(tx.objectStore('totals')),
          );
          own += outcome === 'applied' ? 1 : 0;
          expected = stands;
          n = BigInt(stands?.rank ?? 0) + 1n;
        }
        return own;
      }),
    );
    expect(applied.reduce((a, b) => a + b)).toBe(100);
    expect(await total()).toBe(100);
  });
});

describe('an effect that fails', () => {
  test.each([
    ['throws', () => Promise.reject(boom)],
    [
      'throws at once',
      () => {
        throw boom;
      },
    ],
    [
      'throws an AbortError of its own',
      () => {
        throw new DOMException('called off', 'AbortError');
      },
    ],
  ])('because it %s rejects with just that, runs once, and leaves nothing', async (_, then: () => Promise<never>) => {
    const store = open();
    const heard = follow(store);
    let runs = 0;
    let thrown: unknown;
    const failing = store.transact('orders', first, ['totals'], async (tx) => {
      runs++;
      await add(tx.objectStore('totals'));
      try {
        await then();
      } catch (error) {
        thrown = error;
        throw error;
      }
    });
    const error = await failing.catch((reason: unknown) => reason);
    expect(error).toBe(thrown);
    expect([runs, await total(), await store.get('orders'), heard]).toEqual([1, 0, undefined, []]);
  });

  test('because a request fails rejects with that request’s error', async () => {
    const store = open();
    await db.put('notes', { id: 1, text: 'one' });
    const failing = store.transact('orders', first, ['notes', 'totals'], async (tx) => {
      await add(tx.objectStore('totals'));
      await tx.objectStore('notes').add({ id: 1, text: 'again' });
    });
    await expect(failing).rejects.toMatchObject({ name: 'ConstraintError' });
    expect([await total(), await store.get('orders')]).toEqual([0, undefined]);
  });

  test('in a request that it did not await rejects all the same', async () => {
    const store = open();
    await db.put('notes', { id: 1, text: 'one' });
    const failing = store.transact('orders', first, ['notes', 'totals'], async (tx) => {
      await add(tx.objectStore('totals'));
      tx.objectStore('notes')
        .add({ id: 1, text: 'again' })
        .catch(() => {});
    });
    await expect(failing).rejects.toMatchObject({ name: 'StorageError', cause: { name: 'ConstraintError' } });
    expect([await total(), await store.get('orders')]).toEqual([0, undefined]);
  });

  test.each([
    ['abort', 'called abort()'],
    ['commit', 'called commit()'],
  ] as const)('because it calls %s of the transaction is told so', async (method, told) => {
    const store = open();
    let runs = 0;
    const failing = store.transact('orders', first, ['totals'], async (tx) => {
      runs++;
      await add(tx.objectStore('totals'));
      tx[method]();
    });
    await expect(failing).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining(told) });
    expect([runs, await total(), await store.get('orders')]).toEqual([1, 0, undefined]);
  });

  test('because it names an object store that is not there is told so', async () => {
    const store = open<unknown>();
    const failing = store.transact('orders', first, ['nots'], () => {});
    await expect(failing).rejects.toMatchObject({ name: 'StorageError', message: expect.stringContaining('"nots"') });
  });
});

describe('an effect that awaits something else than its transaction', () => {
  test.each<[string, () => Promise<unknown>, string[]?]>([
    ['a timer', () => new Promise((resolve) => setTimeout(resolve, 500)), ['beside']],
    ['the next task', () => new Promise((resolve) => setTimeout(resolve))],
    ['a fetch', () => fetch(location.href)],
    ['another transaction', () => db.get('notes', 1)],
    ['what never comes', () => new Promise(() => {}), ['beside']],
  ])('as %s, is told so, and nothing is stored', async (_, something, more = []) => {
    const store = open();
    for (const when of ['before', 'between', 'after', ...more]) {
      const failing = store.transact('orders', first, ['totals'], async (tx) => {
        const totals = tx.objectStore('totals');
        if (when === 'before') await something();
        if (when === 'beside') return Promise.all([add(totals), something()]);
        await add(totals);
        if (when === 'before') return undefined;
        await something();
        return when === 'between' && (await add(totals));
      });
      await expect(failing).rejects.toMatchObject({
        code: 'unsupported',
        source: 'orders',
        message: expect.stringMatching(/awaited something other .* nothing was stored/),
      });
      expect([await total(), await store.get('orders')]).toEqual([0, undefined]);
    }
    await store.transact('orders', first, ['totals'], (tx) => add(tx.objectStore('totals')));
    expect(await total()).toBe(1);
  });
});

describe('a transaction that is rolled back through no fault of the effect', () => {
  test.each(['commitOnHide', 'suspend'] as const)('by %s is repeated, the effect too', async (leave) => {
    const store = open();
    let runs = 0;
    const applying = store.transact('orders', first, ['totals'], async (tx) => {
      await add(tx.objectStore('totals'));
      if (++runs === 1) {
        if (leave === 'suspend') store.suspend();
        else store.commitOnHide(new Map([['other', at(1n)]]));
      }
      await add(tx.objectStore('totals'));
    });
    if (leave === 'suspend') {
      await expect.poll(() => runs).toBe(1);
      expect([await total(), runs]).toEqual([0, 1]);
      store.wake();
    }
    expect((await applying).outcome).toBe('applied');
    expect([runs, await total()]).toEqual([2, 2]);
  });

  test('because the connection was lost is repeated on a new one', async () => {
    let runs = 0;
    const { store, opened } = losing(abortSoon);
    const applied = await store.transact('orders', first, ['totals'], (tx) => {
      runs++;
      return add(tx.objectStore('totals'));
    });
    expect(applied).toEqual({ outcome: 'applied', stands: at(1n) });
    expect([opened(), await total()]).toEqual([2, 1]);
    expect(runs).toBeLessThanOrEqual(2);
  });

  test('because the connection is lost again and again rejects with what may pass, and calling again is safe', async () => {
    const { store } = losing(abortSoon, 2);
    const apply = () => store.transact('orders', first, ['totals'], (tx) => add(tx.objectStore('totals')));
    await expect(apply()).rejects.toMatchObject({ name: 'StorageError', retryable: true });
    expect(await total()).toBe(0);
    expect((await apply()).outcome).toBe('applied');
    expect(await total()).toBe(1);
  });

  test('as the connection is lost in the moment of the commit, which came through: it is not applied twice', async () => {
    const { store } = losing(pretendAborted);
    const applied = await store.transact('orders', first, ['totals'], (tx) => add(tx.objectStore('totals')));
    expect(applied).toEqual({ outcome: 'applied', stands: at(1n) });
    expect(await total()).toBe(1);
    expect(await store.get('orders')).toEqual(at(1n));
  });

  test('as the same, and another tab went on from there: the answer is no lie', async () => {
    const other = open();
    const { store } = losing((tx) =>
      pretendAborted(tx, () => other.transact('orders', { expected: at(1n), next: at(2n) }, [], () => {})),
    );
    const told = await store.transact('orders', first, ['totals'], (tx) => add(tx.objectStore('totals')));
    expect(told).toEqual({ outcome: 'duplicate', stands: at(2n) });
    expect(await total()).toBe(1);
  });
});

test('without a database of the application’s own there is no transact, and the error says to give one', async () => {
  const store = closeAfter(new IndexedDBOffsetStore({ name: freshName() }));
  expect(store.capabilities.transactional).toBe(false);
  await expect(store.transact('orders', first, [], () => {})).rejects.toMatchObject({
    code: 'unsupported',
    source: 'orders',
    message: expect.stringMatching(/give it as db.*createOffsetStore/),
  });
});

test('the scope and the transaction are typed by the schema', async () => {
  const store = open();
  // @ts-expect-error: the schema has no such object store
  const unknown = store.transact('orders', first, ['nots'], () => {});
  await expect(unknown).rejects.toMatchObject({ code: 'storage' });
  const outside = store.transact('orders', first, ['totals'], (tx) => {
    // @ts-expect-error: not in the scope
    tx.objectStore('notes');
  });
  await expect(outside).rejects.toMatchObject({ name: 'NotFoundError' });
  // @ts-expect-error: totals are numbers
  const many = store.transact('orders', first, ['totals'], (tx) => tx.objectStore('totals').put('many', 'n'));
  expect((await many).outcome).toBe('applied');
  const inferred = closeAfter(new IndexedDBOffsetStore({ db }));
  expectTypeOf(inferred).toEqualTypeOf<IndexedDBOffsetStore<Schema>>();
});

const boom = new TypeError('connection lost, says the effect');
const first = { expected: undefined, next: at(1n) };

async function openOwn(): Promise<IDBPDatabase<Schema>> {
  return closeAfter(
    await openDB<Schema>(name, 1, {
      upgrade(upgraded) {
        upgraded.createObjectStore('notes', { keyPath: 'id' });
        upgraded.createObjectStore('totals');
        createOffsetStore(upgraded);
      },
    }),
  );
}

function open<S extends DBSchema | unknown = Schema>(options: IndexedDBOffsetStoreOptions<S> = {}) {
  return closeAfter(new IndexedDBOffsetStore<S>({ name, db, ...options }));
}

/** A store whose connection loses its first readwrite transactions in the way that is given. */
function losing(lose: (tx: IDBTransaction) => unknown, times = 1) {
  let opened = 0;
  let left = times;
  const store = open({
    name,
    db: async () => {
      opened++;
      const raw = unwrap(await openOwn());
      const { transaction } = raw;
      raw.transaction = (...args) => {
        const tx = transaction.apply(raw, args);
        if (tx.mode === 'readwrite' && left-- > 0) lose(tx);
        return tx;
      };
      return raw;
    },
  });
  return { store, opened: () => opened };
}

function abortSoon(tx: IDBTransaction): void {
  queueMicrotask(() => tx.abort());
}

/** Has a transaction come through, and tells of an abort, as a browser does whose database process died just then. */
function pretendAborted(tx: IDBTransaction, then: () => unknown = () => {}): void {
  tx.addEventListener('complete', (event) => {
    event.stopImmediatePropagation();
    void Promise.resolve(then()).then(() => tx.dispatchEvent(new Event('abort')));
  });
}

async function add(totals: {
  get(key: string): Promise<number | undefined>;
  put(value: number, key: string): Promise<unknown>;
}): Promise<void> {
  await totals.put(((await totals.get('n')) ?? 0) + 1, 'n');
}

async function total(): Promise<number> {
  return (await db.get('totals', 'n')) ?? 0;
}

function follow(store: IndexedDBOffsetStore<Schema>): StoreChange[] {
  const heard: StoreChange[] = [];
  store.subscribe((change) => heard.push(change));
  return heard;
}
