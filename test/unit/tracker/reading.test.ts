import { describe, expect, it } from 'vitest';
import {
  InMemoryOffsetStore,
  InvalidOffsetError,
  Offset,
  OffsetTracker,
  SerializationError,
  SourceNotFoundError,
  StorageError,
} from '../../../src/index.ts';
import { TestStore } from './test-store.ts';

const { sequence, custom } = Offset;

describe('where to start reading', () => {
  it('is the committed offset, read from the store', async () => {
    const store = new InMemoryOffsetStore([['orders', sequence(41)]]);
    expect(await new OffsetTracker(store).getOffset('orders')).toEqual(sequence(41));
  });

  it('is what the store holds now, also where others have moved it since', async () => {
    const store = new TestStore([['orders', sequence(41)]]);
    const tracker = new OffsetTracker(store);
    await tracker.read('orders');
    await store.elsewhere('orders', { epoch: 0, rank: 9, offset: sequence(50), committedAt: 1 }, false);
    expect(await tracker.getOffset('orders')).toEqual(sequence(50));
    await store.elsewhere('orders', { epoch: 1, rank: 0, offset: sequence(7), committedAt: 1 }, false);
    expect(await tracker.getOffset('orders')).toEqual(sequence(7));
  });

  it('is not what is recorded and not yet committed', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore([['orders', sequence(1)]]), { strategy: 'manual' });
    await tracker.record('orders', sequence(2));
    expect(await tracker.getOffset('orders')).toEqual(sequence(1));
    expect(tracker.getAllPending()).toEqual(new Map([['orders', sequence(2)]]));
    await tracker.commit('orders');
    expect(await tracker.getOffset('orders')).toEqual(sequence(2));
  });

  it('may be a sentinel that the source was reset to', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { resetPolicy: 'none' });
    await tracker.reset('orders', Offset.latest);
    expect(await tracker.getOffset('orders')).toEqual(Offset.latest);
  });

  it('is asked of the store at every call, and nothing is written', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    await tracker.read('orders');
    await tracker.read('orders');
    expect(store.calls).toEqual(['get', 'get']);
  });

  it('cannot be told where the store cannot be read, and can be once it can', async () => {
    const store = new TestStore([['orders', sequence(41)]]);
    const tracker = new OffsetTracker(store);
    const broken = new SerializationError('garbage', { source: 'orders' });
    store.failing = () => broken;
    await expect(tracker.getOffset('orders')).rejects.toBe(broken);
    store.failing = () => undefined;
    expect(await tracker.getOffset('orders')).toEqual(sequence(41));
  });

  it.each(['', '__proto__', 'constructor', '\ud800', 'x'.repeat(5000)])('takes %j for a source', async (source) => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    expect(await tracker.getOffset(source)).toEqual(Offset.earliest);
    expect(await tracker.record(source, sequence(1))).toBe('committed');
    expect(await tracker.getOffset(source)).toEqual(sequence(1));
    expect(await tracker.getAllCommitted()).toEqual(new Map([[source, sequence(1)]]));
  });

  it('takes nothing but a string for a source', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    await expect(tracker.getOffset(undefined as never)).rejects.toThrow(TypeError);
    await expect(tracker.record(5 as never, sequence(1))).rejects.toThrow(/string.*5/);
  });
});

describe('where nothing is committed', () => {
  const open = (resetPolicy?: ConstructorParameters<typeof OffsetTracker>[1]): OffsetTracker =>
    new OffsetTracker(new InMemoryOffsetStore(), resetPolicy);

  it('reading starts at the earliest event, or at the latest', async () => {
    expect(await open().getOffset('orders')).toEqual(Offset.earliest);
    expect(await open({ resetPolicy: 'earliest' }).getOffset('orders')).toEqual(Offset.earliest);
    expect(await open({ resetPolicy: 'latest' }).getOffset('orders')).toEqual(Offset.latest);
  });

  it('the policy none says so, and what to do', async () => {
    const tracker = open({ resetPolicy: 'none' });
    const failed = await tracker.getOffset('orders').catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(SourceNotFoundError);
    expect(failed).toMatchObject({ source: 'orders', code: 'source-not-found' });
    expect(await tracker.record('orders', sequence(1))).toBe('committed');
    expect(await tracker.getOffset('orders')).toEqual(sequence(1));
  });

  it('a function decides, source by source, at once or later', async () => {
    const byLength = open({ resetPolicy: (source) => sequence(source.length) });
    expect(await byLength.getOffset('orders')).toEqual(sequence(6));
    expect(await byLength.getOffset('')).toEqual(sequence(0));
    const later = open({ resetPolicy: async (source) => custom(source) });
    expect(await later.getOffset('orders')).toEqual(custom('orders'));
  });

  it('what the function gives is not the caller’s to change afterwards', async () => {
    const mine = { kind: 'sequence', value: 5n } as const;
    const reading = await open({ resetPolicy: () => mine }).read('orders');
    Object.assign(mine, { value: 9n });
    expect(reading.from).toEqual(sequence(5));
    expect(Object.isFrozen(reading.from)).toBe(true);
  });

  it('the function is not asked where something is committed, and again after a clear', async () => {
    let asked = 0;
    const tracker = new OffsetTracker(new InMemoryOffsetStore([['orders', sequence(1)]]), {
      resetPolicy: () => {
        asked++;
        return sequence(7);
      },
    });
    expect(await tracker.getOffset('orders')).toEqual(sequence(1));
    expect(asked).toBe(0);
    await tracker.clear('orders');
    expect(await tracker.getOffset('orders')).toEqual(sequence(7));
    expect(asked).toBe(1);
  });

  it('the function’s own error comes through', async () => {
    const boom = new Error('no head');
    await expect(open({ resetPolicy: () => Promise.reject(boom) }).getOffset('orders')).rejects.toBe(boom);
    const throwing = open({
      resetPolicy: () => {
        throw boom;
      },
    });
    await expect(throwing.getOffset('orders')).rejects.toBe(boom);
  });

  it.each([[undefined], [null], [5], [5n], ['earliest'], [{ kind: 'sequence', value: 5 }]])(
    'an answer of %o is refused and named',
    async (answer) => {
      const failed = await open({ resetPolicy: () => answer as never })
        .getOffset('orders')
        .catch((error: unknown) => error);
      expect(failed).toBeInstanceOf(InvalidOffsetError);
      expect(failed).toMatchObject({ source: 'orders' });
    },
  );

  it('what the policy said is not committed by reading alone', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { resetPolicy: () => sequence(5) });
    await tracker.read('orders');
    expect(await tracker.commit('orders')).toBe('none');
    expect(await store.inner.getAll()).toEqual(new Map());
  });
});

describe('what is committed and what is pending', () => {
  it('is listed source by source, without what was cleared', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore([['left', custom('x')]]), { strategy: 'manual' });
    await tracker.record('orders', sequence(5));
    expect(tracker.getAllPending()).toEqual(new Map([['orders', sequence(5)]]));
    expect(await tracker.getAllCommitted()).toEqual(new Map([['left', custom('x')]]));
    await tracker.commitAll();
    await tracker.clear('left');
    expect(tracker.getAllPending()).toEqual(new Map());
    expect(await tracker.getAllCommitted()).toEqual(new Map([['orders', sequence(5)]]));
  });

  it('rejects where the store cannot be listed', async () => {
    const store = new TestStore();
    store.failing = () => new StorageError('disk');
    await expect(new OffsetTracker(store).getAllCommitted()).rejects.toThrow('disk');
  });

  it('is in status, without asking the store', async () => {
    const store = new TestStore([['orders', sequence(1)]]);
    const tracker = new OffsetTracker(store, { strategy: 'manual', now: () => 1234 });
    expect(tracker.status('orders')).toEqual({
      recorded: undefined,
      committed: undefined,
      pending: undefined,
      inFlight: 0,
      lastCommitAt: undefined,
      epoch: 0,
      fenced: false,
      lastError: undefined,
      degraded: undefined,
      role: undefined,
      feed: undefined,
      head: undefined,
      lag: undefined,
      caughtUp: undefined,
    });
    expect(store.calls).toEqual([]);
    await tracker.read('orders');
    expect(tracker.status('orders')).toMatchObject({ committed: sequence(1), recorded: sequence(1), lastCommitAt: 0 });
    await tracker.record('orders', sequence(2));
    await tracker.begin('orders', sequence(3));
    expect(tracker.status('orders')).toMatchObject({ recorded: sequence(2), pending: sequence(2), inFlight: 1 });
    await tracker.commit('orders');
    expect(tracker.status('orders')).toMatchObject({
      committed: sequence(2),
      pending: undefined,
      lastCommitAt: 1234,
      epoch: 0,
    });
    await tracker.reset('orders', sequence(1));
    expect(tracker.status('orders')).toMatchObject({
      committed: sequence(1),
      recorded: sequence(1),
      epoch: expect.any(Number),
      inFlight: 0,
    });
  });
});

describe('a reading', () => {
  it('starts again at what is pending, and a look at the offset changes nothing', async () => {
    const tracker = new OffsetTracker(new TestStore(), { strategy: 'manual' });
    const first = await tracker.read('orders');
    await first.record(sequence(3));
    expect(await tracker.getOffset('orders')).toEqual(Offset.earliest);
    expect((await tracker.read('orders')).from).toEqual(sequence(3));
    expect(await first.record(sequence(4))).toBe('pending');
  });

  it('that fences begins a new epoch where the source stands, and fences the others for ever', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { strategy: 'manual' });
    const old = await tracker.read('orders');
    await old.record(sequence(3));
    const next = await tracker.read('orders', { fence: true });
    expect(next.from).toEqual(sequence(3));
    expect(old.signal.reason).toMatchObject({ by: 'reader' });
    expect(await old.record(sequence(4))).toBe('fenced');
    expect(await next.record(sequence(4))).toBe('pending');
    expect(await next.commit()).toBe('committed');
    expect((await store.inner.get('orders'))?.epoch).toBeGreaterThan(0);
    expect(await old.record(sequence(5))).toBe('fenced');
  });

  it('of two trackers that reset at once gets two epochs, and one of them is fenced', async () => {
    const store = new TestStore();
    const trackers = [new OffsetTracker(store), new OffsetTracker(store)] as const;
    await Promise.all(trackers.map((tracker, n) => tracker.reset('orders', sequence(n * 100))));
    const outcomes = await Promise.all(trackers.map((tracker, n) => tracker.record('orders', sequence(n * 100 + 1))));
    expect([...outcomes].sort()).toEqual(['committed', 'fenced']);
  });

  it('of a record before the first read cannot jump over a reset', async () => {
    const store = new TestStore([['orders', sequence(1)]]);
    const tracker = new OffsetTracker(store, { strategy: 'manual' });
    await tracker.record('orders', sequence(50));
    await store.elsewhere('orders', { epoch: 2 ** 40, rank: 0, offset: sequence(10), committedAt: 0 }, false);
    expect(await tracker.commit('orders')).toBe('fenced');
    expect((await store.inner.get('orders'))?.offset).toEqual(sequence(10));
  });

  it('is fenced for what it records during an own reset', async () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    const reading = await tracker.read('orders');
    const go = store.hold();
    const reset = tracker.reset('orders', sequence(5));
    const recorded = reading.record(sequence(9));
    go();
    await reset;
    expect(await recorded).toBe('fenced');
    expect((await store.inner.get('orders'))?.offset).toEqual(sequence(5));
  });
});

describe('status', () => {
  it('is the same object until something changes', async () => {
    const tracker = new OffsetTracker(new TestStore(), { strategy: 'manual' });
    const before = tracker.status('orders');
    expect(tracker.status('orders')).toBe(before);
    await tracker.record('orders', sequence(1));
    const after = tracker.status('orders');
    expect(after).not.toBe(before);
    expect(tracker.status('orders')).toBe(after);
    await tracker.commitAll();
    expect(tracker.status('orders')).not.toBe(after);
  });

  it('is the same object after what changes nothing that it shows', async () => {
    const tracker = new OffsetTracker(new TestStore(), { strategy: 'manual' });
    const [reading, other] = [await tracker.read('orders'), await tracker.read('orders')];
    const before = tracker.status('orders');
    await other.close();
    expect(tracker.status('orders')).toBe(before);
    await reading.record(sequence(1));
    await reading.commit();
    const committed = tracker.status('orders');
    await reading.record(sequence(1));
    await reading.close();
    expect(tracker.status('orders')).toBe(committed);
  });

  it('tells of tickets that begin and end', async () => {
    const tracker = new OffsetTracker(new TestStore(), { strategy: 'manual' });
    const counts: number[] = [];
    tracker.subscribe(({ type, source = '' }) => type === 'in-flight' && counts.push(tracker.status(source).inFlight));
    const reading = await tracker.read('orders');
    const first = await reading.begin(sequence(1));
    await reading.begin(sequence(2));
    await first.done();
    await first.done();
    await reading.close();
    expect(counts).toEqual([1, 2, 1, 0]);
  });

  it('keeps no entry for what only others read', () => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store);
    tracker.subscribe(() => {});
    const unknown = tracker.status('x');
    for (let n = 0; n < 20_000; n++) {
      const checkpoint = { epoch: 0, rank: 1, offset: sequence(1), committedAt: 0 };
      store.push({ type: 'commit', batch: new Map([[`source ${n}`, checkpoint]]) });
    }
    expect(tracker.status('source 7')).toBe(unknown);
    expect(tracker.status('x')).toBe(unknown);
  });
});
