import { describe, expect, it } from 'vitest';
import { type Checkpoint, InMemoryOffsetStore, type OffsetStore } from '../../../src/index.ts';
import { type StoreFactory, type TestApi, testOffsetStore } from '../../../src/testing/index.ts';
import { Breakable, broken } from './broken-stores.ts';

describe('the conformance kit', () => {
  it.each(broken)('finds out where %s', async (_, wanted, breakIt) => {
    const failed = [...(await outcomes(breakable(breakIt)))].filter(([, error]) => error).map(([title]) => title);
    expect(failed).toEqual(expect.arrayContaining([...wanted]));
    if (wanted.length === 0) expect(failed).toEqual([]);
  });

  it('has a broken store for every test that can fail', () => {
    const caught = new Set(broken.flatMap(([, wanted]) => wanted));
    const titles = run(breakable(() => {})).tests.map(({ title }) => title);
    expect(titles.filter((title) => !caught.has(title))).toEqual(['an empty batch changes nothing']);
  });

  it('lets a store pass that promises less', async () => {
    const results = await outcomes(({ compare }) => new InMemoryOffsetStore([], { compare }));
    expect([...results.values()].filter(Boolean)).toEqual([]);
  });

  it('names the store, opens each test its own data, and closes whatever it opened', async () => {
    const ids: string[] = [];
    const open = new Set<OffsetStore>();
    const factory: StoreFactory = ({ id, compare }) => {
      if (ids.at(-1) !== id) ids.push(id);
      const store = new Breakable(new Map(), compare);
      store.close = async () => void open.delete(store);
      open.add(store);
      return store;
    };
    const { name, tests } = run(factory);
    expect(name).toContain('a store');
    for (const { body } of tests) await body().catch(() => {});
    expect(new Set(ids).size).toBe(tests.length);
    expect(open.size).toBe(0);
  });

  it('reports a store that cannot be opened in every test', async () => {
    const results = await outcomes(() => Promise.reject(new Error('no disk')));
    expect([...results.values()].every((error) => String(error).includes('no disk'))).toBe(true);
  });

  it('says what it lacks where there is no test runner', () => {
    expect(() => testOffsetStore('a store', () => new InMemoryOffsetStore())).toThrow(/describe, it and expect/);
  });
});

function breakable(breakIt: (store: Breakable) => void): StoreFactory {
  const disks = new Map<string, Map<string, Checkpoint>>();
  return ({ id, compare }) => {
    const disk = disks.get(id) ?? new Map<string, Checkpoint>();
    disks.set(id, disk);
    const store = new Breakable(disk, compare);
    breakIt(store);
    return store;
  };
}

interface Run {
  name: string;
  readonly tests: { readonly title: string; readonly body: () => Promise<void> }[];
}

/** Collects the kit's tests, with vitest's `expect` for the comparisons. */
function run(factory: StoreFactory): Run {
  const collected: Run = { name: '', tests: [] };
  const api: TestApi = {
    describe: (name, body) => {
      collected.name = name;
      body();
    },
    it: (title, body) => void collected.tests.push({ title, body }),
    expect,
  };
  testOffsetStore('a store', factory, api);
  return collected;
}

async function outcomes(factory: StoreFactory): Promise<Map<string, unknown>> {
  const results = new Map<string, unknown>();
  for (const { title, body } of run(factory).tests) {
    results.set(
      title,
      await body().then(
        () => undefined,
        (error: unknown) => error,
      ),
    );
  }
  return results;
}
