import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SerializationError } from '../../../src/errors.ts';
import { Offset } from '../../../src/offset.ts';
import { at, commit, connectionLost, dayIsSpent, failure, manySources, setUp } from '../../workerd/simulated-kv.ts';

describe('reads that are up to a minute old', () => {
  it('take nothing back that this object wrote, or knows to be written', async () => {
    const { clock, kv, store } = setUp();
    kv.staleMs = 60_000;
    await clock.run(commit(store, 'orders', 5));
    expect(await clock.run(store.get('orders'))).toEqual(at(5));
    expect(await clock.run(store.getAll())).toEqual(new Map([['orders', at(5)]]));
    await clock.run(clock.wait(60_000));
    await clock.run(commit(store, 'orders', 6));
    expect(await clock.run(store.get('orders'))).toEqual(at(6));
    expect(await clock.run(store.getAll())).toEqual(new Map([['orders', at(6)]]));
  });

  it('bring what others wrote once they show it', async () => {
    const { clock, kv, store } = setUp();
    kv.staleMs = 60_000;
    const other = setUp(kv, clock).store;
    await clock.run(commit(store, 'orders', 5));
    expect(await clock.run(other.get('orders'))).toBeUndefined();
    await clock.run(clock.wait(60_000));
    expect(await clock.run(other.get('orders'))).toEqual(at(5));
  });
});

describe('keys', () => {
  const anyText = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 20 }).map((units) => String.fromCharCode(...units)),
    fc.constantFrom(
      '',
      '.',
      '..',
      '\ud800',
      '\udfff',
      '\ufffd',
      'x'.repeat(512),
      'sha256:',
      `sha256:${'0'.repeat(64)}`,
    ),
  );

  it('are ones that KV takes, and another for every source, whatever its name', async () => {
    const prefix = fc.constantFrom('', '.', 'tidemark:', 'é'.repeat(220));
    await fc.assert(
      fc.asyncProperty(prefix, fc.uniqueArray(anyText, { minLength: 1, maxLength: 8 }), async (start, sources) => {
        const { clock, kv, store } = setUp(undefined, undefined, { prefix: start });
        const batch = new Map(sources.map((source, i) => [source, at(i)]));
        await clock.run(store.commit(batch));
        for (const key of kv.keys()) {
          expect(key.startsWith(start)).toBe(true);
          expect(new TextDecoder().decode(new TextEncoder().encode(key))).toBe(key);
          expect(new TextEncoder().encode(key).length).toBeLessThanOrEqual(512);
          expect(['', '.', '..']).not.toContain(key);
        }
        expect(kv.keys()).toHaveLength(sources.length);
        const reader = setUp(kv, clock, { prefix: start }).store;
        expect(await clock.run(reader.getAll())).toEqual(batch);
        for (const [source, checkpoint] of batch) expect(await clock.run(reader.get(source))).toEqual(checkpoint);
      }),
      { numRuns: 40 },
    );
  });

  it('tell names apart that differ in a lone surrogate only, or that look like the key of another', async () => {
    const { clock, kv, store } = setUp();
    await clock.run(commit(store, '\ud800', 1));
    const hashed = kv.keys()[0]?.slice('tidemark:'.length) ?? '';
    expect(hashed).toMatch(/^sha256:[0-9a-f]{64}$/);
    await clock.run(
      store.commit(
        new Map([
          ['\ud801', at(2)],
          [hashed, at(3)],
        ]),
      ),
    );
    const all = await clock.run(setUp(kv, clock).store.getAll());
    expect(all).toEqual(
      new Map([
        ['\ud800', at(1)],
        ['\ud801', at(2)],
        [hashed, at(3)],
      ]),
    );
  });

  it.each(['x'.repeat(442), 'é'.repeat(221), '\ud800'])(
    'cannot begin with a prefix that leaves no room: %#',
    (prefix) => {
      expect(() => setUp(undefined, undefined, { prefix })).toThrow(TypeError);
    },
  );
});

describe('listing', () => {
  it('costs one call for each page where the records fit into the metadata', async () => {
    const { clock, kv, store } = setUp();
    const batch = manySources(1100, 7);
    await clock.run(store.commit(batch));
    const [lists, gets] = [kv.count('list'), kv.count('get')];
    expect(await clock.run(setUp(kv, clock).store.getAll())).toEqual(batch);
    expect([kv.count('list') - lists, kv.count('get') - gets, kv.count('bulk')]).toEqual([2, 0, 0]);
  });

  it('goes on after an empty page', async () => {
    const { clock, kv, store } = setUp();
    const batch = manySources(7, 7);
    await clock.run(store.commit(batch));
    Object.assign(kv, { pageSize: 3, hasEmptyPages: true });
    expect(await clock.run(setUp(kv, clock).store.getAll())).toEqual(batch);
    expect(kv.count('list')).toBe(6);
  });

  it.each([true, false])(
    'reads what does not fit into the metadata, a hundred at a time where it can: %s',
    async (hasBulk) => {
      const { clock, kv, store } = setUp();
      kv.hasBulk = hasBulk;
      const long = { ...at(1), offset: Offset.custom('é'.repeat(500)) };
      const batch = new Map([
        ...manySources(20, 1),
        ...[...manySources(130, 2).keys()].map((name) => [`long ${name}`, long] as const),
      ]);
      await clock.run(store.commit(batch));
      const gets = kv.count('get');
      expect(await clock.run(setUp(kv, clock).store.getAll())).toEqual(batch);
      expect([kv.count('bulk'), kv.count('get') - gets]).toEqual(hasBulk ? [2, 0] : [0, 131]);
    },
  );

  it('fails where many are refused for now, and does not ask for each of them', async () => {
    const { clock, kv, store } = setUp();
    const long = { ...at(1), offset: Offset.custom('x'.repeat(1000)) };
    for (const source of ['one', 'two']) await clock.run(store.commit(new Map([[source, long]])));
    const other = setUp(kv, clock).store;
    kv.fault = (operation) => (operation === 'bulk' ? connectionLost() : undefined);
    expect(await failure(clock.run(other.getAll()))).toMatchObject({ code: 'storage', retryable: true });
    expect([kv.count('bulk'), kv.count('get')]).toEqual([6, 2]);
  });
});

describe('what this store did not write', () => {
  it.each([
    'garbage',
    '',
    '42',
    'null',
    '{"source":"orders"}',
    '{"source":"orders","checkpoint":{"json":{"epoch":-1}}}',
    '{"source":"other","checkpoint":{"json":{"epoch":0,"rank":0,"offset":{"kind":"earliest"},"committedAt":0}}}',
  ])('is an error that names source and key, and is left as it is: %s', async (text) => {
    const { clock, kv, store } = setUp();
    // An empty value is not listed by the simulation alone.
    const found = text === '' ? ' ' : text;
    await clock.run(kv.put('tidemark:orders', found));
    await clock.run(commit(store, 'fine', 1));
    const calls: (() => Promise<unknown>)[] = [
      () => store.get('orders'),
      () => store.getAll(),
      () => commit(store, 'orders', 1),
    ];
    for (const call of calls) {
      const error = await failure(clock.run(call()));
      expect(error).toBeInstanceOf(SerializationError);
      expect(error).toMatchObject({ source: 'orders' });
      expect(error.message).toContain('"tidemark:orders"');
    }
    expect(kv.newest('tidemark:orders')).toBe(found);
    const batch = new Map([
      ['orders', at(1)],
      ['late', at(1)],
    ]);
    expect(await failure(clock.run(store.commit(batch)))).toMatchObject({ source: 'orders' });
    expect(kv.newest('tidemark:late')).not.toBeNull();
  });

  it('is an error under a hashed key, and in the metadata, too', async () => {
    const { clock, kv, store } = setUp();
    await clock.run(commit(store, '\ud800', 1));
    const [key = ''] = kv.keys();
    await clock.run(kv.put(key, 'garbage'));
    expect((await failure(clock.run(setUp(kv, clock).store.getAll()))).message).toContain(key);
    await clock.run(kv.put(key, 'x', { metadata: kv.log.find(({ operation }) => operation === 'put')?.value ?? '' }));
    expect((await clock.run(setUp(kv, clock).store.getAll())).get('\ud800')).toEqual(at(1));
    await clock.run(kv.delete(key));
    await clock.run(kv.put('tidemark:orders', 'x', { metadata: 'garbage' }));
    expect(await failure(clock.run(setUp(kv, clock).store.getAll()))).toMatchObject({ source: 'orders' });
  });
});

describe('clearAll', () => {
  it('deletes what is under the prefix and nothing else, and writes as if new', async () => {
    const { clock, kv, store } = setUp();
    await clock.run(kv.put('other', 'untouched'));
    await clock.run(store.commit(manySources(30, 9)));
    await clock.run(store.clearAll());
    expect(kv.keys()).toEqual(['other']);
    expect(await clock.run(store.getAll())).toEqual(new Map());
    expect(await clock.run(commit(store, 'source 1', 1))).toEqual(at(1));
    expect(kv.shortestInterval()).toBeGreaterThanOrEqual(1100);
    expect(kv.mostAtOnce).toBe(6);
  });

  it('deletes also what a listing is too old to show', async () => {
    const { clock, kv, store } = setUp();
    kv.staleMs = 60_000;
    await clock.run(commit(store, 'orders', 1));
    await clock.run(store.clearAll());
    expect(kv.keys()).toEqual([]);
  });

  it('says so where it fails', async () => {
    const { clock, kv, store } = setUp();
    await clock.run(commit(store, 'orders', 1));
    kv.fault = (operation) => (operation === 'delete' ? dayIsSpent() : undefined);
    expect(await failure(clock.run(store.clearAll()))).toMatchObject({ code: 'storage', retryable: false });
  });
});
