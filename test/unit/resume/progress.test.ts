import { InMemoryOffsetStore, Offset, OffsetTracker, type FeedItem, type Strategy, resume } from 'tidemark';
import { MemoryLog } from 'tidemark/serve';
import { afterEach, describe, expect, test } from 'vitest';
import { pushed, swift } from './feeds.ts';

const stops: AbortController[] = [];
afterEach(() => stops.splice(0).forEach((stop) => stop.abort()));

/** A reading of what is pushed; where it is said so, its handler waits until its event is finished. */
function reading({ waits = false, concurrency = 1, strategy = 'auto' as Strategy } = {}) {
  const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy });
  const { feed, push } = pushed<string>();
  const stop = new AbortController();
  stops.push(stop);
  const running: (() => void)[] = [];
  const handler = (): unknown => waits && new Promise<void>((resolve) => running.push(resolve));
  void resume(tracker, 'orders', feed, { ...swift, signal: stop.signal, concurrency, handler });
  return { tracker, push, running, status: () => tracker.status('orders') };
}

const event = (value: string, more = {}): FeedItem<string> => ({ offset: Offset.custom(value), data: value, ...more });
const heartbeat = (more = {}): FeedItem<string> => ({ heartbeat: true, ...more });

describe('a source', () => {
  test('is caught up with once the event that the feed calls its last is recorded, and not before', async () => {
    const { tracker, push, running, status } = reading({ waits: true });
    const caughtUp = tracker.caughtUp('orders');
    push(event('a'), event('b', { upToDate: true }));
    await expect.poll(() => running.length).toBe(1);
    running.shift()?.();
    await expect.poll(() => running.length).toBe(1);
    expect(status().caughtUp).toBe(false);
    running.shift()?.();
    await caughtUp;
    expect(status()).toMatchObject({ caughtUp: true, recorded: Offset.custom('b') });
  });

  test('is caught up with once what is in flight is done, where a heartbeat says that this was all', async () => {
    const { tracker, push, running, status } = reading({ waits: true, concurrency: 4 });
    push(event('a'), event('b'), heartbeat({ upToDate: true }));
    await expect.poll(() => status().caughtUp).toBe(false);
    expect(running).toHaveLength(2);
    for (const finish of running) finish();
    await tracker.caughtUp('orders');
    expect(status().recorded).toEqual(Offset.custom('b'));
  });

  test('is caught up with once its last event is recorded, though nothing commits it', async () => {
    const { tracker, push, status } = reading({ strategy: 'manual' });
    const told: string[] = [];
    tracker.subscribe(({ type, origin }) => void (type === 'progress' && told.push(origin)));
    push(event('a', { upToDate: false }));
    await expect.poll(() => status().recorded).toEqual(Offset.custom('a'));
    expect(status()).toMatchObject({ caughtUp: false, committed: undefined });
    push(event('b', { upToDate: true }));
    await tracker.caughtUp('orders');
    expect(status()).toMatchObject({ caughtUp: true, committed: undefined });
    expect(new Set(told)).toEqual(new Set(['local']));
  });

  test('is caught up with where the feed has no events at all', async () => {
    const { tracker, push, status } = reading();
    push(heartbeat({ upToDate: true }));
    await tracker.caughtUp('orders');
    expect(status()).toMatchObject({ caughtUp: true, recorded: undefined });
  });

  test('stays caught up with while events come of which the feed says nothing more', async () => {
    const { tracker, push, status } = reading();
    push(event('a', { upToDate: true }));
    await tracker.caughtUp('orders');
    push(event('b'));
    await expect.poll(() => status().recorded).toEqual(Offset.custom('b'));
    expect(status().caughtUp).toBe(true);
    push(event('c', { upToDate: false }));
    await expect.poll(() => status().caughtUp).toBe(false);
    push(event('d', { upToDate: true }));
    await tracker.caughtUp('orders');
    expect(status().recorded).toEqual(Offset.custom('d'));
  });

  test('is as far behind as its head is ahead', async () => {
    const { tracker, push, status } = reading();
    const at = (value: number) => ({ offset: Offset.sequence(value), data: '' });
    push(at(3), heartbeat({ head: Offset.sequence(5) }));
    await expect.poll(() => status().head).toEqual(Offset.sequence(5));
    expect(status()).toMatchObject({ lag: 2, caughtUp: false });
    push(at(4), at(6));
    await tracker.caughtUp('orders');
    expect(status()).toMatchObject({ lag: 0, caughtUp: true });
  });

  test('begins anew after a reset', async () => {
    const { tracker, push, status } = reading();
    push(event('a', { upToDate: true }));
    await tracker.caughtUp('orders');
    await tracker.reset('orders', Offset.earliest);
    expect(status().caughtUp).toBeUndefined();
    push(event('a', { upToDate: true }));
    await tracker.caughtUp('orders');
  });

  test('changes that show are told once each', async () => {
    const { tracker, push, status } = reading();
    const told: unknown[] = [];
    tracker.subscribe(({ type }) => type === 'progress' && void told.push(status().caughtUp));
    push(event('a', { upToDate: false }), event('b', { upToDate: false }), event('c', { upToDate: true }));
    await expect.poll(() => status().caughtUp).toBe(true);
    expect(told).toEqual([false, false, true]);
  });
});

describe('waiting until a source is caught up with', () => {
  test('is over at once where it is, and may begin before anything is read', async () => {
    const log = new MemoryLog<number>();
    for (let i = 1; i <= 500; i++) log.append(i);
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    const caughtUp = tracker.caughtUp('orders');
    const stop = new AbortController();
    stops.push(stop);
    void resume(tracker, 'orders', log.feed, { signal: stop.signal, handler: () => {} });
    await caughtUp;
    expect(tracker.status('orders')).toMatchObject({ recorded: Offset.sequence(500), lag: 0 });
    await tracker.caughtUp('orders');
  });

  test('goes on for ever where the feed never says how far it is, until its signal is aborted', async () => {
    const { tracker, push, status } = reading();
    push(event('a'), heartbeat());
    const stop = new AbortController();
    const reason = new Error('long enough');
    const caughtUp = tracker.caughtUp('orders', { signal: stop.signal });
    await expect.poll(() => status().recorded).toEqual(Offset.custom('a'));
    expect(status().caughtUp).toBeUndefined();
    stop.abort(reason);
    await expect(caughtUp).rejects.toBe(reason);
    await expect(tracker.caughtUp('orders', { signal: stop.signal })).rejects.toBe(reason);
  });

  test('rejects when the tracker is closed, and after that', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    const [caughtUp] = await Promise.allSettled([tracker.caughtUp('orders'), tracker.close()]);
    expect(caughtUp).toMatchObject({ status: 'rejected', reason: { code: 'closed', source: 'orders' } });
    await expect(tracker.caughtUp('orders')).rejects.toMatchObject({ code: 'closed', source: 'orders' });
  });

  test('needs a source', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    await expect(tracker.caughtUp(undefined as unknown as string)).rejects.toThrow(TypeError);
  });
});
