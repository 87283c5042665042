import { type Feed, InMemoryOffsetStore, Offset, OffsetTracker, resume } from 'tidemark';
import { describe, expect, test } from 'vitest';

/** A feed of numbers that are all at hand as soon as it is open. */
const atHand =
  (last: number): Feed<number> =>
  (from) => {
    let next = from.kind === 'sequence' ? Number(from.value) + 1 : 1;
    const ready = () => (next <= last ? { offset: Offset.sequence(next), data: next++ } : undefined);
    const iterator = {
      ready,
      next: async () => {
        const value = ready();
        return value ? { done: false as const, value } : { done: true as const, value: 'end' as const };
      },
      return: async () => ({ done: true as const, value: undefined }),
    };
    return { [Symbol.asyncIterator]: () => iterator };
  };

const trackerOf = () => new OffsetTracker(new InMemoryOffsetStore(), { strategy: 'manual' });

describe('events that are at hand', () => {
  test('answer calls in their order, those made at once too, and record each before the next', async () => {
    const tracker = trackerOf();
    const events = resume(tracker, 'orders', atHand(3));
    const results = await Promise.all(Array.from({ length: 5 }, () => events.next()));
    expect(results.map(({ value }) => value?.data)).toEqual([1, 2, 3, undefined, undefined]);
    expect(results.map(({ done }) => done)).toEqual([false, false, false, true, true]);
    expect((await tracker.store.get('orders'))?.offset).toEqual(Offset.sequence(3));
  });

  test('do not record the last where the loop is left', async () => {
    const tracker = trackerOf();
    const events = resume(tracker, 'orders', atHand(3));
    await events.next();
    await events.next();
    expect(await events.return()).toEqual({ done: true, value: undefined });
    expect(await events.next()).toEqual({ done: true, value: undefined });
    expect((await tracker.store.get('orders'))?.offset).toEqual(Offset.sequence(1));
  });

  test('reject with what is thrown into them, once', async () => {
    const tracker = trackerOf();
    const events = resume(tracker, 'orders', atHand(3));
    await events.next();
    await expect(events.throw(new Error('mine'))).rejects.toThrow('mine');
    expect(await events.next()).toEqual({ done: true, value: undefined });
    expect(await tracker.store.get('orders')).toBeUndefined();
  });

  test('let timers run, however many there are', async () => {
    let fired = false;
    let seen = 0;
    for await (const { data } of resume(trackerOf(), 'orders', atHand(Infinity))) {
      if (data === 1) setTimeout(() => (fired = true), 1);
      seen++;
      if (fired) break;
    }
    expect(seen).toBeGreaterThan(1);
  });

  test('share commits under auto', async () => {
    const store = new InMemoryOffsetStore();
    let commits = 0;
    const commit = store.commit.bind(store);
    store.commit = (batch) => {
      commits++;
      return commit(batch);
    };
    let seen = 0;
    for await (const _ of resume(new OffsetTracker(store), 'orders', atHand(1600))) seen++;
    expect(seen).toBe(1600);
    expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(1600));
    expect(commits).toBeLessThan(400);
  });
});
