import { describe, expect, it } from 'vitest';
import { Offset, OffsetError, OffsetTracker } from '../../../src/index.ts';
import { isNode } from '../runtime.ts';
import { TestStore } from './test-store.ts';

const { sequence } = Offset;
const manual = { strategy: 'manual' } as const;

describe('at maxInFlight', () => {
  it('begin waits until the watermark moves, first come first served', async () => {
    const tracker = new OffsetTracker(new TestStore(), { ...manual, maxInFlight: 2 });
    const reading = await tracker.read('orders');
    const tickets = await Promise.all([1, 2].map((n) => reading.begin(sequence(n))));
    const woken: number[] = [];
    const waits = [3, 4, 5].map((n) => reading.begin(sequence(n)).then((ticket) => (woken.push(n), ticket)));
    await tickets[1]?.done();
    await turn();
    expect(woken, 'the head holds the window').toEqual([]);
    await tickets[0]?.done();
    await turn();
    expect(woken).toEqual([3, 4]);
    await (await waits[0])?.done();
    await Promise.all(waits);
    expect(woken).toEqual([3, 4, 5]);
  });

  it('is 1024 unless one says otherwise', async () => {
    const tracker = new OffsetTracker(new TestStore(), manual);
    const reading = await tracker.read('orders');
    let begun = 0;
    for (let n = 1; n <= 1025; n++)
      void reading.begin(sequence(n)).then(
        () => begun++,
        () => {},
      );
    await turn();
    expect(begun).toBe(1024);
  });

  it('an abandoned head with nothing in flight is said to block all room', async () => {
    const tracker = new OffsetTracker(new TestStore(), { ...manual, maxInFlight: 1 });
    const ticket = await tracker.begin('orders', sequence(1));
    const waiting = tracker.begin('orders', sequence(2)).catch((error: unknown) => error);
    await turn();
    ticket.abandon();
    expect(await waiting).toMatchObject({
      code: 'in-flight',
      source: 'orders',
      message: expect.stringContaining('"orders": \'seq:1\' was abandoned'),
    });
    await expect(tracker.begin('orders', sequence(3))).rejects.toBeInstanceOf(OffsetError);
    await tracker.begin('clicks', sequence(1));
  });

  it('an abandoned head blocks nobody before the last in flight is finished', async () => {
    const tracker = new OffsetTracker(new TestStore(), { ...manual, maxInFlight: 2 });
    const [head, other] = await Promise.all([1, 2].map((n) => tracker.begin('orders', sequence(n))));
    head?.abandon();
    let refused = 0;
    const waiting = tracker.begin('orders', sequence(3)).catch(() => refused++);
    await turn();
    expect(refused).toBe(0);
    await other?.done();
    await waiting;
    expect(refused).toBe(1);
  });

  it('a record waits behind those who wait for room', async () => {
    const tracker = new OffsetTracker(new TestStore(), { ...manual, maxInFlight: 1 });
    const head = await tracker.begin('orders', sequence(1));
    const waiting = tracker.begin('orders', sequence(2));
    const recorded = tracker.record('orders', sequence(3));
    await turn();
    expect(tracker.status('orders').recorded).toBeUndefined();
    await head.done();
    await (await waiting).done();
    expect(await recorded).toBe('pending');
    expect(tracker.status('orders').recorded).toEqual(sequence(3));
  });

  it.runIf(isNode)('a begin leaves no listener on its signal', async () => {
    const { getEventListeners } = (await import('node:events')).default;
    const tracker = new OffsetTracker(new TestStore(), { ...manual, maxInFlight: 1 });
    const head = await tracker.begin('orders', sequence(1));
    const { signal } = new AbortController();
    const waiting = tracker.begin('orders', sequence(2), { signal });
    await turn();
    expect(getEventListeners(signal, 'abort').length).toBe(1);
    await head.done();
    await waiting;
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('a waiting begin whose signal is aborted passes its place on', async () => {
    const tracker = new OffsetTracker(new TestStore(), { ...manual, maxInFlight: 1 });
    const reading = await tracker.read('orders');
    const head = await reading.begin(sequence(1));
    const controller = new AbortController();
    const given = reading.begin(sequence(2), { signal: controller.signal }).catch((error: unknown) => error);
    const next = reading.begin(sequence(3));
    const reason = new Error('enough');
    controller.abort(reason);
    expect(await given).toBe(reason);
    await head.done();
    await (await next).done();
    expect(tracker.status('orders').recorded).toEqual(sequence(3));
  });

  it('begin lets a reader keep the window full, and no more', async () => {
    const tracker = new OffsetTracker(new TestStore(), { maxInFlight: 4 });
    let most = 0;
    const finishing: Promise<unknown>[] = [];
    for (let n = 1; n <= 100; n++) {
      const ticket = await tracker.begin('orders', sequence(n));
      most = Math.max(most, tracker.status('orders').inFlight);
      finishing.push(new Promise((resolve) => setTimeout(resolve)).then(() => ticket.done()));
    }
    await Promise.all(finishing);
    expect(most).toBe(4);
    expect(tracker.status('orders').committed).toEqual(sequence(100));
  });

  it.each<[string, (tracker: OffsetTracker) => Promise<unknown>]>([
    ['a reset', (tracker) => tracker.reset('orders', sequence(0))],
    ['clearAll', (tracker) => tracker.clearAll()],
  ])('begin does not wait for tickets that %s has made void', async (_, run) => {
    const tracker = new OffsetTracker(new TestStore(), { ...manual, maxInFlight: 1 });
    await tracker.begin('orders', sequence(1));
    const waiting = tracker.begin('orders', sequence(2));
    await run(tracker);
    expect(await (await waiting).done()).toBe('fenced');
    await tracker.begin('orders', sequence(1));
  });
});

async function turn(): Promise<void> {
  for (let i = 0; i < 20; i++) await undefined;
}
