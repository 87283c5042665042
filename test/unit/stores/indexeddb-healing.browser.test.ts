import { deleteDB, openDB } from 'idb';
import { afterEach, describe, expect, test } from 'vitest';
import type { Checkpoint } from '../../../src/checkpoint.ts';
import { Offset } from '../../../src/offset.ts';
import type { StoreChange } from '../../../src/store.ts';
import { IndexedDBOffsetStore, type IndexedDBOffsetStoreOptions } from '../../../src/stores/indexeddb/store.ts';

const opened: { close(): unknown }[] = [];
let next = 0;

afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

describe('another tab', () => {
  test('can delete the database while a store has it open, and the store starts anew', async () => {
    const { name, store, heard } = setUp();
    await commit(store, at(5n));
    await deleteDB(name);
    expect(await store.get('orders')).toBe(undefined);
    expect(await commit(store, at(1n))).toEqual(at(1n));
    expect(heard).toEqual([]);
  });

  test('can upgrade the database while a store has it open, and the store says to reload', async () => {
    const { name, store, heard } = setUp();
    await commit(store, at(5n));
    const newer = await openDB(name, 3);
    opened.push(newer);
    await expect(commit(store, at(6n))).rejects.toMatchObject({
      name: 'StorageError',
      retryable: false,
      message: expect.stringMatching(/newer version is stored: reload/),
      cause: { name: 'VersionError' },
    });
    await expect(store.get('orders')).rejects.toMatchObject({ name: 'StorageError' });
    expect(health(heard)).toEqual(['ill']);
  });

  test('that holds an older version open is named as what blocks the opening', async () => {
    const { name } = setUp();
    const older = await openDB(name, 2);
    opened.push(older);
    const upgrading = { open: (database: string) => indexedDB.open(database, 3) };
    const { store, heard } = setUp({ name, indexedDB: upgrading, openTimeoutMs: 300 });
    await expect(store.get('orders')).rejects.toMatchObject({
      name: 'StorageError',
      retryable: true,
      message: expect.stringMatching(/300 ms.*blocked by another tab/),
    });
    expect(health(heard)).toEqual(['ill']);
    older.close();
    await expect.poll(() => store.get('orders').catch((error: Error) => error.message)).toBe(undefined);
    expect(health(heard)).toEqual(['ill', 'well']);
  });

  test('that lets go in time blocks nothing', async () => {
    const { name } = setUp();
    const older = await openDB(name, 2, { blocking: () => setTimeout(() => older.close(), 50) });
    const upgrading = { open: (database: string) => indexedDB.open(database, 3) };
    const { store } = setUp({ name, indexedDB: upgrading });
    expect(await commit(store, at(1n))).toEqual(at(1n));
  });
});

describe('a connection', () => {
  test('that the browser closes is told of once and opened again at once', async () => {
    const { store, heard, databases } = setUp({ tamper: () => {} });
    await commit(store, at(1n));
    terminate(databases[0]);
    await expect.poll(() => health(heard)).toEqual(['ill', 'well']);
    expect(databases).toHaveLength(2);
    store.commitOnHide(new Map([['orders', at(2n)]]));
    expect(await store.get('orders')).toEqual(at(2n));
  });

  test.each([
    ['InvalidStateError', 'The database connection is closing.'],
    ['AbortError', 'The transaction was aborted, so the request cannot be fulfilled.'],
    ['UnknownError', 'Connection to Indexed Database server lost. Refresh the page to try again'],
    ['Error', 'Connection to Indexed Database server lost. Refresh the page to try again'],
  ])('lost once to %s is opened again, and the batch is repeated', async (kind, message) => {
    const { name, store, heard, databases } = setUp({
      tamper: (db, nth) => nth === 1 && failTransactions(db, new DOMException(message, kind)),
    });
    const batch = new Map(Array.from({ length: 20 }, (_, i) => [`source ${i}`, at(BigInt(i))]));
    expect(await store.commit(batch)).toEqual(batch);
    expect(await store.getAll()).toEqual(batch);
    expect(databases).toHaveLength(2);
    expect(health(heard)).toEqual(['ill', 'well']);
    await store.close();
    await deleteDB(name, { blocked: () => expect.unreachable('the lost connection was left open') });
  });

  test('lost in the middle of a transaction loses nothing', async () => {
    const { store, databases } = setUp({
      tamper: (db, nth) => {
        if (nth > 1) return;
        const { transaction } = db;
        db.transaction = (...args) => {
          const tx = transaction.apply(db, args);
          if (tx.mode === 'readwrite') queueMicrotask(() => tx.abort());
          return tx;
        };
      },
    });
    const commits = [1n, 2n, 3n].map((n) => commit(store, at(n)));
    await Promise.all(commits);
    expect(await store.get('orders')).toEqual(at(3n));
    expect(databases).toHaveLength(2);
  });

  test('lost again and again fails with an error that can be retried, is told of once, and heals', async () => {
    let broken = true;
    const { store, heard, databases } = setUp({
      tamper: (db) => broken && failTransactions(db, new DOMException('Connection to the server lost', 'UnknownError')),
    });
    for (let i = 0; i < 3; i++) {
      await expect(commit(store, at(1n))).rejects.toMatchObject({
        name: 'StorageError',
        retryable: true,
        cause: { name: 'UnknownError' },
      });
    }
    expect(databases).toHaveLength(6);
    expect(health(heard)).toEqual(['ill']);
    broken = false;
    expect(await commit(store, at(1n))).toEqual(at(1n));
    expect(health(heard)).toEqual(['ill', 'well']);
  });
});

describe('opening', () => {
  test('is tried three times where the backing store fails', async () => {
    const { store, heard, factory } = setUp({ failOpening: [1, 2] });
    expect(await commit(store, at(1n))).toEqual(at(1n));
    expect(factory.calls).toBe(3);
    expect(health(heard)).toEqual(['ill', 'well']);
  });

  test('fails after three tries with an error that can be retried, and is tried afresh by the next call', async () => {
    const { store, heard, factory } = setUp({ failOpening: [1, 2, 3], listen: false });
    await expect(commit(store, at(1n))).rejects.toMatchObject({
      name: 'StorageError',
      retryable: true,
      message: expect.stringContaining('Internal error opening backing store'),
    });
    expect(factory.calls).toBe(3);
    expect(await commit(store, at(1n))).toEqual(at(1n));
    expect(heard).toEqual([]);
  });

  test('that hangs ends in an error, and leaves no connection behind when it succeeds late', async () => {
    const name = freshName();
    const late: { request: IDBOpenDBRequest; arrive(): Promise<void> }[] = [];
    const hanging = {
      open: (database: string, version?: number) => {
        const request = indexedDB.open(database, version);
        const held = new Promise<void>((resolve) => request.addEventListener('success', () => resolve()));
        // What the store sets is kept aside until the browser answers at last.
        const slow = new Proxy(request, {
          set: (target, key, value) => Reflect.set(key === 'onsuccess' ? handlers : target, key, value),
          get: (target, key) => {
            const value: unknown = Reflect.get(target, key);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        });
        const handlers: { onsuccess?: () => void } = {};
        late.push({ request: slow, arrive: () => held.then(() => handlers.onsuccess?.()) });
        return slow;
      },
    };
    await (await openDB(name, 2, { upgrade: (db) => void db.createObjectStore('any') })).close();
    const { store, heard } = setUp({ name, indexedDB: hanging, openTimeoutMs: 50, upgradeTimeoutMs: 50 });
    await expect(store.get('orders')).rejects.toMatchObject({
      name: 'StorageError',
      retryable: true,
      message: expect.stringMatching(/took over 50 ms: the browser does not answer/),
    });
    expect(health(heard)).toEqual(['ill']);
    await Promise.all(late.map(({ arrive }) => arrive()));
    await deleteDB(name, { blocked: () => expect.unreachable('a connection was left open') });
  });

  test('that hangs in the upgrade gets the longer time, and the error says so', async () => {
    const request = Object.assign(new EventTarget(), { result: { objectStoreNames: { contains: () => true } } });
    // A platform that never answers cannot be had otherwise.
    const hanging = { open: () => request as unknown as IDBOpenDBRequest };
    const { store } = setUp({ indexedDB: hanging, listen: false, openTimeoutMs: 40, upgradeTimeoutMs: 60 });
    const reading = store.get('orders');
    reading.catch(() => {});
    await expect.poll(() => 'onupgradeneeded' in request).toBe(true);
    (request as unknown as { onupgradeneeded(): void }).onupgradeneeded();
    await expect(reading).rejects.toThrow(/took over 60 ms: still upgrading/);
  });

  test('that is forbidden says so, and is not tried again', async () => {
    let calls = 0;
    const { store, heard } = setUp({
      listen: false,
      indexedDB: {
        open: () => {
          calls++;
          throw new DOMException('The operation is insecure.', 'SecurityError');
        },
      },
    });
    await expect(store.get('orders')).rejects.toMatchObject({
      name: 'StorageError',
      retryable: false,
      message: expect.stringContaining('forbidden'),
    });
    expect(calls).toBe(1);
    expect(heard).toEqual([]);
  });

  test('begins when somebody listens, so that a page that goes away finds it open', async () => {
    const { factory, databases } = setUp({ tamper: () => {} });
    expect(factory.calls).toBe(1);
    await expect.poll(() => databases).toHaveLength(1);
  });

  test('happens once for all that ask at the same time, and not before anybody does', async () => {
    const { store, factory } = setUp({ listen: false });
    expect(factory.calls).toBe(0);
    await Promise.all([store.get('a'), store.getAll(), commit(store, at(1n)), store.clearAll()]);
    expect(factory.calls).toBe(1);
  });
});

test('a spent quota fails the commit with advice, leaves what stands, and is over when there is room', async () => {
  let full = false;
  const { store, heard } = setUp({
    tamper: (db) => {
      const { transaction } = db;
      db.transaction = (...args) => {
        if (full && args[1] === 'readwrite')
          throw new DOMException('The quota has been exceeded.', 'QuotaExceededError');
        return transaction.apply(db, args);
      };
    },
  });
  await commit(store, at(1n));
  full = true;
  for (let i = 0; i < 2; i++) {
    await expect(commit(store, at(2n))).rejects.toMatchObject({
      name: 'StorageError',
      retryable: false,
      message: expect.stringMatching(/no room left: free storage/),
      cause: { name: 'QuotaExceededError' },
    });
  }
  expect(health(heard)).toEqual(['ill']);
  full = false;
  expect(await store.get('orders')).toEqual(at(1n));
  expect(await commit(store, at(2n))).toEqual(at(2n));
  expect(health(heard)).toEqual(['ill', 'well']);
});

interface SetUp extends IndexedDBOffsetStoreOptions {
  readonly tamper?: (db: IDBDatabase, nth: number) => unknown;
  /** Which openings fail. */
  readonly failOpening?: readonly number[];
  readonly listen?: boolean;
}

function setUp({ tamper, failOpening = [], listen = true, ...options }: SetUp = {}) {
  const name = options.name ?? freshName();
  const databases: IDBDatabase[] = [];
  const factory = {
    calls: 0,
    open(database: string, version?: number): IDBOpenDBRequest {
      if (failOpening.includes(++this.calls)) {
        throw new DOMException('Internal error opening backing store for indexedDB.open.', 'UnknownError');
      }
      const request = indexedDB.open(database, version);
      request.addEventListener('success', () => tamper?.(request.result, databases.push(request.result)));
      return request;
    },
  };
  const store = new IndexedDBOffsetStore({ indexedDB: factory, ...options, name });
  opened.push(store);
  const heard: StoreChange[] = [];
  if (listen) store.subscribe((change) => heard.push(change));
  return { name, store, heard, factory, databases };
}

function failTransactions(db: IDBDatabase, error: Error): void {
  db.transaction = () => {
    throw error;
  };
}

/** What a browser does that clears the site's data or whose storage process has died. */
function terminate(db: IDBDatabase | undefined): void {
  db?.close();
  db?.dispatchEvent(new Event('close'));
}

function health(heard: readonly StoreChange[]): string[] {
  return heard.flatMap((change) => (change.type === 'health' ? [change.error ? 'ill' : 'well'] : []));
}

function freshName(): string {
  return `healing ${Date.now()} ${next++}`;
}

async function commit(store: IndexedDBOffsetStore, checkpoint: Checkpoint) {
  return (await store.commit(new Map([['orders', checkpoint]]))).get('orders');
}

function at(value: bigint): Checkpoint {
  return { epoch: 0, rank: Number(value), offset: Offset.sequence(value), committedAt: 1 };
}
