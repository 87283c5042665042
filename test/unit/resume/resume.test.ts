import { InMemoryOffsetStore, Offset, OffsetTracker, StorageError, resume, type Feed, type FeedState } from 'tidemark';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { at, failing, numbers, pushed, swift, turn } from './feeds.ts';

describe('a loop over a feed', () => {
  test('starts where nothing is committed by the reset policy, and commits what it has processed', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store);
    const { feed, openings } = numbers({ last: 3 });
    const seen: number[] = [];
    for await (const { data } of resume(tracker, 'orders', feed)) seen.push(data);
    expect(seen).toEqual([1, 2, 3]);
    expect(openings).toEqual([Offset.earliest]);
    expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(3));
  });

  test.each([
    ['undefined is no tracker', [undefined, 'orders', numbers().feed]],
    ['{"source":"orders"} is no tracker', [{ source: 'orders' }]],
    ['42 is no source', [new OffsetTracker(new InMemoryOffsetStore()), 42, numbers().feed]],
    ['"/feed" is no feed', [new OffsetTracker(new InMemoryOffsetStore()), 'orders', '/feed']],
  ])('says that %s', (message, given) => {
    const call = () => Reflect.apply(resume, undefined, given);
    expect(call).toThrow(new TypeError(`resume: ${message}: give a tracker, the name of the source, and a feed`));
  });

  test.each([
    ['"x" is no handler', { handler: 'x' }],
    ['`batch` needs a handler', { batch: { size: 2 } }],
    ['`transact` needs a handler', { transact: true }],
    ['`concurrency` needs a handler', { concurrency: 2 }],
  ])('says that %s', (message, options) => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    const call = () => Reflect.apply(resume, undefined, [tracker, 'orders', numbers().feed, options]);
    expect(call).toThrow(new TypeError(`resume of "orders": ${message}: give a function that takes an event`));
  });

  test('goes on strictly after what is committed', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore([['orders', Offset.sequence(41)]]));
    const { feed, openings } = numbers();
    for await (const { data } of resume(tracker, 'orders', feed)) {
      expect(data).toBe(42);
      break;
    }
    expect(openings).toEqual([Offset.sequence(41)]);
  });

  test.each(['auto', 'manual', { every: 3 }] as const)(
    'has everything committed at its end under %j',
    async (strategy) => {
      const store = new InMemoryOffsetStore();
      for await (const _ of resume(new OffsetTracker(store, { strategy }), 'orders', numbers({ last: 5 }).feed));
      expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(5));
    },
  );

  test('does not record the event that it breaks at', async () => {
    const store = new InMemoryOffsetStore();
    for await (const { data } of resume(new OffsetTracker(store), 'orders', numbers().feed)) if (data === 3) break;
    expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(2));
  });

  test('does not record the event that it throws at, and rejects with what was thrown', async () => {
    const store = failing(new InMemoryOffsetStore(), [undefined, new StorageError('the disk is full')]);
    const mistake = new Error('cannot process 3');
    const loop = async () => {
      const tracker = new OffsetTracker(store, { strategy: 'manual' });
      for await (const { data } of resume(tracker, 'orders', numbers().feed)) {
        if (data === 2) await tracker.commit('orders');
        if (data === 3) throw mistake;
      }
    };
    await expect(loop()).rejects.toBe(mistake);
    expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(1));
  });

  test('rejects where the flush at its end fails', async () => {
    const full = new StorageError('the disk is full');
    const tracker = new OffsetTracker(failing(new InMemoryOffsetStore(), [full]), { strategy: 'manual' });
    const loop = async () => {
      for await (const { data } of resume(tracker, 'orders', numbers().feed)) if (data === 3) break;
    };
    await expect(loop()).rejects.toBe(full);
  });

  test('opens nothing before the first event is asked for', async () => {
    const { feed, openings } = numbers();
    const events = resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', feed);
    await Promise.resolve();
    await events.return();
    expect(await events.next()).toEqual({ done: true, value: undefined });
    expect(openings).toEqual([]);
  });

  test('ends while it waits for an event when it is told to return', async () => {
    const { feed, openings } = pushed<number>();
    const events = resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', feed);
    const next = events.next();
    await expect.poll(() => openings.length).toBe(1);
    // What `await using` is compiled to calls this where the engine does not know the symbol.
    const asyncDispose: typeof Symbol.asyncDispose =
      Symbol.asyncDispose ?? (Symbol.for('Symbol.asyncDispose') as typeof Symbol.asyncDispose);
    await events[asyncDispose]();
    expect(await next).toEqual({ done: true, value: undefined });
  });

  test('asks the feed for no more than is processed', async () => {
    let asked = 0;
    const feed: Feed<number> = async function* () {
      for (;;) yield at(++asked);
    };
    const events = resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', feed);
    await events.next();
    await events.next();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(asked).toBe(2);
    await events.return();
  });

  test('does not wait for commits', async () => {
    const store = new InMemoryOffsetStore();
    const commit = store.commit.bind(store);
    let commits = 0;
    let let_go = (): void => {};
    store.commit = async (batch) => {
      if (commits++ === 0) await new Promise<void>((resolve) => (let_go = resolve));
      return commit(batch);
    };
    for await (const { data } of resume(new OffsetTracker(store), 'orders', numbers({ last: 1000 }).feed)) {
      if (data === 1000) let_go();
    }
    expect(commits).toBeLessThan(5);
    expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(1000));
  });
});

describe('an abort', () => {
  test('ends the loop without an error, whatever it is doing, and flushes', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store, { strategy: 'manual' });
    const { feed, push } = pushed<number>();
    push(at(1), at(2));
    const stop = new AbortController();
    const seen: number[] = [];
    for await (const { data } of resume(tracker, 'orders', feed, { signal: stop.signal })) {
      seen.push(data);
      if (data === 2) setTimeout(() => stop.abort(new Error('enough')));
    }
    expect(seen).toEqual([1, 2]);
    expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(2));
  });

  test('ends it while it waits to reopen the feed', async () => {
    const { feed, push } = pushed<number>();
    push('drop');
    const stop = new AbortController();
    const onState = (state: FeedState): void => void (state === 'retrying' && stop.abort());
    const slow = { minDelayMs: 3_600_000, maxDelayMs: 3_600_000, random: () => 1 };
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    const events = resume(tracker, 'orders', feed, { ...slow, signal: stop.signal, onState });
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });

  test('before the first event opens nothing', async () => {
    const { feed, openings } = numbers();
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    for await (const _ of resume(tracker, 'orders', feed, { signal: AbortSignal.abort() }));
    expect(openings).toEqual([]);
  });

  test('may come after the tracker was closed', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    const stop = new AbortController();
    const { feed, push } = pushed<number>();
    push(at(1));
    const events = resume(tracker, 'orders', feed, { signal: stop.signal });
    await events.next();
    const end = events.next();
    await tracker.close();
    stop.abort();
    expect(await end).toEqual({ done: true, value: undefined });
  });
});

describe('a store that fails', () => {
  const lost = () => new StorageError('the connection is lost', { retryable: true });
  const fakeTime = () => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  const second = () => vi.advanceTimersByTimeAsync(1000);
  afterEach(() => void vi.useRealTimers());

  test('now and then is no reason to end the loop', async () => {
    fakeTime();
    const errors = [lost(), lost(), undefined, lost(), undefined, lost(), lost()];
    const store = failing(new InMemoryOffsetStore(), errors);
    const seen: number[] = [];
    for await (const { data } of resume(new OffsetTracker(store), 'orders', numbers({ last: 20 }).feed)) {
      seen.push(data);
      await second();
    }
    expect(seen).toHaveLength(20);
    expect(errors).toEqual([]);
    expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(20));
  });

  test('for good ends the loop with its error', async () => {
    const full = new StorageError('the quota is spent');
    const tracker = new OffsetTracker(failing(new InMemoryOffsetStore(), [undefined, full, full]));
    const { feed, push } = pushed<number>();
    push(at(1), at(2), at(3));
    const loop = async () => {
      for await (const _ of resume(tracker, 'orders', feed)) await turn();
    };
    await expect(loop()).rejects.toBe(full);
  });

  test('for as long as it may ends the loop with its last error', async () => {
    fakeTime();
    const errors = Array.from({ length: 100 }, lost);
    const tracker = new OffsetTracker(failing(new InMemoryOffsetStore(), errors));
    let seconds = 0;
    const loop = async () => {
      for await (const _ of resume(tracker, 'orders', numbers().feed)) {
        seconds++;
        await second();
      }
    };
    await expect(loop()).rejects.toThrow('the connection is lost');
    expect(seconds).toBeGreaterThanOrEqual(30);
    expect(seconds).toBeLessThan(33);
    expect(errors.length).toBeGreaterThan(90);
    expect(errors.length).toBeLessThan(98);
  });

  test('when it is asked where to start is asked again', async () => {
    const store = new InMemoryOffsetStore();
    const get = store.get.bind(store);
    let asked = 0;
    store.get = async (source) => {
      if (++asked <= 2) throw lost();
      return get(source);
    };
    const seen: number[] = [];
    for await (const { data } of resume(new OffsetTracker(store), 'orders', numbers({ last: 2 }).feed, swift))
      seen.push(data);
    expect(seen).toEqual([1, 2]);
  });

  test('an event whose offset does not fit the source ends the loop', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore([['orders', Offset.custom('a')]]));
    const { feed, push } = pushed<number>();
    push(at(1));
    const loop = async () => {
      for await (const _ of resume(tracker, 'orders', feed));
    };
    await expect(loop()).rejects.toMatchObject({ code: 'invalid-offset' });
  });
});
