import { InMemoryOffsetStore, Offset, OffsetTracker, resume } from 'tidemark';
import { describe, expect, test } from 'vitest';
import { at, numbers, pushed, swift, turn } from './feeds.ts';

describe('a handler', () => {
  test('processes so many events at once, and what is committed is never ahead of what has finished', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store);
    const { feed, openings } = numbers({ last: 200, perOpening: 70 });
    const finished = new Set<number>();
    const early: number[] = [];
    const twice: number[] = [];
    let running = 0;
    let most = 0;
    let seed = 42;
    const commit = store.commit.bind(store);
    store.commit = async (batch) => {
      const offset = batch.get('orders')?.offset;
      const upTo = offset?.kind === 'sequence' ? Number(offset.value) : 0;
      for (let i = 1; i <= upTo; i++) if (!finished.has(i)) early.push(i);
      return commit(batch);
    };
    await resume(tracker, 'orders', feed, {
      ...swift,
      concurrency: 8,
      handler: async ({ data }) => {
        most = Math.max(most, ++running);
        seed = (seed * 48271) % 0x7fff_ffff;
        for (let turns = seed % 10; turns > 0; turns--) await turn();
        running--;
        if (finished.has(data)) twice.push(data);
        finished.add(data);
      },
    });
    expect([finished.size, early, twice]).toEqual([200, [], []]);
    expect(most).toBe(8);
    expect(openings).toEqual([Offset.earliest, Offset.sequence(70), Offset.sequence(140)]);
    expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(200));
  });

  test('that throws ends the reading: what has finished before its event is committed, and nothing after', async () => {
    const store = new InMemoryOffsetStore();
    const mistake = new Error('cannot process 5');
    const done: number[] = [];
    const tracker = new OffsetTracker(store, { maxInFlight: 4 });
    const reading = resume(tracker, 'orders', numbers().feed, {
      concurrency: 8,
      handler: async ({ data }) => {
        await turn();
        if (data === 5) throw mistake;
        done.push(data);
      },
    });
    await expect(reading).rejects.toBe(mistake);
    expect(done).toEqual(expect.arrayContaining([1, 2, 3, 4]));
    expect(tracker.status('orders').inFlight).toBe(0);
    expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(4));
  });

  test('is told when its event is void because the source was reset', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store);
    const { feed, openings } = numbers({ last: 4 });
    const seen: number[] = [];
    const voided: number[] = [];
    await resume(tracker, 'orders', feed, {
      concurrency: 2,
      handler: async ({ data }, { signal }) => {
        seen.push(data);
        if (seen.length !== 3) return;
        await tracker.reset('orders', Offset.sequence(1));
        if (signal.aborted) voided.push(data);
        throw new Error('what a void handler throws is of no interest');
      },
    });
    expect(voided).toEqual([3]);
    expect(seen.slice(-3)).toEqual([2, 3, 4]);
    expect(openings).toEqual([Offset.earliest, Offset.sequence(1)]);
    expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(4));
  });

  test('that finishes an event after a reset voided it disturbs nothing', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store);
    const { feed, openings } = numbers({ last: 30 });
    const seen: number[] = [];
    let reset: Promise<void> | undefined;
    await resume(tracker, 'orders', feed, {
      concurrency: 8,
      handler: async ({ data }) => {
        seen.push(data);
        if (data === 8) reset ??= tracker.reset('orders', Offset.sequence(2));
        for (let turns = data % 5; turns >= 0; turns--) await turn();
      },
    });
    expect(openings).toEqual([Offset.earliest, Offset.sequence(2)]);
    expect(seen.slice(-28)).toEqual(Array.from({ length: 28 }, (_, i) => i + 3));
    const stored = await store.get('orders');
    expect(stored).toMatchObject({ rank: 28, offset: Offset.sequence(30) });
    expect(stored?.epoch).toBeGreaterThan(0);
  });

  test('is told of an abort, and the reading ends once it has finished', async () => {
    const store = new InMemoryOffsetStore();
    const stop = new AbortController();
    let told = false;
    await resume(new OffsetTracker(store), 'orders', numbers().feed, {
      signal: stop.signal,
      concurrency: 4,
      handler: async ({ data }, { signal }) => {
        if (data === 3) stop.abort();
        await turn();
        told ||= signal.aborted;
      },
    });
    expect(told).toBe(true);
    expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(3));
  });

  test('does not hold heartbeats back, nor do they overtake it', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store);
    const { feed, push } = pushed<number>();
    const stop = new AbortController();
    let finish = (): void => {};
    const reading = resume(tracker, 'orders', feed, {
      signal: stop.signal,
      concurrency: 2,
      handler: () => new Promise<void>((resolve) => (finish = resolve)),
    });
    push(at(1), { heartbeat: true, offset: Offset.sequence(9) });
    await expect.poll(() => tracker.status('orders').inFlight).toBe(1);
    expect(tracker.status('orders').recorded).toBeUndefined();
    finish();
    await expect.poll(() => tracker.status('orders').committed).toEqual(Offset.sequence(9));
    stop.abort();
    await reading;
  });

  test('must be given a sensible concurrency', async () => {
    const options = { handler: () => {}, concurrency: 0 };
    await expect(
      resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', numbers().feed, options),
    ).rejects.toThrow('concurrency 0');
  });
});
