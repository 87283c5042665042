import {
  FeedChangedError,
  FeedExpiredError,
  InMemoryOffsetStore,
  Offset,
  OffsetTracker,
  type Feed,
  type FeedOpening,
  resume,
} from 'tidemark';
import { expect, test } from 'vitest';
import { swift } from './feeds.ts';

/** A log of numbers; each opening tells what the log is, sends what is after the place, and ends. */
function log(openings: readonly (FeedOpening & { readonly last: number })[]) {
  const asked: Offset[] = [];
  const feed: Feed<number> = async function* (from, context) {
    const { last, ...about } = openings[Math.min(asked.length, openings.length - 1)] ?? { last: 0 };
    asked.push(from);
    context.opened(about);
    const place = from.kind === 'sequence' ? Number(from.value) : from.kind === 'latest' ? last : 0;
    for (let n = place + 1; n <= last; n++) yield { offset: Offset.sequence(n), data: n };
    return asked.length >= openings.length ? 'end' : undefined;
  };
  return { feed, asked };
}

async function read(feed: Feed<number>, options = {}, store = new InMemoryOffsetStore()) {
  const tracker = new OffsetTracker(store);
  const seen: number[] = [];
  const warnings: (string | undefined)[] = [];
  tracker.subscribe(({ type, code }) => type === 'warning' && void warnings.push(code));
  const handler = ({ data }: { data: number }): void => void seen.push(data);
  const error = await resume(tracker, 'orders', feed, { ...swift, ...options, handler }).catch((e: unknown) => e);
  return { seen, error, warnings, checkpoint: await store.get('orders') };
}

test('the feed id is kept with the offset', async () => {
  const { checkpoint } = await read(log([{ feedId: 'a', last: 2 }]).feed);
  expect(checkpoint).toMatchObject({ offset: Offset.sequence(2), feed: 'a' });
});

test('another feed id ends the reading with an error that says both', async () => {
  const store = new InMemoryOffsetStore();
  await read(log([{ feedId: 'a', last: 2 }]).feed, {}, store);
  const { error, seen, checkpoint } = await read(log([{ feedId: 'b', last: 9 }]).feed, {}, store);
  expect(error).toBeInstanceOf(FeedChangedError);
  expect(error).toMatchObject({ source: 'orders', expected: 'a', found: 'b' });
  expect(String(error)).toMatch(/"b".*"a"/);
  expect(seen).toEqual([]);
  expect(checkpoint).toMatchObject({ offset: Offset.sequence(2), feed: 'a' });
});

test('a feed that refuses the place as gone, and says that its log is another one, is a changed one', async () => {
  const store = new InMemoryOffsetStore();
  await read(log([{ feedId: 'a', last: 2 }]).feed, {}, store);
  const refusing = (feedId: string | undefined): Feed<number> =>
    async function* (from, context) {
      if (from.kind !== 'earliest') throw new FeedExpiredError('gone', { source: 'orders', feedId });
      context.opened({ feedId });
      yield { offset: Offset.sequence(1), data: 1 };
      return 'end';
    };
  expect((await read(refusing('b'), {}, store)).error).toMatchObject({
    code: 'feed-changed',
    expected: 'a',
    found: 'b',
  });
  expect((await read(refusing('a'), {}, store)).error).toMatchObject({ code: 'feed-expired', feedId: 'a' });
  expect((await read(refusing(undefined), {}, store)).error).toMatchObject({ code: 'feed-expired' });
  const { seen, error } = await read(refusing('b'), { onFeedChanged: 'earliest' }, store);
  expect([seen, error]).toEqual([[1], undefined]);
});

test('a head before the place ends the reading', async () => {
  const store = new InMemoryOffsetStore();
  await read(log([{ last: 5 }]).feed, {}, store);
  const { error } = await read(log([{ head: Offset.sequence(3), last: 3 }]).feed, {}, store);
  expect(error).toBeInstanceOf(FeedChangedError);
  expect(String(error)).toContain('seq:3');
});

test("onFeedChanged: 'earliest' reads the new log from its start, and keeps its id", async () => {
  const { feed, asked } = log([
    { feedId: 'a', last: 3 },
    { feedId: 'b', last: 2 },
    { feedId: 'b', last: 2 },
  ]);
  const { seen, error, checkpoint } = await read(feed, { onFeedChanged: 'earliest' });
  expect(error).toBeUndefined();
  expect(seen).toEqual([1, 2, 3, 1, 2]);
  expect(asked).toEqual([Offset.earliest, Offset.sequence(3), Offset.earliest]);
  expect(checkpoint).toMatchObject({ offset: Offset.sequence(2), feed: 'b' });
});

test('a callback says where to go on in the new log', async () => {
  const { feed } = log([
    { feedId: 'a', last: 3 },
    { feedId: 'b', last: 4 },
    { feedId: 'b', last: 4 },
  ]);
  const errors: unknown[] = [];
  const onFeedChanged = (source: string, error: FeedChangedError): Offset => {
    errors.push([source, error.expected, error.found]);
    return Offset.sequence(2);
  };
  expect((await read(feed, { onFeedChanged })).seen).toEqual([1, 2, 3, 3, 4]);
  expect(errors).toEqual([['orders', 'a', 'b']]);
});

test("'latest' is kept as soon as the feed tells its head, so that a drop before the first event skips nothing", async () => {
  const store = new InMemoryOffsetStore();
  await new OffsetTracker(store).reset('orders', Offset.latest);
  const { feed, asked } = log([
    { head: Offset.sequence(5), last: 5 },
    { head: Offset.sequence(8), last: 8 },
  ]);
  const { seen, warnings } = await read(feed, {}, store);
  expect(asked).toEqual([Offset.latest, Offset.sequence(5)]);
  expect([seen, warnings]).toEqual([[6, 7, 8], []]);
});

test("a drop of a feed at 'latest' that does not tell its head is warned of", async () => {
  const store = new InMemoryOffsetStore();
  await new OffsetTracker(store).reset('orders', Offset.latest);
  const { warnings } = await read(log([{ last: 5 }, { last: 8 }]).feed, {}, store);
  expect(warnings).toEqual(['latest-not-pinned']);
});
