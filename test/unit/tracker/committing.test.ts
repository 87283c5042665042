import { describe, expect, it, vi } from 'vitest';
import { Offset, OffsetTracker, SerializationError, StorageError, type TrackerEvent } from '../../../src/index.ts';
import { watchUncaught, watchUnhandled } from '../runtime.ts';
import { TestStore } from './test-store.ts';

const { sequence } = Offset;

describe('commit', () => {
  it('says what became of it', async () => {
    const tracker = new OffsetTracker(new TestStore(), { strategy: 'manual' });
    expect(await tracker.commit('orders')).toBe('none');
    await tracker.record('orders', sequence(1));
    expect(await tracker.commit('orders')).toBe('committed');
    expect(await tracker.commit('orders')).toBe('none');
  });

  it('concerns its source alone', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { strategy: 'manual' });
    await tracker.record('orders', sequence(1));
    await tracker.record('clicks', sequence(2));
    await tracker.commit('orders');
    expect([...(await tracker.getAllCommitted()).keys()]).toEqual(['orders']);
    expect([...tracker.getAllPending().keys()]).toEqual(['clicks']);
  });

  it('reads a source that is not known yet before it writes, and only once', async () => {
    const store = new TestStore();
    await store.elsewhere('orders', { epoch: 4, rank: 7, offset: sequence(7), committedAt: 0 }, false);
    const tracker = new OffsetTracker(store);
    await tracker.record('orders', sequence(8));
    await tracker.record('orders', sequence(9));
    expect(store.calls).toEqual(['get', 'commit', 'commit']);
    expect(await store.inner.get('orders')).toMatchObject({ epoch: 4, rank: 9, offset: sequence(9) });
  });

  it('writes nothing that the store is already past', async () => {
    const store = new TestStore([['orders', sequence(10)]]);
    const tracker = new OffsetTracker(store);
    expect(await tracker.record('orders', sequence(9))).toBe('committed');
    expect(store.calls).toEqual(['get']);
    expect(tracker.getAllPending()).toEqual(new Map());
  });

  it('carries the time of the commit, by the clock that it was given', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { now: () => 77 });
    await tracker.record('orders', sequence(1));
    expect(await store.inner.get('orders')).toMatchObject({ committedAt: 77 });
    expect(tracker.status('orders').lastCommitAt).toBe(77);
  });

  it('is told to those who listen', async () => {
    const events: TrackerEvent[] = [];
    const tracker = new OffsetTracker(new TestStore());
    tracker.subscribe((event) => void (event.type !== 'recorded' && events.push(event)));
    const told = tracker.record('orders', sequence(1)).then(() => events.length);
    expect(await told, 'before those who wait are answered').toBe(1);
    expect(events).toMatchObject([{ type: 'committed', source: 'orders', offset: sequence(1), origin: 'local' }]);
  });
});

describe('commitAll', () => {
  it('is one store write for all that is pending, and says what became of each', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { strategy: 'manual' });
    const sources = Array.from({ length: 100 }, (_, i) => `source ${i}`);
    for (const source of sources) await tracker.record(source, sequence(1));
    expect(await tracker.commitAll()).toEqual(new Map(sources.map((source) => [source, 'committed'])));
    expect(store.batches.length).toBe(1);
    expect(await tracker.commitAll()).toEqual(new Map());
    expect(store.batches.length).toBe(1);
  });

  it('rejects with the first failure, after all others have ended', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { strategy: 'manual' });
    for (const source of ['a', 'b', 'c']) await tracker.record(source, sequence(1));
    const garbage = new SerializationError('garbage', { source: 'a' });
    store.failing = (_, sources) => (sources.includes('a') ? garbage : undefined);
    await expect(tracker.commitAll()).rejects.toBe(garbage);
    expect([...(await tracker.getAllCommitted()).keys()].sort()).toEqual(['b', 'c']);
    expect([...tracker.getAllPending().keys()]).toEqual(['a']);
  });
});

describe('a commit that fails', () => {
  it('rejects for those who await it, keeps what is pending, and is made up for by the next', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    const full = new StorageError('disk full');
    await tracker.record('orders', sequence(1));
    store.failing = () => full;
    const told = [tracker.record('orders', sequence(2)), tracker.record('orders', sequence(3)), tracker.commitAll()];
    for (const result of await Promise.allSettled(told)) expect(result).toEqual({ status: 'rejected', reason: full });
    expect(tracker.getAllPending()).toEqual(new Map([['orders', sequence(3)]]));
    expect(tracker.status('orders')).toMatchObject({ pending: sequence(3), committed: sequence(1), lastError: full });
    store.failing = () => undefined;
    expect(await tracker.record('orders', sequence(4))).toBe('committed');
    expect((await store.inner.get('orders'))?.offset).toEqual(sequence(4));
    expect(tracker.status('orders')).toMatchObject({ pending: undefined, lastError: undefined });
  });

  it('is made up for by the same offset recorded again', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    store.failing = (call) => (call === 'commit' ? new Error('disk') : undefined);
    await expect(tracker.record('orders', sequence(1))).rejects.toThrow('disk');
    store.failing = () => undefined;
    expect(await tracker.record('orders', sequence(1))).toBe('committed');
    expect(await store.inner.get('orders')).toMatchObject({ rank: 1, offset: sequence(1) });
  });

  it('never jams the tracker, however often', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { onError: () => {} });
    let calls = 0;
    store.failing = () => (calls++ % 3 ? new Error('flaky') : undefined);
    for (let i = 1; i <= 50; i++) {
      tracker.record('orders', sequence(i)).catch(() => {});
      await tracker.commit('orders').catch(() => {});
    }
    store.failing = () => undefined;
    await tracker.commitAll();
    expect((await store.inner.get('orders'))?.offset).toEqual(sequence(50));
  });

  it('may have failed to read what is stored: then it reads again', async () => {
    const store = new TestStore([['orders', sequence(5)]]);
    const tracker = new OffsetTracker(store);
    store.failing = (call) => (call === 'get' ? new StorageError('unreachable') : undefined);
    await expect(tracker.record('orders', sequence(6))).rejects.toThrow('unreachable');
    expect(store.batches).toEqual([]);
    store.failing = () => undefined;
    expect(await tracker.commit('orders')).toBe('committed');
    expect((await store.inner.get('orders'))?.offset).toEqual(sequence(6));
  });

  it('because one source cannot be read does not hold up the others', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    const garbage = new SerializationError('garbage', { source: 'b' });
    store.failing = (_, sources) => (sources.includes('b') ? garbage : undefined);
    const told = await Promise.allSettled(['a', 'b', 'c'].map((source) => tracker.record(source, sequence(1))));
    expect(told).toEqual([
      { status: 'fulfilled', value: 'committed' },
      { status: 'rejected', reason: garbage },
      { status: 'fulfilled', value: 'committed' },
    ]);
    expect(tracker.getAllPending()).toEqual(new Map([['b', sequence(1)]]));
    expect(tracker.status('a').lastError).toBeUndefined();
  });

  it('of two sources that cannot be written fails both and no other', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { strategy: 'manual' });
    for (const source of ['a', 'b', '', 'd']) {
      await tracker.read(source);
      await tracker.record(source, sequence(1));
    }
    store.failing = (call, sources) => {
      const bad = call === 'commit' && ['b', ''].find((source) => sources.includes(source));
      return typeof bad === 'string' ? new SerializationError('garbage', { source: bad }) : undefined;
    };
    await expect(tracker.commitAll()).rejects.toThrow('garbage');
    expect([...tracker.getAllPending().keys()]).toEqual(['b', '']);
  });

  it('because the store does not answer for a source names the source', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    store.commit = async () => new Map();
    await expect(tracker.record('orders', sequence(1))).rejects.toThrow(/"orders"/);
    await expect(tracker.record('orders', sequence(1))).rejects.toBeInstanceOf(StorageError);
    expect(tracker.getAllPending()).toEqual(new Map([['orders', sequence(1)]]));
  });

  it('is told to onError and to those who listen, once a source, and then is no unhandled rejection', async () => {
    const unhandled = watchUnhandled();
    const [errors, events]: [unknown[], TrackerEvent[]] = [[], []];
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { onError: (error, source) => errors.push([error, source]) });
    tracker.subscribe((event) => void (event.type !== 'recorded' && events.push(event)));
    const disk = new Error('disk');
    store.failing = () => disk;
    void tracker.record('orders', sequence(1));
    void tracker.record('orders', sequence(2));
    void tracker.record('clicks', sequence(1));
    await expect.poll(() => errors.length).toBe(2);
    expect(errors).toEqual([
      [disk, 'orders'],
      [disk, 'clicks'],
    ]);
    expect(events).toMatchObject([
      { type: 'degraded', source: undefined, error: disk, origin: 'local' },
      { type: 'error', source: 'orders', error: disk, origin: 'local' },
      { type: 'error', source: 'clicks', error: disk, origin: 'local' },
    ]);
    await macrotask();
    expect(unhandled).toEqual([]);
  });

  it('is no unhandled rejection for a source that was reset while another’s commit failed', async () => {
    const unhandled = watchUnhandled();
    const errors: unknown[] = [];
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { onError: (_, source) => errors.push(source) });
    for (const source of ['a', 'b']) await tracker.read(source);
    const go = store.hold();
    void tracker.record('a', sequence(1));
    await expect.poll(() => store.batches.length).toBe(1);
    const reset = tracker.record('a', sequence(2));
    const failed = tracker.record('b', sequence(1)).catch((error: unknown) => error);
    store.push({ type: 'commit', batch: new Map([['a', { epoch: 1, rank: 0, offset: undefined, committedAt: 0 }]]) });
    store.failing = (call, sources) => (call === 'commit' && sources.includes('b') ? new Error('disk') : undefined);
    go();
    expect(await reset).toBe('fenced');
    expect(await failed).toMatchObject({ message: 'disk' });
    await macrotask();
    expect(errors).toEqual(['b']);
    expect(tracker.status('a').lastError).toBeUndefined();
    expect(unhandled).toEqual([]);
  });

  it('is an unhandled rejection where nobody awaits and there is no onError, so that it is not lost', async () => {
    const unhandled = watchUnhandled();
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    store.failing = () => new Error('disk');
    void tracker.record('orders', sequence(1));
    await expect.poll(() => unhandled.length).toBe(1);
    expect(unhandled).toMatchObject([{ message: 'disk' }]);
  });

  it('does not make an onError that throws break anything', async () => {
    const uncaught = watchUncaught();
    const store = new TestStore();
    const tracker = new OffsetTracker(store, {
      onError: () => {
        throw new Error('in onError');
      },
    });
    store.failing = () => new Error('disk');
    await expect(tracker.record('orders', sequence(1))).rejects.toThrow('disk');
    store.failing = () => undefined;
    expect(await tracker.record('orders', sequence(2))).toBe('committed');
    await expect.poll(() => uncaught.length).toBe(1);
    expect(uncaught).toMatchObject([{ message: 'in onError' }]);
  });
});

describe('a listener', () => {
  it('is a function, or is refused', () => {
    const tracker = new OffsetTracker(new TestStore());
    expect(() => tracker.subscribe('log' as never)).toThrow(new TypeError('a listener is a function, found "log"'));
  });

  it('hears until it unsubscribes', async () => {
    const tracker = new OffsetTracker(new TestStore());
    const [first, second] = [vi.fn<(event: TrackerEvent) => void>(), vi.fn<(event: TrackerEvent) => void>()];
    const stop = tracker.subscribe(first);
    tracker.subscribe(second);
    await tracker.record('orders', sequence(1));
    stop();
    stop();
    await tracker.record('orders', sequence(2));
    expect(first.mock.calls).toMatchObject([[{ type: 'recorded' }], [{ type: 'committed' }]]);
    expect(second).toHaveBeenCalledTimes(4);
  });

  it('that throws is reported, and keeps neither the tracker nor the others from going on', async () => {
    const uncaught = watchUncaught();
    const tracker = new OffsetTracker(new TestStore());
    const other = vi.fn<() => void>();
    tracker.subscribe(() => {
      throw new Error('in a listener');
    });
    tracker.subscribe(other);
    expect(await tracker.record('orders', sequence(1))).toBe('committed');
    expect(other).toHaveBeenCalledTimes(2);
    await expect.poll(() => uncaught.length).toBe(2);
    expect(uncaught).toMatchObject([{ message: 'in a listener' }, { message: 'in a listener' }]);
  });

  it('hears of what comes after it was added, also where listeners add it', async () => {
    const tracker = new OffsetTracker(new TestStore(), { strategy: 'manual' });
    const heard: string[] = [];
    const listen = (name: string): void => {
      const stop = tracker.subscribe(({ offset }) => {
        stop();
        heard.push(`${name} ${offset && Offset.format(offset)}`);
        if (heard.length < 100) listen(`${name}+`);
      });
    };
    listen('a');
    listen('b');
    await tracker.record('orders', sequence(1));
    await tracker.record('orders', sequence(2));
    expect(heard).toEqual(['a seq:1', 'b seq:1', 'a+ seq:2', 'b+ seq:2']);
  });

  it('may unsubscribe, record and commit from within', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    const told: Promise<unknown>[] = [];
    const stop = tracker.subscribe(({ type }) => {
      if (type !== 'committed') return;
      stop();
      told.push(tracker.record('clicks', sequence(1)), tracker.commitAll());
    });
    await tracker.record('orders', sequence(1));
    await Promise.all(told);
    expect([...(await tracker.getAllCommitted()).keys()]).toEqual(['orders', 'clicks']);
  });
});

function macrotask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10));
}
