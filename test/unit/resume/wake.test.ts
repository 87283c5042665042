import { InMemoryOffsetStore, Offset, OffsetTracker, type Feed, type FeedStateDetail, resume, sse } from 'tidemark';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { sleep } from '../../../src/resume/sleep.ts';
import { swift } from './feeds.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] });
  // On a busy machine the reader would rest for a real turn now and then, while the clock of the test runs on.
  vi.spyOn(performance, 'now').mockReturnValue(0);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const hour = 3_600_000;

/** A feed that sends by a plan, a heartbeat each `beatMs` and an event each `eventMs`, and is dead from `deadAt` on. */
function planned({ beatMs = 0, eventMs = 0, events = Infinity, deadAt = Infinity, opens = true } = {}) {
  const reasons: (string | undefined)[] = [];
  let openings = 0;
  let sent = 0;
  const startedAt = Date.now();
  const feed: Feed<number> = async function* (_from, context) {
    const { signal } = context;
    openings++;
    context.opening?.();
    if (opens || openings > 1) context.opened();
    const beats = setBeat(beatMs, () => context.alive());
    try {
      while (!signal.aborted) {
        if (Date.now() - startedAt >= deadAt && openings === 1) beats();
        const isDead = openings === 1 && (Date.now() - startedAt >= deadAt || !opens);
        await sleep(isDead || sent >= events || !eventMs ? hour * 100 : eventMs, signal);
        if (!signal.aborted) yield { offset: Offset.sequence(++sent), data: sent };
      }
    } finally {
      beats();
    }
  };
  const setBeat = (ms: number, beat: () => void): (() => void) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const next = (): void => {
      timer = setTimeout(() => {
        if (Date.now() - startedAt < deadAt || openings > 1) beat();
        next();
      }, ms);
    };
    if (ms) next();
    return () => clearTimeout(timer);
  };
  const stop = new AbortController();
  const reading = (options: object = {}): Promise<void> =>
    resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', feed, {
      ...swift,
      ...options,
      signal: stop.signal,
      handler: () => {},
      onState: (state, { reason }: FeedStateDetail) => state === 'retrying' && void reasons.push(reason),
    });
  return { reading, reasons, openings: () => openings, stop: () => stop.abort() };
}

test('a healthy feed with a heartbeat each 15 seconds is never reopened in an hour', async () => {
  const { reading, openings, reasons, stop } = planned({ beatMs: 15_000 });
  const end = reading();
  await vi.advanceTimersByTimeAsync(hour);
  expect([openings(), reasons]).toEqual([1, []]);
  stop();
  await end;
});

test('a feed that is merely quiet is never reopened in an hour', async () => {
  const { reading, openings, reasons, stop } = planned({ eventMs: 700, events: 3 });
  const end = reading();
  await vi.advanceTimersByTimeAsync(hour);
  expect([openings(), reasons]).toEqual([1, []]);
  stop();
  await end;
});

test('a feed whose heartbeats stop is opened again after three times their interval', async () => {
  const { reading, openings, reasons, stop } = planned({ beatMs: 15_000, deadAt: 60_000 });
  const end = reading();
  await vi.advanceTimersByTimeAsync(85_000);
  expect(openings()).toBe(1);
  await vi.advanceTimersByTimeAsync(10_000);
  expect([openings(), reasons]).toEqual([2, ['silent']]);
  stop();
  await end;
});

test('a feed that sends in a steady rhythm and falls silent is opened again after 15 seconds', async () => {
  const { reading, openings, reasons, stop } = planned({ eventMs: 100, deadAt: 1000 });
  const end = reading();
  await vi.advanceTimersByTimeAsync(14_000);
  expect(openings()).toBe(1);
  await vi.advanceTimersByTimeAsync(5000);
  expect([openings(), reasons]).toEqual([2, ['silent']]);
  stop();
  await end;
});

test('idleTimeoutMs says how long a feed may be silent, and 0 that it may for ever', async () => {
  const quick = planned();
  const end = quick.reading({ idleTimeoutMs: 4000 });
  await vi.advanceTimersByTimeAsync(6000);
  expect([quick.openings(), quick.reasons]).toEqual([2, ['silent']]);
  quick.stop();
  await end;
  const patient = planned({ eventMs: 100, deadAt: 1000 });
  const ending = patient.reading({ idleTimeoutMs: 0 });
  await vi.advanceTimersByTimeAsync(hour);
  expect([patient.openings(), patient.reasons]).toEqual([1, []]);
  patient.stop();
  await ending;
});

test('a feed that does not open within 10 seconds is opened again', async () => {
  const { reading, openings, reasons, stop } = planned({ opens: false });
  const end = reading();
  await vi.advanceTimersByTimeAsync(9900);
  expect(openings()).toBe(1);
  await vi.advanceTimersByTimeAsync(3000);
  expect([openings(), reasons]).toEqual([2, ['opening']]);
  stop();
  await end;
});

test('a feed that watches its silence itself has the same time to open', async () => {
  const states: FeedStateDetail[] = [];
  let asked = 0;
  const fetch = (): Promise<never> => {
    asked++;
    return new Promise(() => {});
  };
  const stop = new AbortController();
  const end = resume(
    new OffsetTracker(new InMemoryOffsetStore()),
    'orders',
    sse('/feed', { fetch, idleTimeoutMs: 0 }),
    {
      ...swift,
      handler() {},
      openTimeoutMs: 500,
      onState: (_state, detail) => void states.push(detail),
      signal: stop.signal,
    },
  );
  await vi.advanceTimersByTimeAsync(400);
  expect(asked).toBe(1);
  await vi.advanceTimersByTimeAsync(3000);
  expect(asked).toBeGreaterThan(1);
  expect(states.find(({ reason }) => reason)?.reason).toBe('opening');
  stop.abort();
  await vi.advanceTimersByTimeAsync(3000);
  await end;
});

test('after a sleep the feed is opened again, and at once', async () => {
  const { reading, openings, reasons, stop } = planned();
  const end = reading();
  await vi.advanceTimersByTimeAsync(5000);
  vi.setSystemTime(Date.now() + 60_000);
  await vi.advanceTimersByTimeAsync(2000);
  expect([openings(), reasons]).toEqual([2, ['asleep']]);
  stop();
  await end;
});
