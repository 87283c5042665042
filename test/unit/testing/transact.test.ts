import { describe, expect, it } from 'vitest';
import { InMemoryOffsetStore } from '../../../src/index.ts';
import { type TestApi, type TransactFactory, testTransact } from '../../../src/testing/index.ts';
import { BreakableTransactions, type Disk, broken } from './broken-transactions.ts';

testTransact('InMemoryOffsetStore', inMemory, { describe, it, expect });

describe('the kit for transact', () => {
  it.each(broken)('finds out where %s', async (_, wanted, breakIt) => {
    const failed = await failures(breakable(breakIt));
    expect(failed).toEqual(expect.arrayContaining([...wanted]));
    if (wanted.length === 0) expect(failed).toEqual([]);
  });

  it('has a broken store for every test', () => {
    const caught = new Set(broken.flatMap(([, wanted]) => wanted));
    const titles = collect(breakable(() => {})).map(({ title }) => title);
    expect(titles.filter((title) => !caught.has(title))).toEqual([]);
  });

  it('recognises the error of an effect as it is told to', async () => {
    const wrapping = breakable((store) => {
      store.run = async (effect, tx) => {
        try {
          effect(tx);
        } catch (cause) {
          throw new Error('the database says no', { cause });
        }
      };
    });
    const recognised: TransactFactory = async (options) =>
      Object.assign(await wrapping(options), {
        isFailure: (found: unknown, error: Error) => (found as Error).cause === error,
      });
    expect(await failures(recognised)).toEqual([]);
  });

  it('names the store, opens each test its own data, and closes whatever it opened', async () => {
    const ids: string[] = [];
    const open = new Set<unknown>();
    const make = breakable(() => {});
    const tests = collect(async (options) => {
      if (ids.at(-1) !== options.id) ids.push(options.id);
      const subject = await make(options);
      subject.store.close = async () => void open.delete(subject);
      open.add(subject);
      return subject;
    });
    for (const { body } of tests) await body();
    expect(new Set(ids).size).toBe(tests.length);
    expect(open.size).toBe(0);
  });

  it('says what it lacks where there is no test runner', () => {
    expect(() => testTransact('a store', inMemory)).toThrow(/describe, it and expect/);
  });
});

function inMemory({ compare }: Parameters<TransactFactory>[0]): ReturnType<TransactFactory> {
  const store = new InMemoryOffsetStore([], { compare });
  let counter = 0;
  return {
    store,
    apply: (source, change, amount) =>
      store.transact(source, change, () => {
        counter += amount;
      }),
    fail: (source, change, amount, error) =>
      store.transact(source, change, () => {
        counter += amount;
        // Memory has no transaction: an effect takes back what it did.
        counter -= amount;
        throw error;
      }),
    read: async () => counter,
  };
}

function breakable(breakIt: (store: BreakableTransactions) => void) {
  const disks = new Map<string, Disk>();
  return ({ id, compare }: Parameters<TransactFactory>[0]) => {
    const disk = disks.get(id) ?? { checkpoints: new Map(), counter: 0, turn: Promise.resolve() };
    disks.set(id, disk);
    const store = new BreakableTransactions(disk, compare);
    breakIt(store);
    return store;
  };
}

function collect(factory: TransactFactory): { title: string; body: () => Promise<void> }[] {
  const tests: { title: string; body: () => Promise<void> }[] = [];
  const api: TestApi = {
    describe: (name, body) => {
      expect(name).toContain('a store');
      body();
    },
    it: (title, body) => void tests.push({ title, body }),
    expect,
  };
  testTransact('a store', factory, api);
  return tests;
}

/** The titles of the tests that fail. */
async function failures(factory: TransactFactory): Promise<string[]> {
  const failed: string[] = [];
  for (const { title, body } of collect(factory)) {
    await body().catch(() => failed.push(title));
  }
  return failed;
}
