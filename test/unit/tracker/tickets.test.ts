import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { InvalidOffsetError, Offset, OffsetTracker, type Ticket, type TrackerEvent } from '../../../src/index.ts';
import { isNode } from '../runtime.ts';
import { TestStore } from './test-store.ts';

const { sequence, custom } = Offset;
const manual = { strategy: 'manual' } as const;

describe('events that finish in any order', () => {
  it('are recorded up to the watermark alone', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    const [first, second, third] = await Promise.all([1, 2, 3].map((n) => tracker.begin('orders', sequence(n))));
    expect(tracker.status('orders').inFlight).toBe(3);
    expect(await third?.done()).toBe('pending');
    expect(await second?.done()).toBe('pending');
    expect(tracker.status('orders')).toMatchObject({ recorded: undefined, inFlight: 1 });
    expect(store.calls).toEqual(['get']);
    expect(await first?.done()).toBe('committed');
    expect(await store.inner.get('orders')).toMatchObject({ rank: 3, offset: sequence(3) });
    expect(tracker.status('orders').inFlight).toBe(0);
  });

  it('record what a naive model says, whatever the order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 200 }).chain((size) => fc.tuple(fc.constant(size), permutation(size))),
        fc.boolean(),
        async ([size, order], opaque) => {
          const tracker = new OffsetTracker(new TestStore(), manual);
          const offsets = Array.from({ length: size }, (_, i) =>
            opaque ? custom(`${(i * 7919) % 1009}`) : sequence(i),
          );
          const tickets = await Promise.all(offsets.map((offset) => tracker.begin('orders', offset)));
          const finished = new Set<number>();
          for (const i of order) {
            void tickets[i]?.done();
            finished.add(i);
            let watermark = 0;
            while (finished.has(watermark)) watermark++;
            if (tracker.status('orders').recorded !== offsets[watermark - 1]) expect.fail(`watermark ${watermark}`);
            if (tracker.status('orders').inFlight !== size - finished.size) expect.fail('in flight');
          }
          await tracker.close();
        },
      ),
      { numRuns: isNode ? 150 : 40 },
    );
  });

  it('record what a naive model says while others begin, through many turns of the ring, with a stuck head', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.nat({ max: 1000 }), { minLength: 100, maxLength: 400, size: 'max' }),
        async (width, picks) => {
          const tracker = new OffsetTracker(new TestStore(), { ...manual, maxInFlight: width });
          const open: { readonly place: number; readonly ticket: Ticket }[] = [];
          const finished = new Set<number>();
          let begun = 0;
          let watermark = 0;
          for (const pick of picks) {
            if (pick % 2 && begun - watermark < width) {
              begun++;
              open.push({ place: begun, ticket: await tracker.begin('orders', sequence(begun * 3)) });
            } else {
              const [taken] = open.splice(pick % Math.max(1, open.length), 1);
              void taken?.ticket.done();
              if (taken) finished.add(taken.place);
              while (finished.delete(watermark + 1)) watermark++;
            }
            const { recorded, inFlight } = tracker.status('orders');
            const wanted = watermark > 0 ? sequence(watermark * 3) : undefined;
            if (!(recorded && wanted ? Offset.equals(recorded, wanted) : recorded === wanted)) expect.fail('watermark');
            if (inFlight !== open.length) expect.fail('in flight');
          }
          await tracker.close();
        },
      ),
      { numRuns: isNode ? 100 : 30 },
    );
  });

  it('count as many records as the watermark passes', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { strategy: { every: 3 } });
    const tickets = await Promise.all([1, 2, 3, 4].map((n) => tracker.begin('orders', sequence(n))));
    expect(await tickets[1]?.done()).toBe('pending');
    expect(await tickets[2]?.done()).toBe('pending');
    expect(await tickets[0]?.done()).toBe('committed');
    expect(await tickets[3]?.done()).toBe('pending');
    expect(store.batches.length).toBe(1);
  });

  it('of two sources do not wait for each other', async () => {
    const tracker = new OffsetTracker(new TestStore());
    const [stuck, other] = await Promise.all([
      tracker.begin('orders', sequence(1)),
      tracker.begin('clicks', sequence(1)),
    ]);
    expect(await other.done()).toBe('committed');
    expect(tracker.status('orders').inFlight).toBe(1);
    expect(await stuck.done()).toBe('committed');
  });

  it('hold up a record of the same source, which has to wait its turn', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    const ticket = await tracker.begin('orders', sequence(1));
    expect(await tracker.record('orders', sequence(2))).toBe('pending');
    expect(store.calls).toEqual(['get']);
    expect(await ticket.done()).toBe('committed');
    expect((await store.inner.get('orders'))?.offset).toEqual(sequence(2));
    expect(await tracker.record('orders', sequence(3))).toBe('committed');
  });

  it('have their offset at hand', async () => {
    const offset = sequence(5);
    expect((await new OffsetTracker(new TestStore()).begin('orders', offset)).offset).toBe(offset);
  });

  it('are of one kind', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    const ticket = await tracker.begin('orders', sequence(1));
    await expect(tracker.begin('orders', custom('x'))).rejects.toThrow(InvalidOffsetError);
    await expect(tracker.record('orders', custom('x'))).rejects.toThrow(InvalidOffsetError);
    await expect(tracker.begin('orders', Offset.latest)).rejects.toThrow(InvalidOffsetError);
    await expect(tracker.begin('orders', undefined as never)).rejects.toThrow(InvalidOffsetError);
    await ticket.done();
    expect((await store.inner.get('orders'))?.offset).toEqual(sequence(1));
  });
});

describe('a ticket', () => {
  it('that is finished twice is counted, and changes nothing', async () => {
    const tracker = new OffsetTracker(new TestStore(), manual);
    const [first, second] = await Promise.all([
      tracker.begin('orders', sequence(1)),
      tracker.begin('orders', sequence(2)),
    ]);
    await second.done();
    await second.done();
    second.abandon();
    expect(tracker.status('orders')).toMatchObject({ recorded: undefined, inFlight: 1 });
    await first.done();
    await first.done();
    expect(tracker.status('orders')).toMatchObject({ recorded: sequence(2), inFlight: 0 });
  });

  it('does not answer for another that took its place in the ring', async () => {
    const tracker = new OffsetTracker(new TestStore(), manual);
    const old = await tracker.begin('orders', sequence(0));
    await old.done();
    const later = await Promise.all(Array.from({ length: 64 }, (_, i) => tracker.begin('orders', sequence(i + 1))));
    await old.done();
    expect(tracker.status('orders')).toMatchObject({ recorded: sequence(0), inFlight: 64 });
    for (const ticket of later) await ticket.done();
    expect(tracker.status('orders').recorded).toEqual(sequence(64));
  });

  it('of a reading is void after it is closed, and reading starts again at what is pending', async () => {
    const tracker = new OffsetTracker(new TestStore(), manual);
    const store = tracker.store;
    const reading = await tracker.read('orders');
    const [first, second] = await Promise.all([reading.begin(sequence(1)), reading.begin(sequence(2))]);
    await first.done();
    store.failing = () => new Error('disk');
    await expect(reading.close()).rejects.toThrow('disk');
    await expect(second.done()).rejects.toMatchObject({ code: 'closed' });
    second.abandon();
    expect(tracker.status('orders')).toMatchObject({ recorded: sequence(1), inFlight: 0 });
    expect(tracker.getAllPending()).toEqual(new Map([['orders', sequence(1)]]));
    store.failing = () => undefined;
    expect((await tracker.read('orders')).from).toEqual(sequence(1));
    await tracker.close();
  });

  it('that is abandoned holds the watermark until reading starts again', async () => {
    const tracker = new OffsetTracker(new TestStore(), manual);
    const reading = await tracker.read('orders');
    const tickets = await Promise.all([1, 2, 3].map((n) => reading.begin(sequence(n))));
    await tickets[0]?.done();
    tickets[1]?.abandon();
    expect(await tickets[2]?.done()).toBe('pending');
    expect(await reading.record(sequence(4))).toBe('pending');
    expect(tracker.status('orders')).toMatchObject({ recorded: sequence(1), inFlight: 0 });
    await reading.close();
    const next = await tracker.read('orders');
    expect(next.from).toEqual(sequence(1));
    expect(await next.record(sequence(2))).toBe('pending');
    expect(tracker.status('orders').recorded).toEqual(sequence(2));
  });
});

describe('a ticket that is stuck', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const watched = (stuckAfterMs?: number): [OffsetTracker<TestStore>, TrackerEvent[]] => {
    const tracker = new OffsetTracker(new TestStore(), stuckAfterMs ? { ...manual, stuckAfterMs } : manual);
    const events: TrackerEvent[] = [];
    tracker.subscribe((event) => void (event.type === 'blocked' && events.push(event)));
    return [tracker, events];
  };

  it('is told once after a minute, with its offset', async () => {
    const [tracker, events] = watched();
    const [head] = await Promise.all([1, 2, 3].map((n) => tracker.begin('orders', sequence(n))));
    await vi.advanceTimersByTimeAsync(59_999);
    expect(events).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(events).toMatchObject([{ type: 'blocked', source: 'orders', offset: sequence(1), origin: 'local' }]);
    await vi.advanceTimersByTimeAsync(600_000);
    await tracker.begin('orders', sequence(4));
    await vi.advanceTimersByTimeAsync(600_000);
    expect(events.length).toBe(1);
    await head?.done();
  });

  it('is told when it has been stuck for as long as was said', async () => {
    const [tracker, events] = watched(500);
    await tracker.begin('orders', sequence(1));
    await vi.advanceTimersByTimeAsync(500);
    expect(events.length).toBe(1);
  });

  it('is told again for the next that holds the watermark up, counted from its own beginning', async () => {
    const [tracker, events] = watched(1000);
    const head = await tracker.begin('orders', sequence(1));
    await vi.advanceTimersByTimeAsync(400);
    const second = await tracker.begin('orders', sequence(2));
    await vi.advanceTimersByTimeAsync(400);
    await tracker.begin('orders', sequence(3));
    await head.done();
    await vi.advanceTimersByTimeAsync(599);
    expect(events).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(events.map(({ offset }) => offset)).toEqual([sequence(2)]);
    await vi.advanceTimersByTimeAsync(1000);
    await second.done();
    await vi.advanceTimersByTimeAsync(1);
    expect(events.map(({ offset }) => offset)).toEqual([sequence(2), sequence(3)]);
  });

  it('is not told where events only take their time one after another', async () => {
    const [tracker, events] = watched(1000);
    let ticket = await tracker.begin('orders', sequence(0));
    for (let n = 1; n <= 20; n++) {
      await vi.advanceTimersByTimeAsync(900);
      const next = await tracker.begin('orders', sequence(n));
      await ticket.done();
      ticket = next;
    }
    expect(events).toEqual([]);
  });

  it('is told where it was abandoned, for it holds the watermark up', async () => {
    const [tracker, events] = watched(1000);
    (await tracker.begin('orders', sequence(1))).abandon();
    await vi.advanceTimersByTimeAsync(1000);
    expect(events.map(({ offset }) => offset)).toEqual([sequence(1)]);
  });

  it('is told of nobody after it is done, void or of a fenced source, and leaves no timer', async () => {
    const [tracker, events] = watched(1000);
    await (await tracker.begin('done', sequence(1))).done();
    const reading = await tracker.read('void');
    await reading.begin(sequence(1));
    await reading.close();
    await tracker.begin('reset', sequence(1));
    await tracker.reset('reset', sequence(1));
    await tracker.begin('fenced', sequence(1));
    const batch = new Map([['fenced', { epoch: 1, rank: 0, offset: undefined, committedAt: 0 }]]);
    tracker.store.push({ type: 'commit', batch });
    await tracker.begin('fenced', sequence(1));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(events).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([Number.POSITIVE_INFINITY, 2 ** 31])('is never told where one says so: after %d ms', async (stuckAfterMs) => {
    const [tracker, events] = watched(stuckAfterMs);
    await tracker.begin('orders', sequence(1));
    await vi.advanceTimersByTimeAsync(2 ** 31);
    expect(events).toEqual([]);
  });
});

it.runIf(isNode)('a ticket in flight does not keep a process alive', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const before = timers();
  const ticket = await new OffsetTracker(new TestStore(), manual).begin('orders', sequence(1));
  expect(timers()).toBe(before);
  await ticket.done();
});

function permutation(size: number): fc.Arbitrary<number[]> {
  const all = Array.from({ length: size }, (_, i) => i);
  return fc.shuffledSubarray(all, { minLength: size });
}
