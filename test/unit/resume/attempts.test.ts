import {
  FeedError,
  type FeedEvent,
  type FeedFailure,
  type FeedItem,
  InMemoryOffsetStore,
  Offset,
  OffsetTracker,
  resume,
} from 'tidemark';
import { expect, test } from 'vitest';
import { swift } from './feeds.ts';

type Event = FeedEvent<number>;
interface Options {
  readonly onFailed: (error: unknown, event: unknown, attempt: number) => 'retry' | 'skip' | 'stop';
}
type Read = (
  tracker: OffsetTracker,
  feed: () => AsyncGenerator<FeedItem<number>, 'end'>,
  options: Options,
) => Promise<number[]>;

/** The numbers 1 to 3, of which the second cannot be read at first. */
async function* unreadable(failures: number): AsyncGenerator<FeedItem<number>, 'end'> {
  const event = (n: number): Event => ({ offset: Offset.sequence(n), data: n });
  const read = (left: number): Event | FeedFailure<Event> =>
    left === 0
      ? event(2)
      : {
          failed: new FeedError('cannot be read', { event: 'two', offset: Offset.sequence(2), retryable: false }),
          offset: Offset.sequence(2),
          again: () => read(left - 1),
        };
  yield event(1);
  yield read(failures);
  yield event(3);
  return 'end';
}

const ways: Record<string, Read> = {
  'in a loop': async (tracker, feed, options) => {
    const seen: number[] = [];
    for await (const { data } of resume(tracker, 'orders', feed, { ...swift, ...options })) seen.push(data);
    return seen;
  },
  'with a handler': async (tracker, feed, options) => {
    const seen: number[] = [];
    const handler = ({ data }: Event): void => void seen.push(data);
    await resume(tracker, 'orders', feed, { ...swift, ...options, handler });
    return seen;
  },
  'in batches': async (tracker, feed, options) => {
    const seen: number[] = [];
    const handler = (events: readonly Event[]): void => void seen.push(...events.map(({ data }) => data));
    await resume(tracker, 'orders', feed, { ...swift, ...options, batch: { size: 2 }, handler });
    return seen;
  },
};

test.each(Object.entries(ways))(
  'an event that cannot be read is read again %s, and asked about each time',
  async (_, read) => {
    const store = new InMemoryOffsetStore();
    const asked: unknown[] = [];
    const onFailed: Options['onFailed'] = (_error, event, attempt) => {
      asked.push([event, attempt]);
      return 'retry';
    };
    expect(await read(new OffsetTracker(store), () => unreadable(2), { onFailed })).toEqual([1, 2, 3]);
    expect(asked).toEqual([
      ['two', 1],
      ['two', 2],
    ]);
    expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(3));
  },
);

test.each(Object.entries(ways))('an event that cannot be read may be skipped %s', async (_, read) => {
  const store = new InMemoryOffsetStore();
  const tracker = new OffsetTracker(store);
  const skipped: unknown[] = [];
  tracker.subscribe(({ type, offset }) => type === 'skipped' && skipped.push(offset));
  const onFailed: Options['onFailed'] = (_error, _event, attempt) => (attempt < 3 ? 'retry' : 'skip');
  expect(await read(tracker, () => unreadable(Infinity), { onFailed })).toEqual([1, 3]);
  expect(skipped).toEqual([Offset.sequence(2)]);
  expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(3));
});
