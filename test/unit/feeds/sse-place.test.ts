import {
  InMemoryOffsetStore,
  Offset,
  OffsetTracker,
  type ResumeOptions,
  type SseEvent,
  type SseOptions,
  resume,
  sse,
} from 'tidemark';
import { describe, expect, test } from 'vitest';
import { swift } from '../resume/feeds.ts';
import { answering, streamOf } from './answers.ts';

const event = (id: string | number): string => `id: ${id}\ndata: ${id}\n\n`;

/** A server that answers each request by what it was sent as the last event id, and ends the feed after so many. */
function serving(answer: (id: string | null, opening: number) => string | number, openings: number) {
  const asked: (string | null)[] = [];
  const fetch: NonNullable<SseOptions['fetch']> = async (_url, { headers }) => {
    const id = headers.get('last-event-id');
    asked.push(id);
    if (asked.length > openings) return new Response(null, { status: 204 });
    const answered = answer(id, asked.length);
    return typeof answered === 'string' ? streamOf([answered]) : new Response(null, { status: answered });
  };
  return { fetch, asked };
}

interface How {
  readonly store?: InMemoryOffsetStore;
  readonly resume?: ResumeOptions<SseEvent<string>>;
}

/** Reads a feed to its end, and tells the ids of what was delivered and what was warned of. */
async function read(options: SseOptions, { store = new InMemoryOffsetStore(), resume: how = {} }: How = {}) {
  const tracker = new OffsetTracker(store);
  const warnings: (string | undefined)[] = [];
  tracker.subscribe(({ type, code }) => type === 'warning' && void warnings.push(code));
  const ids: string[] = [];
  const feed = sse('/feed', { earliest: '', ...options });
  let error: unknown;
  try {
    for await (const { id } of resume(tracker, 'orders', feed, { ...swift, ...how })) ids.push(id);
  } catch (thrown) {
    error = thrown;
  }
  return { ids, warnings, error };
}

describe.each<[string, SseOptions]>([
  ['opaque', {}],
  ['ordered', { offset: Offset.sequence }],
])('under %s offsets, a server', (_kind, options) => {
  test('that answers "from here on" repeats no event', async () => {
    const { fetch } = serving((id) => event(id ?? 1) + event(Number(id ?? 1) + 1), 7);
    const { ids, warnings } = await read({ ...options, fetch });
    expect(ids).toEqual(['1', '2', '3', '4', '5', '6', '7', '8']);
    expect(warnings).toEqual(['id-ignored']);
  });

  test('that ignores the place sends its events once, and is warned of once', async () => {
    const { fetch, asked } = serving(() => [1, 2, 3, 4, 5].map(event).join(''), 6);
    const { ids, warnings } = await read({ ...options, fetch });
    expect(ids).toEqual(['1', '2', '3', '4', '5']);
    expect(warnings).toEqual(['id-ignored']);
    expect(asked.slice(1)).toEqual(Array(6).fill('5'));
  });

  test('that ignores the place repeats nothing that has come after the last opening either', async () => {
    const { fetch } = serving(
      (_id, opening) => Array.from({ length: opening * 40 }, (_, i) => event(i + 1)).join(''),
      6,
    );
    const { ids } = await read({ ...options, fetch });
    expect(ids).toEqual(Array.from({ length: 240 }, (_, i) => String(i + 1)));
  });

  test('that ignores the place is found out by another reader of the same store too', async () => {
    const store = new InMemoryOffsetStore();
    const answer = (): string => event(7);
    await read({ ...options, fetch: serving(answer, 1).fetch }, { store });
    const { ids, warnings } = await read({ ...options, fetch: serving(answer, 1).fetch }, { store });
    expect([ids, warnings]).toEqual([[], ['id-ignored']]);
  });
});

describe('under opaque offsets, a server that begins further back than is remembered', () => {
  const upTo = (last: number): string => Array.from({ length: last }, (_, i) => event(i + 1)).join('');

  test('is warned of where it begins as it did the last time', async () => {
    const { fetch } = serving((_id, opening) => (opening === 1 ? upTo(300) : event(1)), 2);
    const { ids, warnings } = await read({ fetch });
    expect([ids.length, warnings]).toEqual([301, ['id-ignored']]);
  });

  test('is warned of where it comes to the place that was asked after', async () => {
    const store = new InMemoryOffsetStore([['orders', Offset.custom('5')]]);
    const { fetch, asked } = serving(() => upTo(8), 1);
    const { ids, warnings } = await read({ fetch }, { store });
    expect([asked[0], ids.length, warnings]).toEqual(['5', 8, ['id-ignored']]);
  });

  test('is not taken for one that goes on after the place, however it drops', async () => {
    const { fetch } = serving((id) => {
      const from = Number(id ?? 0);
      const more = Array.from({ length: 1 + (from % 7) * 50 }, (_, i) => event(from + i + 1));
      // Heartbeats tell the place, before and after.
      return [...(id === null ? [] : [`id: ${id}\n\n`]), ...more, `id: ${from + more.length}\n\n`].join('');
    }, 20);
    const { ids, warnings } = await read({ fetch });
    expect(ids).toEqual(Array.from({ length: ids.length }, (_, i) => String(i + 1)));
    expect([ids.length > 300, warnings]).toEqual([true, []]);
  });
});

describe('ordered ids that start again', () => {
  test('while nothing is connected are told, not passed over in silence', async () => {
    let log = Array.from({ length: 50 }, (_, i) => i + 1);
    const answer = (id: string | null): string =>
      log
        .filter((n) => n > Number(id ?? 0))
        .map(event)
        .join('');
    const store = new InMemoryOffsetStore();
    await read({ offset: Offset.sequence, fetch: serving(answer, 1).fetch }, { store });
    log = [1, 2, 3];
    const pushed = (): string => log.map(event).join('');
    const { ids, warnings } = await read({ offset: Offset.sequence, fetch: serving(pushed, 1).fetch }, { store });
    expect([ids, warnings]).toEqual([[], ['id-ignored']]);
  });

  test('in the middle of a connection are told', async () => {
    const { fetch } = serving(() => event(8) + event(9) + event(1), 1);
    const { ids, warnings } = await read({ offset: Offset.sequence, fetch });
    expect([ids, warnings]).toEqual([['8', '9'], ['offset-goes-back']]);
  });

  test('end the reading where the server says its head, which is before the place', async () => {
    const store = new InMemoryOffsetStore([['orders', Offset.sequence(50)]]);
    const { fetch } = answering(streamOf([event(1)], { 'x-head': '3' }));
    const { error, ids } = await read({ offset: Offset.sequence, head: 'x-head', fetch }, { store });
    expect(error).toMatchObject({ code: 'feed-changed', message: expect.stringMatching(/seq:3.*seq:50/) });
    expect(ids).toEqual([]);
  });
});

test('ids with zeros in front end the reading where they are to be numbers, for the server would not find them again', async () => {
  const { fetch } = serving(() => event('00000001'), 1);
  const { ids, error } = await read({ offset: Offset.sequence, fetch });
  expect(ids).toEqual([]);
  expect(error).toMatchObject({ event: { id: '00000001' }, cause: { code: 'invalid-offset' } });
  const { fetch: again, asked } = serving((id) => (id === null ? event('00000010') : ''), 1);
  await read({ fetch: again });
  expect(asked).toEqual([null, '00000010']);
});

test('events without ids are warned of once, however many come', async () => {
  const { fetch } = serving(() => 'data: x\n\n'.repeat(100), 3);
  const { ids, warnings } = await read({ fetch });
  expect([ids.length, warnings]).toEqual([300, ['no-ids']]);
});

test('events without ids are warned of, also where few of them come in each opening', async () => {
  const { fetch } = serving(() => 'data: x\n\n'.repeat(4), 3);
  expect((await read({ fetch })).warnings).toEqual(['no-ids']);
});

describe('a server that takes a request without an id for "only what is new"', () => {
  /** Sends nothing to who says nothing, and has dropped what came after 99. */
  const newOnly = () =>
    serving(
      (id) => (id === '99' ? 410 : id === 'start' ? event(1) + event(2) : id === null ? ': nothing new\n\n' : ''),
      9,
    );
  const expired = () => new InMemoryOffsetStore([['orders', Offset.custom('99')]]);

  /** Reads until something is told or has come. */
  async function first(options: SseOptions, store: InMemoryOffsetStore) {
    const tracker = new OffsetTracker(store);
    const stop = new AbortController();
    const ids: string[] = [];
    const warnings: (string | undefined)[] = [];
    tracker.subscribe(({ type, code }) => type === 'warning' && void warnings.push(code));
    // The connection stands, and stays so.
    const fetch: NonNullable<SseOptions['fetch']> = async (url, request) => {
      const answer = await newOnlyServer.fetch(url, request);
      if (answer.status !== 200) return answer;
      const text = await answer.text();
      const body = new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode(text)) });
      return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
    };
    const newOnlyServer = newOnly();
    const reading = resume(tracker, 'orders', sse('/feed', { ...options, fetch }), {
      ...swift,
      onExpired: 'earliest',
      signal: stop.signal,
      handler: ({ id }) => void ids.push(id),
    });
    await expect.poll(() => ids.length === 2 || warnings.length > 0).toBe(true);
    stop.abort();
    await reading;
    return { ids, warnings };
  }

  test("is warned of where reading starts at 'earliest'", async () => {
    expect(await first({}, new InMemoryOffsetStore())).toEqual({ ids: [], warnings: ['earliest-not-told'] });
  });

  test("is warned of where an expired feed is to be read from 'earliest'", async () => {
    expect(await first({}, expired())).toEqual({ ids: [], warnings: ['earliest-not-told'] });
  });

  test("is told its own word for 'earliest'", async () => {
    const all = { ids: ['1', '2'], warnings: [] };
    expect(await first({ earliest: 'start' }, expired())).toEqual(all);
    const id: SseOptions['id'] = (offset) =>
      offset.kind === 'earliest' ? 'start' : offset.kind === 'custom' ? offset.value : undefined;
    expect(await first({ id }, expired())).toEqual(all);
  });
});
