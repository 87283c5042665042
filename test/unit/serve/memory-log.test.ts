import fc from 'fast-check';
import { FeedChangedError, FeedExpiredError, InMemoryOffsetStore, Offset, OffsetTracker, resume } from 'tidemark';
import { MemoryLog } from 'tidemark/serve';
import { describe, expect, test } from 'vitest';
import { context, isEvent, take } from './context.ts';

const next = <T>(iterator: AsyncIterator<T>) => iterator.next();

function filled(count: number, options?: ConstructorParameters<typeof MemoryLog>[0]): MemoryLog<number> {
  const log = new MemoryLog<number>(options);
  for (let i = 1; i <= count; i++) log.append(i);
  return log;
}

describe('a log in memory', () => {
  test('gives what is appended an offset, each one more than the last', () => {
    const log = new MemoryLog<string>();
    expect(log.head).toEqual(Offset.sequence(0));
    expect([log.append('a'), log.append('b')]).toEqual([Offset.sequence(1), Offset.sequence(2)]);
    expect([log.head, log.size]).toEqual([Offset.sequence(2), 2]);
  });

  test('is read strictly after an offset', async () => {
    const log = filled(5);
    expect(await take(log.feed, Offset.sequence(3), 2)).toEqual([4, 5]);
    expect(await take(log.feed, Offset.custom('3'), 2)).toEqual([4, 5]);
    expect(await take(log.feed, Offset.sequence(0), 5)).toEqual([1, 2, 3, 4, 5]);
    expect(await take(log.feed, Offset.earliest, 5)).toEqual([1, 2, 3, 4, 5]);
  });

  test('goes on with what is appended while it is read', async () => {
    const log = filled(1);
    const found: number[] = [];
    for await (const item of log.feed(Offset.earliest, context())) {
      if (!isEvent(item)) continue;
      found.push(item.data);
      if (item.data < 100) log.append(item.data + 1);
      else break;
    }
    expect(found).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  });

  test('read from the latest yields what was appended since the feed was opened, not since it was asked', async () => {
    const log = filled(3);
    const opened = log.feed(Offset.latest, context());
    log.append(4);
    const iterator = opened[Symbol.asyncIterator]();
    expect(await next(iterator)).toMatchObject({ value: { heartbeat: true, offset: Offset.sequence(3) } });
    expect(await next(iterator)).toMatchObject({ value: { data: 4, upToDate: true } });
  });

  test('tells its id, its head, and first of all where the reading starts', async () => {
    const log = filled(5, { maxEvents: 3 });
    const given = context();
    const first = await next(log.feed(Offset.earliest, given)[Symbol.asyncIterator]());
    expect(given.openings).toEqual([{ feedId: log.feedId, head: Offset.sequence(5) }]);
    expect(first.value).toEqual({
      heartbeat: true,
      offset: Offset.sequence(2),
      head: Offset.sequence(5),
      upToDate: false,
    });
  });

  test('has an id of its own, which stays', () => {
    const [one, other] = [new MemoryLog(), new MemoryLog()];
    expect(one.feedId).toMatch(/^[0-9a-f]{16}$/);
    expect(one.feedId).toBe(one.feedId);
    expect(one.feedId).not.toBe(other.feedId);
    expect(new MemoryLog({ feedId: 'mine' }).feedId).toBe('mine');
  });

  test('lets each reader go at its own pace', async () => {
    const log = filled(3);
    const slow = log.feed(Offset.earliest, context())[Symbol.asyncIterator]();
    await next(slow);
    expect(await take(log.feed, Offset.earliest, 3)).toEqual([1, 2, 3]);
    expect((await next(slow)).value).toMatchObject({ data: 1 });
  });

  test('hands out at once what is at hand, and nothing where the next event is still to come', async () => {
    const log = filled(3);
    const iterator = log.feed(Offset.sequence(1), context())[Symbol.asyncIterator]() as ReturnType<
      ReturnType<typeof log.feed>[typeof Symbol.asyncIterator]
    > & { ready(): unknown };
    expect(iterator.ready()).toBeUndefined();
    await next(iterator);
    expect([iterator.ready(), iterator.ready(), iterator.ready()]).toMatchObject([{ data: 2 }, { data: 3 }, undefined]);
    log.append(4);
    expect(iterator.ready()).toMatchObject({ data: 4 });
  });

  test('hands out nothing to a reading that is aborted', async () => {
    const abort = new AbortController();
    const iterator = filled(3).feed(Offset.earliest, context(abort.signal))[Symbol.asyncIterator]();
    await next(iterator);
    abort.abort();
    expect(Object(iterator).ready()).toBeUndefined();
    expect(await next(iterator)).toEqual({ done: true, value: undefined });
  });

  test('says at its end that there is nothing newer', async () => {
    const atTheEnd = await next(filled(3).feed(Offset.sequence(3), context())[Symbol.asyncIterator]());
    expect(atTheEnd.value).toMatchObject({ heartbeat: true, upToDate: true });
  });
});

describe('the bound of a log in memory', () => {
  test('drops the oldest events by their number', async () => {
    const log = filled(100, { maxEvents: 10 });
    expect(log.size).toBe(10);
    expect(await take(log.feed, Offset.earliest, 10)).toEqual([91, 92, 93, 94, 95, 96, 97, 98, 99, 100]);
  });

  test('drops the oldest events by their age, also while nothing is appended', async () => {
    let now = 0;
    const log = new MemoryLog<number>({ maxAgeMs: 100, now: () => now });
    for (const at of [0, 50, 120]) log.append((now = at));
    expect(log.size).toBe(2);
    now = 160;
    expect(await take(log.feed, Offset.earliest, 1)).toEqual([120]);
    now = 1000;
    expect(log.size).toBe(0);
    await expect(take(log.feed, Offset.sequence(2), 1)).rejects.toThrow(FeedExpiredError);
    expect(log.append(1000)).toEqual(Offset.sequence(4));
    expect(await take(log.feed, Offset.sequence(3), 1)).toEqual([1000]);
  });

  test('takes the oldest offset that misses nothing, and refuses the one before it', async () => {
    const log = filled(100, { maxEvents: 10 });
    expect(await take(log.feed, Offset.sequence(90), 1)).toEqual([91]);
    const refused = take(log.feed, Offset.sequence(89), 1);
    await expect(refused).rejects.toThrow(FeedExpiredError);
    await expect(refused).rejects.toThrow('the events of "orders" from 90 to 90 are no longer kept');
  });

  test('refuses a slow reader that it has overtaken, rather than leave out events', async () => {
    const log = filled(3, { maxEvents: 3 });
    const iterator = log.feed(Offset.earliest, context())[Symbol.asyncIterator]();
    await next(iterator);
    expect((await next(iterator)).value).toMatchObject({ data: 1 });
    for (let i = 4; i <= 6; i++) log.append(i);
    await expect(next(iterator)).rejects.toThrow(FeedExpiredError);
  });

  test('costs as much for the millionth event as for the first', () => {
    const log = new MemoryLog<number>({ maxEvents: 10_000 });
    const time = (count: number): number => {
      const start = performance.now();
      for (let i = 0; i < count; i++) log.append(i);
      return performance.now() - start;
    };
    time(50_000);
    const early = time(100_000);
    time(300_000);
    // The first figure may be of a machine at rest, the second of a busy one.
    expect(time(100_000)).toBeLessThan(early * 20 + 500);
    expect(log.size).toBe(10_000);
  });

  test.each([
    [{ maxEvents: 0 }, 'maxEvents 0: give 1 or more'],
    [{ maxEvents: NaN }, 'maxEvents "NaN": give 1 or more'],
    [{ maxAgeMs: 0 }, 'maxAgeMs 0: give more than 0'],
    [{ first: 0 }, 'first 0: give a whole number from 1 on'],
    [{ first: 1.5 }, 'first 1.5: give a whole number from 1 on'],
  ])('%o is refused', (options, message) => {
    expect(() => new MemoryLog(options)).toThrow(new TypeError(message));
  });

  test('keeps an event for less than its greatest age', () => {
    let now = 0;
    const log = filled(1, { maxAgeMs: 100, now: () => now });
    now = 99;
    expect(log.size).toBe(1);
    now = 100;
    expect(log.size).toBe(0);
  });
});

describe('an offset that is no place in the log', () => {
  test('past the newest event is an error that says that the log is another one', async () => {
    const log = filled(3);
    const refused = take(log.feed, Offset.sequence(4), 1);
    await expect(refused).rejects.toThrow(FeedChangedError);
    await expect(refused).rejects.toThrow('seq:4 of "orders" is past the newest event, seq:3');
    await expect(refused).rejects.toMatchObject({ found: log.feedId, source: 'orders' });
    await expect(take(log.feed, Offset.sequence(2n ** 64n - 1n), 1)).rejects.toThrow(FeedChangedError);
  });

  test.each([Offset.custom('abc'), Offset.custom('01'), Offset.custom(''), Offset.timestamp(0)])(
    '%o is refused',
    async (from) => {
      await expect(take(filled(3).feed, from, 1)).rejects.toMatchObject({ code: 'invalid-offset', source: 'orders' });
    },
  );

  test('given out before a restart is too old where the new log begins at a higher number', async () => {
    const log = filled(3, { first: 1_000_001 });
    expect(await take(log.feed, Offset.earliest, 3)).toEqual([1, 2, 3]);
    expect(log.head).toEqual(Offset.sequence(1_000_003));
    await expect(take(log.feed, Offset.sequence(42), 1)).rejects.toThrow(FeedExpiredError);
  });
});

describe('a reading of a log in memory', () => {
  test('ends when it is aborted, also while it waits', async () => {
    const abort = new AbortController();
    const iterator = filled(0).feed(Offset.earliest, context(abort.signal))[Symbol.asyncIterator]();
    await next(iterator);
    const waiting = next(iterator);
    abort.abort();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await next(iterator)).toEqual({ done: true, value: undefined });
  });

  test('ends when it is given up, also while it waits', async () => {
    const iterator = filled(0).feed(Offset.earliest, context())[Symbol.asyncIterator]();
    await next(iterator);
    const waiting = next(iterator);
    await iterator.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });

  test('that was aborted before it began opens nothing', async () => {
    const given = context(AbortSignal.abort());
    expect(await next(filled(3).feed(Offset.earliest, given)[Symbol.asyncIterator]())).toMatchObject({ done: true });
    expect(given.openings).toEqual([]);
  });

  test('gets what is left of a log that is closed, then the end of the feed', async () => {
    const log = filled(2);
    const waiting = log.feed(Offset.sequence(2), context())[Symbol.asyncIterator]();
    await next(waiting);
    const ends = next(waiting);
    log.close();
    log.close();
    expect(await ends).toEqual({ done: true, value: 'end' });
    expect(await take(log.feed, Offset.sequence(1), 5)).toEqual([2]);
    const atTheEnd = log.feed(Offset.sequence(2), context())[Symbol.asyncIterator]();
    expect(await next(atTheEnd)).toEqual({ done: true, value: 'end' });
    const refused = { code: 'closed', message: 'the log is closed: nothing can be appended to it' };
    expect(() => log.append(3)).toThrow(expect.objectContaining(refused));
    expect(log.size).toBe(2);
  });

  test('by resume goes on after the recorded offset, to the end', async () => {
    const log = filled(4);
    log.close();
    const store = new InMemoryOffsetStore([['orders', Offset.sequence(2)]]);
    const found: number[] = [];
    for await (const { data } of resume(new OffsetTracker(store), 'orders', log.feed)) found.push(data);
    expect(found).toEqual([3, 4]);
    expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(4));
  });
});

test('however appends, reads and new readers interleave, each reader gets each event after its place once, in order', async () => {
  const step = fc.oneof(
    fc.record({ append: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ open: fc.integer({ min: 0, max: 40 }) }),
    fc.record({ read: fc.nat(), count: fc.integer({ min: 1, max: 6 }), ready: fc.boolean() }),
    fc.record({ turns: fc.integer({ min: 1, max: 5 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const log = new MemoryLog<number>();
      const readers: Reader[] = [];
      for (const { append = 0, open, read, count = 0, ready = false, turns = 0 } of steps as Step[]) {
        for (let i = 0; i < append; i++) log.append(log.size + 1);
        if (open !== undefined && open <= log.size) readers.push(new Reader(log, open));
        if (read !== undefined) readers[read % readers.length]?.read(count, ready);
        for (let i = 0; i < turns; i++) await Promise.resolve();
      }
      log.close();
      for (const reader of readers) {
        const rest = Array.from({ length: log.size - reader.after }, (_, i) => reader.after + i + 1);
        expect(await reader.all()).toEqual(rest);
      }
    }),
    { numRuns: 200 },
  );
});

interface Step {
  readonly append?: number;
  readonly open?: number;
  readonly read?: number;
  readonly count?: number;
  readonly ready?: boolean;
  readonly turns?: number;
}

/** Reads a log as fast or as slowly as it is told. */
class Reader {
  readonly after: number;
  readonly #found: number[] = [];
  readonly #iterator;
  #reading: Promise<void> = Promise.resolve();
  #hasEnded = false;

  constructor(log: MemoryLog<number>, after: number) {
    this.after = after;
    const from = after % 2 === 0 ? Offset.sequence(after) : Offset.custom(String(after));
    this.#iterator = log.feed(from, context())[Symbol.asyncIterator]() as AsyncIterator<{ data?: number }> & {
      ready(): { data?: number } | undefined;
    };
  }

  read(count: number, isReady: boolean): void {
    this.#reading = this.#reading.then(async () => {
      for (let i = 0; i < count && !this.#hasEnded; i++) {
        const { done, value } = await this.#iterator.next();
        this.#hasEnded = done === true;
        if (!done) this.#note(value);
        for (let item = isReady && this.#iterator.ready(); item; item = this.#iterator.ready()) this.#note(item);
      }
      return undefined;
    });
  }

  async all(): Promise<number[]> {
    this.read(Infinity, false);
    await this.#reading;
    return this.#found;
  }

  #note({ data }: { data?: number }): void {
    if (data !== undefined) this.#found.push(data);
  }
}
