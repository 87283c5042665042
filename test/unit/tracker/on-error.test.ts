import { describe, expect, it } from 'vitest';
import { Offset, OffsetTracker, type Reading, StorageError } from '../../../src/index.ts';
import { watchUnhandled } from '../runtime.ts';
import { TestStore } from './test-store.ts';

const { sequence } = Offset;

interface World {
  readonly store: TestStore;
  readonly tracker: OffsetTracker<TestStore>;
  readonly reading: Reading<TestStore>;
}

const full = new StorageError('the disk is full');
const breakDown = ({ store }: World): void => {
  store.failing = (call) => (call === 'commit' ? full : undefined);
};

/** Each leaves a promise alone that rejects. @returns once it has been handed out */
const cases: readonly (readonly [name: string, code: string, leave: (world: World) => unknown])[] = [
  ['a record that no commit takes', 'storage', (world) => (breakDown(world), void world.reading.record(sequence(1)))],
  [
    'a record that waits for an effect',
    'storage',
    (world) => {
      void world.reading.transact(sequence(1), () => breakDown(world));
      void world.reading.record(sequence(2));
    },
  ],
  [
    'a record that waits for a ticket',
    'storage',
    async (world) => {
      const ticket = await world.reading.begin(sequence(1));
      void world.reading.record(sequence(2));
      breakDown(world);
      void ticket.done();
    },
  ],
  ['a record of another kind', 'invalid-offset', ({ reading }) => void reading.record(Offset.latest)],
  [
    'a record of a tracker that closes',
    'closed',
    ({ tracker }) => (tracker.close(), void tracker.record('a', sequence(1))),
  ],
  [
    'a begin of a tracker that closes',
    'closed',
    ({ tracker }) => (tracker.close(), void tracker.begin('a', sequence(1))),
  ],
  ['a record of a closed reading', 'closed', ({ reading }) => (reading.close(), void reading.record(sequence(1)))],
  ['a begin of a closed reading', 'closed', ({ reading }) => (reading.close(), void reading.begin(sequence(1)))],
  [
    'a ticket of a closed reading',
    'closed',
    async ({ reading }) => {
      const ticket = await reading.begin(sequence(1));
      await reading.close();
      void ticket.done();
    },
  ],
];

describe('with an onError', () => {
  it.each(cases)('%s need not be awaited, and is told once', async (_, code, leave) => {
    const unhandled = watchUnhandled();
    const errors: unknown[] = [];
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { onError: (error) => void errors.push(error) });
    const reading = await tracker.read('orders');
    await leave({ store, tracker, reading });
    await expect.poll(() => errors.length).toBeGreaterThan(0);
    await last(unhandled);
    expect(unhandled).toEqual(['last']);
    expect(errors).toMatchObject([{ code }]);
  });

  it('what was given up on purpose is not told', async () => {
    const unhandled = watchUnhandled();
    const errors: unknown[] = [];
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { maxInFlight: 1, onError: (error) => void errors.push(error) });
    const reading = await tracker.read('orders');
    const ticket = await reading.begin(sequence(1));
    const giving = new AbortController();
    void reading.begin(sequence(2), { signal: giving.signal });
    giving.abort();
    await reading.close();
    ticket.abandon();
    await last(unhandled);
    expect([unhandled, errors]).toEqual([['last'], []]);
  });
});

it('without an onError, what nobody awaits is an unhandled rejection', async () => {
  const unhandled = watchUnhandled();
  const tracker = new OffsetTracker(new TestStore());
  void tracker.record('orders', Offset.latest);
  await last(unhandled);
  expect(unhandled).toMatchObject([{ code: 'invalid-offset' }, 'last']);
});

/** Waits until a rejection that comes after all others is seen. */
async function last(unhandled: readonly unknown[]): Promise<void> {
  void Promise.reject('last');
  await expect.poll(() => unhandled).toContain('last');
}
