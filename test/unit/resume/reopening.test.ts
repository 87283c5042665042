import {
  FeedExpiredError,
  InMemoryOffsetStore,
  Offset,
  OffsetTracker,
  StorageError,
  FeedError,
  resume,
  type Feed,
  type FeedItem,
  type FeedState,
} from 'tidemark';
import { describe, expect, test } from 'vitest';
import { at, endings, numbers, pushed, swift, turn } from './feeds.ts';

describe('a feed that drops', () => {
  test('is opened again after the last event, and nothing is missed or repeated', async () => {
    const { feed, openings, mostOpen } = numbers({ last: 10, perOpening: 3 });
    const seen: number[] = [];
    for await (const { data } of resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', feed, swift))
      seen.push(data);
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(openings).toEqual([Offset.earliest, Offset.sequence(3), Offset.sequence(6), Offset.sequence(9)]);
    expect(mostOpen()).toBe(1);
  });

  test('goes on where the loop has got to, not where it has committed', async () => {
    const { feed, openings } = numbers({ last: 4, perOpening: 2 });
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy: 'manual' });
    const seen: number[] = [];
    for await (const { data } of resume(tracker, 'orders', feed, swift)) seen.push(data);
    expect(seen).toEqual([1, 2, 3, 4]);
    expect(openings).toEqual([Offset.earliest, Offset.sequence(2)]);
  });

  test('is opened again after what a heartbeat says', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store);
    const { feed, openings, push } = pushed<number>();
    push(at(1), { heartbeat: true }, { heartbeat: true, offset: Offset.sequence(7) }, 'drop', at(8));
    const events = resume(tracker, 'orders', feed, swift);
    expect((await events.next()).value?.data).toBe(1);
    expect(tracker.status('orders').recorded).toBeUndefined();
    expect((await events.next()).value?.data).toBe(8);
    expect(openings).toEqual([Offset.earliest, Offset.sequence(7)]);
    await events.return();
    expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(7));
  });

  test('is opened again after an error that may pass, and the state says why it waits', async () => {
    const { feed, openings, push } = pushed<number>();
    const busy = new FeedError('busy', { status: 503 });
    push(new TypeError('network'), busy, at(1), 'drop', at(2));
    const states: [FeedState, unknown][] = [];
    const onState = (state: FeedState, { attempt, error }: { attempt: number; error?: unknown }): void =>
      void states.push([state, error ?? attempt]);
    for await (const { data } of resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', feed, {
      ...swift,
      onState,
    })) {
      if (data === 2) break;
    }
    expect(openings).toHaveLength(4);
    expect(states).toEqual([
      ['connecting', 0],
      ['retrying', new TypeError('network')],
      ['connecting', 1],
      ['retrying', busy],
      ['connecting', 2],
      ['open', 2],
      ['retrying', 1],
      ['connecting', 1],
      ['open', 1],
      ['closed', 0],
    ]);
  });

  test('waits ever longer where nothing comes but what has come before', async () => {
    let openings = 0;
    const feed: Feed<number> = async function* (from, context) {
      context.opened();
      if (++openings > 4) yield at(2);
      else yield { heartbeat: true, offset: from };
    };
    const attempts: number[] = [];
    const onState = (state: FeedState, { attempt }: { attempt: number }): void =>
      void (state === 'retrying' && attempts.push(attempt));
    const tracker = new OffsetTracker(new InMemoryOffsetStore([['orders', Offset.sequence(1)]]));
    const slow = { minDelayMs: 60_000, maxDelayMs: 600_000, random: () => 0 };
    for await (const _ of resume(tracker, 'orders', feed, { ...slow, onState })) break;
    expect(attempts).toEqual([1, 2, 3, 4]);
  });

  test('waits as long as the server asks', async () => {
    const waits: (number | undefined)[] = [];
    const { feed } = endings((opening, context) => {
      context.reopenAfter(1);
      if (opening === 2) throw new FeedError('busy', { retryAfterMs: 2 });
      return opening === 1 ? undefined : 'end';
    });
    const onState = (state: FeedState, { retryInMs }: { retryInMs?: number }): void => {
      if (state === 'retrying') waits.push(retryInMs);
    };
    for await (const _ of resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', feed, { ...swift, onState }));
    expect(waits).toEqual([1, 2]);
  });

  test.each([
    new FeedError('not found', { status: 404, retryable: false }),
    new StorageError('what a feed keeps on disk is gone'),
  ])('ends the loop after an error that will not pass: $message', async (error) => {
    const store = new InMemoryOffsetStore();
    const { feed, openings, push } = pushed<number>();
    push(at(1), at(2), error);
    const seen: number[] = [];
    const loop = async () => {
      const tracker = new OffsetTracker(store, { strategy: 'manual' });
      for await (const { data } of resume(tracker, 'orders', feed, swift)) seen.push(data);
    };
    await expect(loop()).rejects.toBe(error);
    expect(seen).toEqual([1, 2]);
    expect(openings).toHaveLength(1);
    expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(2));
  });

  test('is let go of even if it does not end when it is told to', async () => {
    let openings = 0;
    const feed: Feed<number> = () => ({
      [Symbol.asyncIterator]: () => ({
        next: async () => (++openings === 1 ? { done: false, value: at(1) } : new Promise(() => {})),
        return: () => new Promise(() => {}),
      }),
    });
    for await (const _ of resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', feed)) break;
    expect(openings).toBe(1);
  });

  test.runIf(typeof navigator !== 'undefined' && typeof navigator.onLine === 'boolean')(
    'is opened at once when the network is back',
    async () => {
      const { feed, openings, push } = pushed<number>();
      push('drop', at(1));
      const hour = { minDelayMs: 3_600_000, maxDelayMs: 3_600_000, random: () => 1 };
      const retrying = (state: FeedState): void => {
        if (state === 'retrying') setTimeout(() => dispatchEvent(new Event('online')));
      };
      const events = resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', feed, {
        ...hour,
        onState: retrying,
      });
      expect((await events.next()).value?.data).toBe(1);
      expect(openings).toHaveLength(2);
      await events.return();
    },
  );
});

describe('a feed whose events have expired', () => {
  /** Holds the events after `first` only. */
  function retaining(first: number, last: number) {
    const { feed: all, openings } = numbers({ last });
    const feed: Feed<number> = async function* (from, context) {
      const start = from.kind === 'sequence' ? Number(from.value) : first;
      if (start < first) {
        openings.push(from);
        throw new FeedExpiredError('gone');
      }
      return yield* all(from.kind === 'sequence' ? from : Offset.sequence(first), context) as AsyncGenerator<
        FeedItem<number>,
        'end' | void
      >;
    };
    return { feed, openings };
  }
  const behind = () => new InMemoryOffsetStore([['orders', Offset.sequence(2)]]);

  test('ends the loop where nothing is said of it', async () => {
    const loop = async () => {
      for await (const _ of resume(new OffsetTracker(behind()), 'orders', retaining(5, 7).feed));
    };
    await expect(loop()).rejects.toThrow(FeedExpiredError);
  });

  test('is read from its earliest event if asked', async () => {
    const store = behind();
    const seen: number[] = [];
    const options = { onExpired: 'earliest', ...swift } as const;
    for await (const { data } of resume(new OffsetTracker(store), 'orders', retaining(5, 7).feed, options))
      seen.push(data);
    expect(seen).toEqual([6, 7]);
    const stored = await store.get('orders');
    expect(stored).toMatchObject({ offset: Offset.sequence(7) });
    expect(stored?.epoch).toBeGreaterThan(0);
  });

  test('is read from where a callback says, which may have loaded a snapshot', async () => {
    const onExpired = async (source: string, error: FeedExpiredError) => {
      expect([source, error.message]).toEqual(['orders', 'gone']);
      return Offset.sequence(6);
    };
    const seen: number[] = [];
    for await (const { data } of resume(new OffsetTracker(behind()), 'orders', retaining(5, 8).feed, { onExpired })) {
      seen.push(data);
    }
    expect(seen).toEqual([7, 8]);
  });

  test.each(['latest', () => Offset.sequence(1)] as const)(
    'ends the loop if it expires again and again',
    async (onExpired) => {
      const { feed, count } = endings(() => {
        throw new FeedExpiredError('gone');
      });
      const loop = async () => {
        for await (const _ of resume(new OffsetTracker(behind()), 'orders', feed, { onExpired, ...swift }));
      };
      await expect(loop()).rejects.toThrow('gone');
      expect(count()).toBeLessThan(10);
    },
  );

  test('goes on each time where events come between two expiries', async () => {
    let openings = 0;
    const feed: Feed<number> = async function* () {
      openings++;
      if (openings % 2 === 1 && openings < 8) throw new FeedExpiredError('gone');
      yield at(openings);
      return openings > 8 ? 'end' : undefined;
    };
    const seen: number[] = [];
    const options = { onExpired: 'earliest', ...swift } as const;
    for await (const { data } of resume(new OffsetTracker(behind()), 'orders', feed, options)) seen.push(data);
    expect(seen).toEqual([2, 4, 6, 8, 9]);
  });

  test('ends the loop with what the callback throws', async () => {
    const mistake = new Error('no snapshot');
    const onExpired = () => Promise.reject(mistake);
    const loop = async () => {
      for await (const _ of resume(new OffsetTracker(behind()), 'orders', retaining(5, 8).feed, { onExpired }));
    };
    await expect(loop()).rejects.toBe(mistake);
  });
});

describe('a reset', () => {
  test('inside the loop reopens the feed there, and the event being processed is not recorded', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store);
    const { feed, openings, mostOpen } = numbers({ last: 5 });
    const seen: number[] = [];
    for await (const { data } of resume(tracker, 'orders', feed, swift)) {
      if (data === 4 && !seen.includes(4)) await tracker.reset('orders', Offset.sequence(1));
      seen.push(data);
    }
    expect(seen).toEqual([1, 2, 3, 4, 2, 3, 4, 5]);
    expect(openings).toEqual([Offset.earliest, Offset.sequence(1)]);
    expect(mostOpen()).toBe(1);
    const stored = await store.get('orders');
    expect(stored).toMatchObject({ rank: 4, offset: Offset.sequence(5) });
    expect(stored?.epoch).toBeGreaterThan(0);
  });

  test('by somebody else is heard of at the next commit, and obeyed', async () => {
    const store = new InMemoryOffsetStore();
    const theirs = new OffsetTracker(store);
    const { feed, openings } = numbers();
    for await (const { data } of resume(new OffsetTracker(store), 'orders', feed, swift)) {
      if (data === 3) await theirs.reset('orders', Offset.sequence(10));
      if (data === 13) break;
      await turn();
    }
    expect(openings).toEqual([Offset.earliest, Offset.sequence(10)]);
    const stored = await store.get('orders');
    expect(stored).toMatchObject({ rank: 2, offset: Offset.sequence(12) });
    expect(stored?.epoch).toBeGreaterThan(0);
  });

  test('while the loop waits for an event takes it to the new place', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    const { feed, openings, push } = pushed<number>();
    push(at(1));
    const events = resume(tracker, 'orders', feed, swift);
    await events.next();
    const next = events.next();
    await tracker.reset('orders', Offset.sequence(7));
    await expect.poll(() => openings.length).toBe(2);
    push(at(8));
    expect((await next).value?.data).toBe(8);
    expect(openings[1]).toEqual(Offset.sequence(7));
    await events.return();
  });

  test('at any moment of a delivery voids what was delivered', async () => {
    for (let turns = 0; turns < 30; turns++) {
      const store = new InMemoryOffsetStore();
      const tracker = new OffsetTracker(store);
      const { feed, openings, push } = pushed<number>();
      const events = resume(tracker, 'orders', feed, swift);
      const delivered = events.next();
      await expect.poll(() => openings.length, { interval: 5 }).toBe(1);
      push(at(5));
      for (let i = 0; i < turns; i++) await Promise.resolve();
      await tracker.reset('orders', Offset.sequence(1));
      // Whether or not it came through, it is not recorded when the next one is asked for.
      void delivered.then(() => events.next());
      await expect.poll(() => openings, { interval: 5 }).toEqual([Offset.earliest, Offset.sequence(1)]);
      await events.return();
      expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(1));
    }
  });

  test('of another source changes nothing', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    const { feed, openings } = numbers({ last: 3 });
    for await (const { data } of resume(tracker, 'orders', feed))
      if (data === 2) await tracker.reset('other', Offset.sequence(1));
    expect(openings).toHaveLength(1);
  });

  test('that clears the source starts it by the reset policy; none ends the loop', async () => {
    const store = new InMemoryOffsetStore([['orders', Offset.sequence(1)]]);
    const tracker = new OffsetTracker(store, { resetPolicy: 'none' });
    const loop = async () => {
      for await (const _ of resume(tracker, 'orders', numbers().feed)) await tracker.clear('orders');
    };
    await expect(loop()).rejects.toMatchObject({ code: 'source-not-found' });
  });
});
