import { describe, expect, it, vi } from 'vitest';
import { Offset, OffsetTracker, type Reading, type Ticket } from '../../../src/index.ts';
import { beginEpoch } from '../../../src/checkpoint.ts';
import { SourceReading } from '../../../src/tracker/reading.ts';
import { type ReadingEvent, type ReadingState, transitions } from '../../../src/tracker/states.ts';
import { TestStore } from './test-store.ts';

const { sequence } = Offset;
const cells = Object.entries(transitions).flatMap(([state, events]) =>
  Object.entries(events).map(([event, [answer, next]]) => [state, event, answer, next] as const),
) as (readonly [ReadingState, ReadingEvent, string, ReadingState])[];

describe('a reading', () => {
  it.each(cells)('that is %s answers %s with %s and is %s', async (state, event, answer, next) => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { strategy: 'manual', onError: () => {} });
    const go = state === 'starting' ? store.hold() : () => {};
    const reading = state === 'starting' ? standing(tracker) : ((await tracker.read('orders')) as SourceReading);
    const { signal } = reading;
    let ticket: Ticket | undefined;
    if (event === 'done' && state !== 'starting') ticket = await reading.begin(sequence(1));
    if (state === 'fenced') await store.elsewhere('orders', begun(1));
    if (state === 'closed') await reading.close();
    expect(reading.state).toBe(state);
    const was = signal.aborted;
    const told = drive(event, { store, reading, ticket }).catch((error: { code?: string }) =>
      error.code === 'closed' ? 'closed' : 'rejected',
    );
    go();
    const found = (await told) ?? (signal.aborted && !was ? 'told' : 'unmoved');
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect([found, reading.state]).toEqual([answer, next]);
  });
});

interface Driven {
  readonly store: TestStore;
  readonly reading: Reading;
  readonly ticket: Ticket | undefined;
}

/** What the reading answers; undefined for what happens elsewhere. */
async function drive(event: ReadingEvent, { store, reading, ticket }: Driven): Promise<string | undefined> {
  switch (event) {
    case 'record':
      return reading.record(sequence(1));
    case 'begin': {
      const made = await reading.begin(sequence(1));
      return (await made.done()) === 'fenced' ? 'void ticket' : 'ticket';
    }
    case 'done':
      return (ticket ?? (await reading.begin(sequence(1)))).done();
    case 'transact':
      return (reading as Reading<TestStore>).transact(sequence(1), () => {});
    case 'commit':
      return reading.commit();
    case 'close':
      await reading.close();
      return 'ended';
    case 'store failure':
      store.failing = () => new Error('disk');
      void reading.record(sequence(1)).catch(() => {});
      return reading.commit();
    case 'reset':
      await store.elsewhere('orders', beginEpoch(undefined, { offset: sequence(0) }, 0));
      return undefined;
    case 'fence':
      await store.elsewhere('orders', beginEpoch(undefined));
      return undefined;
    case 'remote commit':
      await store.elsewhere('orders', { epoch: 0, rank: 1, offset: sequence(1), committedAt: 0 });
      return undefined;
  }
}

function begun(epoch: number): { epoch: number; rank: 0; offset: Offset; committedAt: 0 } {
  return { epoch, rank: 0, offset: sequence(0), committedAt: 0 };
}

/** The reading of `tracker.record`, made by a record, while the store has not answered yet. */
function standing(tracker: OffsetTracker): SourceReading {
  const spy = vi.spyOn(SourceReading.prototype, 'record');
  tracker.record('orders', sequence(0)).catch(() => {});
  const [made] = spy.mock.contexts;
  spy.mockRestore();
  return made as SourceReading;
}
