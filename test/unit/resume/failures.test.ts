import {
  InMemoryOffsetStore,
  Offset,
  OffsetTracker,
  type Feed,
  type FeedEvent,
  type HandlerOptions,
  type TrackerEvent,
  resume,
  sse,
} from 'tidemark';
import { describe, expect, test } from 'vitest';
import { answering } from '../feeds/answers.ts';
import { numbers, swift, turn } from './feeds.ts';

/** Reads the numbers to five with a handler, and tells how that ends. */
async function read(options: Omit<HandlerOptions<FeedEvent<number>>, 'handler'>, handle: (n: number) => unknown) {
  const store = new InMemoryOffsetStore();
  const tracker = new OffsetTracker(store);
  const told: TrackerEvent[] = [];
  tracker.subscribe((event) => /skipped|warning/.test(event.type) && void told.push(event));
  const done: number[] = [];
  const handler = async ({ data }: FeedEvent<number>): Promise<void> => {
    await handle(data);
    done.push(data);
  };
  const ended = await resume(tracker, 'orders', numbers({ last: 5 }).feed, { ...swift, ...options, handler }).then(
    () => 'the end',
    (error: unknown) => error,
  );
  return { done, ended, told, committed: (await store.get('orders'))?.offset };
}

const failAt3 = (n: number): void => {
  if (n === 3) throw new Error('cannot');
};
const third = { event: { offset: Offset.sequence(3), data: 3 }, offset: Offset.sequence(3) };

describe('an event that a handler fails at', () => {
  test('ends the reading with an error that says which it was', async () => {
    const { ended, committed } = await read({}, failAt3);
    expect(ended).toMatchObject({ message: 'cannot', ...third });
    expect(committed).toEqual(Offset.sequence(2));
  });

  test.each([
    ['text', 'no'],
    ['nothing', undefined],
    ['a frozen error', Object.freeze(new Error('no'))],
  ])('is said also where %s is thrown', async (_what, thrown) => {
    const { ended } = await read({}, (n) => {
      if (n === 3) throw thrown;
    });
    expect(ended).toMatchObject({ code: 'feed', retryable: false, cause: thrown, ...third });
    expect(String(ended)).toContain("'seq:3'");
  });

  test('is said also where an error is thrown that has no event of its own, or that was thrown before', async () => {
    const error = Object.assign(new Error('cannot'), { event: undefined });
    const { ended } = await read({ onFailed: (_error, { data }) => (data === 1 ? 'skip' : 'stop') }, (n) => {
      if (n === 1 || n === 3) throw error;
    });
    expect(ended).toBe(error);
    expect(ended).toMatchObject(third);
  });

  test("is left out by 'skip', as if it had been processed, and that is told", async () => {
    const { done, ended, told, committed } = await read({ onFailed: () => 'skip' }, failAt3);
    expect([done, ended, committed]).toEqual([[1, 2, 4, 5], 'the end', Offset.sequence(5)]);
    const error = expect.objectContaining({ message: 'cannot', ...third });
    expect(told).toEqual([{ type: 'skipped', source: 'orders', offset: Offset.sequence(3), error, origin: 'local' }]);
  });

  test("is processed again by 'retry', with attempts counted from 1, and before those after it", async () => {
    const attempts: number[] = [];
    let failures = 3;
    const onFailed = (_error: unknown, _event: unknown, attempt: number) => {
      attempts.push(attempt);
      return 'retry' as const;
    };
    const { done, ended } = await read({ onFailed }, (n) => {
      if (n === 3 && failures-- > 0) throw new Error('cannot');
    });
    expect([done, ended, attempts]).toEqual([[1, 2, 3, 4, 5], 'the end', [1, 2, 3]]);
  });

  test('ends the reading with what onFailed itself fails with, which says which event it was', async () => {
    const onFailed = () => Promise.reject(new Error('no idea'));
    expect((await read({ onFailed }, failAt3)).ended).toMatchObject({ message: 'no idea', ...third });
  });

  test('ends the reading where onFailed gives no answer that there is', async () => {
    const onFailed = (() => 'ignore') as unknown as () => 'skip';
    expect((await read({ onFailed }, failAt3)).ended).toMatchObject({ message: 'cannot', ...third });
  });
});

describe('an event that cannot be read', () => {
  const chunk = 'id: 1\ndata: 1\n\nid: 2\ndata: {bad\n\nid: 3\ndata: 3\n\n';
  const open = () => sse('/feed', { ...answering([chunk]), parse: JSON.parse });

  test('ends a loop and a handler with an error that has the event and its offset', async () => {
    const about = { event: { id: '2', data: '{bad' }, offset: Offset.custom('2'), source: 'orders' };
    const loop = async (): Promise<void> => {
      for await (const _ of resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', open()));
    };
    await expect(loop()).rejects.toMatchObject(about);
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    await expect(resume(tracker, 'orders', open(), { handler: () => {} })).rejects.toMatchObject(about);
  });

  test("is left out of a loop by 'skip', and told", async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store);
    const skipped: unknown[] = [];
    tracker.subscribe(({ type, offset }) => type === 'skipped' && void skipped.push(offset));
    const seen: unknown[] = [];
    for await (const { data } of resume(tracker, 'orders', open(), { ...swift, onFailed: () => 'skip' }))
      seen.push(data);
    expect([seen, skipped]).toEqual([[1, 3], [Offset.custom('2')]]);
    expect((await store.get('orders'))?.offset).toEqual(Offset.custom('3'));
  });
});

describe('a handler that never ends', () => {
  const never = (): Promise<never> => new Promise(() => {});

  test('is let go closeTimeoutMs after an abort, and its event comes again', async () => {
    const stop = new AbortController();
    const { done, ended, told, committed } = await read(
      { signal: stop.signal, closeTimeoutMs: 30, concurrency: 2 },
      (n) => {
        if (n === 4) stop.abort();
        return n === 3 ? never() : undefined;
      },
    );
    expect([done, ended, committed]).toEqual([[1, 2, 4], 'the end', Offset.sequence(2)]);
    expect(told.map(({ code }) => code)).toEqual(['handler-let-go']);
  });

  test('is let go when the tracker is closed', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    const reading = resume(tracker, 'orders', numbers().feed, { closeTimeoutMs: 30, handler: never });
    await expect.poll(() => tracker.status('orders').inFlight).toBe(1);
    await tracker.close();
    await reading;
  });

  test('is let go after a reset, and reading goes on', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    const seen: number[] = [];
    await resume(tracker, 'orders', numbers({ last: 3 }).feed, {
      ...swift,
      closeTimeoutMs: 30,
      handler: async ({ data }) => {
        if (seen.push(data) > 1) return;
        await tracker.reset('orders', Offset.sequence(1));
        await never();
      },
    });
    expect(seen).toEqual([1, 2, 3]);
  });

  test.each(['prepare', 'handler'])('is let go as the %s of a batch', async (which) => {
    const stop = new AbortController();
    let calls = 0;
    const stuck = (name: string) => async (): Promise<void> => {
      if (name !== which) return;
      calls++;
      stop.abort();
      await never();
    };
    await resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', numbers({ last: 5 }).feed, {
      signal: stop.signal,
      closeTimeoutMs: 30,
      batch: { size: 2 },
      prepare: stuck('prepare'),
      handler: stuck('handler'),
    });
    expect(calls).toBe(1);
  });

  test('that ends in time is waited for', async () => {
    const stop = new AbortController();
    const { done, told } = await read({ signal: stop.signal }, async (n) => {
      if (n !== 2) return;
      stop.abort();
      for (let i = 0; i < 5; i++) await turn();
    });
    expect([done, told]).toEqual([[1, 2], []]);
  });
});

describe('a refusal of a server', () => {
  const conflict = () => new Response(null, { status: 409 });

  test('is tried again where `retry` says so, with attempts counted anew after each sign of life', async () => {
    const { fetch } = answering(conflict(), ['id: 1\ndata: a\n\n'], conflict(), conflict(), ['id: 2\ndata: b\n\n']);
    const attempts: unknown[] = [];
    const retry = (error: unknown, attempt: number): boolean => {
      attempts.push([(error as { status?: number }).status, attempt]);
      return true;
    };
    const seen: string[] = [];
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    for await (const { data } of resume(tracker, 'orders', sse('/feed', { fetch }), { ...swift, retry }))
      seen.push(data);
    expect(seen).toEqual(['a', 'b']);
    expect(attempts).toEqual([
      [409, 1],
      [409, 1],
      [409, 2],
    ]);
  });

  test('ends the reading where `retry` says no, also one that may pass', async () => {
    const { fetch, asked } = answering(new Response(null, { status: 503 }));
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    const reading = resume(tracker, 'orders', sse('/feed', { fetch }), { ...swift, retry: () => false, handler() {} });
    await expect(reading).rejects.toMatchObject({ status: 503 });
    expect(asked).toHaveLength(1);
  });

  test('ends the reading with what `retry` throws', async () => {
    const retry = (): boolean => {
      throw new Error('a mistake');
    };
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    const feed = sse('/feed', answering(conflict()));
    await expect(resume(tracker, 'orders', feed, { ...swift, retry, handler() {} })).rejects.toThrow('a mistake');
  });
});

test('a feed that yields no object is refused at once', async () => {
  const tracker = new OffsetTracker(new InMemoryOffsetStore());
  for (const item of [5, 'text', null, undefined]) {
    const feed = async function* () {
      yield item as unknown as FeedEvent<number>;
    };
    const message = `the feed of "orders" yielded ${JSON.stringify(item)}: a feed yields events, as { offset, data }`;
    const reading = resume(tracker, 'orders', feed, { ...swift, handler() {} });
    await expect(reading).rejects.toMatchObject({ code: 'unsupported', message });
  }
});

test('a function that returns no feed is refused at once', async () => {
  let openings = 0;
  const feed = (() => [++openings]) as unknown as Feed<number, FeedEvent<number>>;
  const reading = resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', feed, { ...swift, handler() {} });
  await expect(reading).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining('is no feed') });
  expect(openings).toBe(1);
});
