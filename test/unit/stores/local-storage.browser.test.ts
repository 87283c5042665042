import { afterEach, describe, expect, it, test, vi } from 'vitest';
import type { Checkpoint } from '../../../src/checkpoint.ts';
import { encode } from '../../../src/codec.ts';
import { Offset } from '../../../src/offset.ts';
import type { OffsetStore, StoreChange } from '../../../src/store.ts';
import {
  LocalStorageOffsetStore,
  type LocalStorageOffsetStoreOptions,
} from '../../../src/stores/local-storage/store.ts';
import { testOffsetStore } from '../../../src/testing/index.ts';

const opened: { close(): unknown }[] = [];
const frames: HTMLIFrameElement[] = [];
let next = 0;

afterEach(async () => {
  vi.unstubAllGlobals();
  for (const one of opened.splice(0)) await one.close();
  for (const frame of frames.splice(0)) frame.remove();
  localStorage.clear();
});

testOffsetStore('LocalStorageOffsetStore', ({ id, compare }) => new LocalStorageOffsetStore({ name: id, compare }), {
  describe,
  it,
  expect,
});

describe('the keys', () => {
  test('belong to one tab and source each, and tell stores with nested names apart', async () => {
    const name = freshName();
    const [one, two] = [open({ name }), open({ name })];
    const nested = open({ name: `${name}"/x` });
    await commit(one, 'orders', at(1n));
    await commit(two, 'orders', at(2n));
    await commit(two, 'a/b', at(1n));
    await commit(nested, 'orders', at(9n));
    expect(keys(name)).toHaveLength(3);
    expect(await one.getAll()).toEqual(
      new Map([
        ['orders', at(2n)],
        ['a/b', at(1n)],
      ]),
    );
    await one.clearAll();
    expect(Object.keys(localStorage).filter((key) => key.startsWith(`tidemark/1/${JSON.stringify(name)}/`))).toEqual(
      [],
    );
    expect(await nested.getAll()).toEqual(new Map([['orders', at(9n)]]));
  });

  test('are raised by their own tab to what all tabs have, never by another, and not without need', async () => {
    const name = freshName();
    const [one, two] = [open({ name }), open({ name })];
    await commit(one, 'orders', at(5n));
    const first = Object.fromEntries(contents(name));
    await commit(two, 'orders', at(3n));
    expect(Object.fromEntries(contents(name))).toEqual(first);
    await commit(two, 'orders', at(7n));
    expect(contents(name)).toHaveLength(2);
    expect(Object.fromEntries(contents(name))).toMatchObject(first);
  });

  test('survive the store, and are never taken up again by another', async () => {
    const name = freshName();
    const first = open({ name });
    await commit(first, 'orders', at(1n));
    const before = keys(name);
    await first.close();
    const second = open({ name });
    expect(await commit(second, 'orders', at(2n))).toEqual(at(2n));
    await expect.poll(() => keys(name)).toHaveLength(1);
    expect(keys(name)).not.toEqual(before);
  });
});

describe('what cannot be read', () => {
  test.each(['not json', '{"json":{}}', '', encode(at(1n)).replace('"rank"', '"ranks"')])(
    'fails the reads and commits of its source alone, by name and key, and stays as it is: %j',
    async (garbage) => {
      const name = freshName();
      const store = open({ name });
      await commit(store, 'orders', at(1n));
      await commit(store, 'other', at(2n));
      const key = keys(name).find((one) => one.endsWith('/"orders"')) ?? '';
      localStorage.setItem(key, garbage);
      const unreadable = {
        name: 'SerializationError',
        source: 'orders',
        message: expect.stringContaining(key),
      };
      await expect(store.get('orders')).rejects.toMatchObject(unreadable);
      await expect(store.getAll()).rejects.toMatchObject(unreadable);
      await expect(
        store.commit(
          new Map([
            ['other', at(3n)],
            ['orders', at(3n)],
          ]),
        ),
      ).rejects.toMatchObject(unreadable);
      store.commitOnHide(
        new Map([
          ['orders', at(9n)],
          ['other', at(4n)],
        ]),
      );
      expect(localStorage.getItem(key)).toBe(garbage);
      expect(await store.get('other')).toEqual(at(4n));
      await store.clearAll();
      expect(await commit(store, 'orders', at(2n))).toEqual(at(2n));
    },
  );

  test('as a key fails getAll alone, which names it', async () => {
    const name = freshName();
    const store = open({ name });
    await commit(store, 'orders', at(1n));
    const key = `tidemark/1/${JSON.stringify(name)}/x/orders`;
    localStorage.setItem(key, 'anything');
    await expect(store.getAll()).rejects.toMatchObject({
      name: 'SerializationError',
      message: expect.stringContaining('/x/orders'),
    });
    expect(await commit(store, 'orders', at(2n))).toEqual(at(2n));
    expect(localStorage.getItem(key)).toBe('anything');
    await store.clearAll();
    expect(await store.getAll()).toEqual(new Map());
  });
});

describe('trouble', () => {
  test('no room fails the commit with advice, once told, and is over when there is room again', async () => {
    const store = open({ name: freshName() });
    const heard = follow(store);
    await commit(store, 'orders', at(1n));
    fillUp();
    for (let i = 0; i < 2; i++) {
      await expect(commit(store, 'x'.repeat(3000), at(1n))).rejects.toMatchObject({
        name: 'StorageError',
        retryable: false,
        message: expect.stringContaining('no room left'),
        cause: expect.any(DOMException),
      });
    }
    expect(health(heard)).toEqual(['ill']);
    for (const key of Object.keys(localStorage)) if (key.startsWith('filler')) localStorage.removeItem(key);
    expect(await commit(store, 'orders', at(2n))).toEqual(at(2n));
    expect(health(heard)).toEqual(['ill', 'well']);
  });

  test('no access is a StorageError, and only when something is asked for', async () => {
    const forbidden = new Proxy(localStorage, {
      get() {
        throw new DOMException('The operation is insecure.', 'SecurityError');
      },
    });
    const store = open({ name: freshName(), storage: forbidden });
    store.commitOnHide(new Map([['orders', at(1n)]]));
    for (const call of everyCall(store)) {
      await expect(call()).rejects.toMatchObject({
        name: 'StorageError',
        retryable: false,
        message: expect.stringContaining('The operation is insecure.'),
      });
    }
  });

  test('after close every call says that the store is closed', async () => {
    const name = freshName();
    const store = open({ name });
    await store.close();
    store.commitOnHide(new Map([['orders', at(1n)]]));
    for (const call of everyCall(store)) {
      await expect(call()).rejects.toMatchObject({ code: 'closed' });
    }
    expect(keys(name)).toEqual([]);
  });
});

describe('what tabs left that are gone', () => {
  test('is folded away, what living tabs hold is not, nor what nobody has read on', async () => {
    const name = freshName();
    const [dead, living] = [await openTab(name), await openTab(name)];
    await dead.commit('orders', at(5n));
    await dead.commit('unread', at(6n));
    await living.commit('orders', at(7n));
    const livingKeys = keys(name).filter((key) => localStorage.getItem(key) === encode(at(7n)));
    const store = open({ name });
    await commit(store, 'orders', at(8n));
    expect(keys(name)).toHaveLength(4);

    dead.frame.remove();
    await expect
      .poll(async () => [await commit(store, 'orders', at(8n)), keys(name).length], { timeout: 15_000, interval: 100 })
      .toEqual([at(8n), 3]);
    expect(keys(name)).toEqual(expect.arrayContaining(livingKeys));
    expect(await store.getAll()).toEqual(
      new Map([
        ['orders', at(8n)],
        ['unread', at(6n)],
      ]),
    );
  });

  test('is left alone while it says more than what this tab has written itself', async () => {
    const name = freshName();
    const store = open({ name });
    const dead = await openTab(name);
    await commit(store, 'orders', at(1n));
    await dead.commit('orders', at(9n));
    const other = await openTab(name);
    await other.commit('passed', at(1n));
    await commit(store, 'passed', at(2n));
    dead.frame.remove();
    other.frame.remove();
    await expect
      .poll(async () => [await commit(store, 'orders', at(2n)), keys(name).length], { timeout: 15_000, interval: 100 })
      .toEqual([at(9n), 3]);
    expect(await store.getAll()).toEqual(
      new Map([
        ['orders', at(9n)],
        ['passed', at(2n)],
      ]),
    );
  });
});

describe('a page that sleeps', () => {
  test('holds no lock, comes back under a new key, and brings nothing old back', async () => {
    const name = freshName();
    const [sleeper, other] = [open({ name }), open({ name })];
    await commit(sleeper, 'orders', at(5n));
    const before = keys(name);
    expect(await heldLocks(name)).toBe(1);
    sleeper.suspend();
    await expect.poll(() => heldLocks(name)).toBe(0);
    await other.clearAll();
    await other.commit(new Map([['orders', at(1n)]]));
    sleeper.wake();
    expect(await commit(sleeper, 'orders', at(2n))).toEqual(at(2n));
    expect(keys(name).some((key) => before.includes(key))).toBe(false);
    expect(await heldLocks(name)).toBe(2);
    await sleeper.close();
    await expect.poll(() => heldLocks(name)).toBe(1);
  });

  test('saves what it has while it goes away, without taking back what it saved before', async () => {
    const name = freshName();
    const store = open({ name });
    store.commitOnHide(
      new Map([
        ['orders', at(3n)],
        ['other', at(1n)],
      ]),
    );
    store.commitOnHide(new Map([['orders', at(2n)]]));
    expect(await open({ name }).getAll()).toEqual(
      new Map([
        ['orders', at(3n)],
        ['other', at(1n)],
      ]),
    );
    await open({ name }).clearAll();
    store.commitOnHide(new Map([['orders', at(1n)]]));
    expect(await store.get('orders')).toEqual(at(1n));
  });
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
  expect(two.malformedMessages).toBe(0);
});

test('what a closing tab could only tell of is written by the tabs that heard it', async () => {
  const name = freshName();
  const living = open({ name });
  const heard = follow(living);
  await commit(living, 'orders', at(1n));
  const closing = new BroadcastChannel(`tidemark/1/local-storage:${name}`);
  closing.postMessage({ type: 'leaving', batch: new Map([['orders', at(3n)]]) });
  await expect.poll(() => heard).toEqual([{ type: 'commit', batch: new Map([['orders', at(3n)]]) }]);
  closing.close();
  expect(await open({ name }).get('orders')).toEqual(at(3n));
});

interface Tab {
  readonly frame: HTMLIFrameElement;
  commit(source: string, checkpoint: Checkpoint): Promise<void>;
}

/** A store in a frame of its own, which holds its locks as a tab does until it is removed. */
async function openTab(name: string): Promise<Tab> {
  const frame = document.createElement('iframe');
  frame.srcdoc = '<!doctype html>';
  const loaded = new Promise((resolve) => frame.addEventListener('load', resolve, { once: true }));
  document.body.append(frame);
  frames.push(frame);
  await loaded;
  const script = new URL('../../../src/stores/local-storage/store.ts', import.meta.url).href;
  const tab = frame.contentWindow as unknown as { eval(code: string): Promise<OffsetStore> } & typeof globalThis;
  const store = await tab.eval(
    `import(${JSON.stringify(script)}).then((m) => new m.LocalStorageOffsetStore({ name: ${JSON.stringify(name)} }))`,
  );
  return { frame, commit: async (...entry) => void (await store.commit(tab.structuredClone(new Map([entry])))) };
}

function everyCall(store: LocalStorageOffsetStore): (() => Promise<unknown>)[] {
  return [
    () => store.get('orders'),
    () => store.getAll(),
    () => commit(store, 'orders', at(1n)),
    () => store.clearAll(),
  ];
}

async function heldLocks(name: string): Promise<number> {
  const { held = [] } = await navigator.locks.query();
  return held.filter((lock) => lock.name?.startsWith(`tidemark/1/${JSON.stringify(name)}/presence/`)).length;
}

function fillUp(): void {
  for (let size = 2 ** 22; size >= 64; size /= 2) {
    for (let i = 0; i < 8; i++) {
      try {
        localStorage.setItem(`filler ${size} ${i}`, 'x'.repeat(size));
      } catch {
        break;
      }
    }
  }
}

function contents(name: string): [string, string | null][] {
  return keys(name).map((key) => [key, localStorage.getItem(key)]);
}

/** Those that hold a checkpoint. */
function keys(name: string): string[] {
  const prefix = `tidemark/1/${JSON.stringify(name)}/`;
  return Object.keys(localStorage).filter((key) => key.startsWith(prefix) && key !== `${prefix}lives`);
}

function freshName(): string {
  return `text ${Date.now()} ${next++}`;
}

function open(options: LocalStorageOffsetStoreOptions): LocalStorageOffsetStore {
  const store = new LocalStorageOffsetStore(options);
  opened.push(store);
  return store;
}

function follow(store: LocalStorageOffsetStore): StoreChange[] {
  const heard: StoreChange[] = [];
  store.subscribe((change) => heard.push(change));
  return heard;
}

function health(heard: readonly StoreChange[]): string[] {
  return heard.flatMap((change) => (change.type === 'health' ? [change.error ? 'ill' : 'well'] : []));
}

async function commit(store: LocalStorageOffsetStore, source: string, checkpoint: Checkpoint) {
  return (await store.commit(new Map([[source, checkpoint]]))).get(source);
}

function at(value: bigint): Checkpoint {
  return { epoch: 0, rank: Number(value), offset: Offset.sequence(value), committedAt: 1 };
}
