import { InMemoryOffsetStore, Offset, OffsetTracker, resume, sse, type SseEvent, type SseOptions } from 'tidemark';
import { describe, expect, test } from 'vitest';
import { swift } from '../resume/feeds.ts';
import { answering, bytes } from './answers.ts';
import { type LineEnd, lastRecordedId, recordedAfter, recordedData, recordedIds } from './recorded.ts';

/** Reads a feed to its end. */
async function read(
  options: SseOptions,
  { url = '/feed', from }: { url?: string | URL; from?: Offset } = {},
): Promise<{ events: SseEvent<string>[]; committed: Offset | undefined }> {
  const store = new InMemoryOffsetStore(from && [['orders', from]]);
  const events: SseEvent<string>[] = [];
  for await (const event of resume(new OffsetTracker(store), 'orders', sse(url, options), swift)) events.push(event);
  return { events, committed: (await store.get('orders'))?.offset };
}

describe('an event of a Server-Sent Events feed', () => {
  test('carries its data, its name, its id, and the id as its offset', async () => {
    const { events, committed } = await read(
      answering(['event: order\nid: 7\ndata: a\ndata: b\n\n', 'id: 8\ndata: c\n\n']),
    );
    expect(events).toEqual([
      { data: 'a\nb', type: 'order', id: '7', offset: Offset.custom('7') },
      { data: 'c', type: 'message', id: '8', offset: Offset.custom('8') },
    ]);
    expect(committed).toEqual(Offset.custom('8'));
  });

  test('is made from its text by `parse`, and its offset from its id by `offset`', async () => {
    const { fetch, asked } = answering(['id: 41\ndata: {"total":3}\n\n'], ['id: 42\ndata: {"total":4}\n\n']);
    const feed = sse('/feed', { fetch, offset: Offset.sequence, parse: (text): { total: number } => JSON.parse(text) });
    const totals: number[] = [];
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    for await (const { data, offset } of resume(tracker, 'orders', feed, swift)) {
      expect(offset?.kind).toBe('sequence');
      totals.push(data.total);
    }
    expect(totals).toEqual([3, 4]);
    expect(asked.map(({ id }) => id)).toEqual([null, '41', '42']);
  });

  test.each([
    { parse: JSON.parse, offset: Offset.custom },
    { parse: String, offset: Offset.sequence },
  ])('that cannot be read ends the reading with an error that names it: $#', async (options) => {
    const { fetch, asked } = answering(['id: 1\ndata: 1\n\nid: x\ndata: {oops\n\n']);
    await expect(read({ ...options, fetch })).rejects.toMatchObject({
      code: 'feed',
      retryable: false,
      source: 'orders',
      message: expect.stringMatching(/^"orders" from "\/feed": the event "x" cannot be read: /),
    });
    expect(asked).toHaveLength(1);
  });

  test('is dropped if it has not ended where the stream ends', async () => {
    const { events, committed } = await read(answering(['id: 7\ndata: a\n\n', 'id: 8\ndata: b\n']));
    expect(events.map(({ data }) => data)).toEqual(['a']);
    expect(committed).toEqual(Offset.custom('7'));
  });

  test('is not gone past before it has been processed', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store);
    const { fetch } = answering(['id: 7\ndata: a\n\nid: 8\ndata: b\n\n']);
    for await (const { data } of resume(tracker, 'orders', sse('/feed', { fetch }))) if (data === 'b') break;
    expect((await store.get('orders'))?.offset).toEqual(Offset.custom('7'));
  });

  test('that is longer than allowed ends the reading, after the events before it', async () => {
    const { fetch } = answering(['id: 1\ndata: a\n\nid: 2\ndata: ', 'x'.repeat(200)]);
    const store = new InMemoryOffsetStore();
    const feed = sse('/feed', { fetch, maxEventLength: 100 });
    const loop = async () => {
      for await (const _ of resume(new OffsetTracker(store), 'orders', feed, swift));
    };
    await expect(loop()).rejects.toThrow('"orders" from "/feed": the event after "1" is longer than maxEventLength');
    expect((await store.get('orders'))?.offset).toEqual(Offset.custom('1'));
  });
});

describe('the position that a server is told', () => {
  test.each<[Offset, string | null]>([
    [Offset.earliest, null],
    [Offset.latest, null],
    [Offset.custom('0_17'), '0_17'],
    [Offset.sequence(2n ** 64n - 1n), '18446744073709551615'],
    [Offset.timestamp('2026-01-02T03:04:05.678Z'), '2026-01-02T03:04:05.678Z'],
    [Offset.custom(''), null],
    [Offset.custom('日本'), 'æ\u0097¥æ\u009c¬'],
  ])('on the very first request is right: $#', async (from, sent) => {
    const { fetch, asked } = answering();
    await read({ fetch }, { from });
    expect(asked.map(({ id }) => id)).toEqual([sent]);
  });

  test('moves on by ids without data', async () => {
    const { fetch, asked } = answering(['id: 7\ndata: a\n\n', 'id: 9\n\n']);
    const { committed } = await read({ fetch });
    expect(asked.map(({ id }) => id)).toEqual([null, '9']);
    expect(committed).toEqual(Offset.custom('9'));
  });

  test('may go into a query parameter', async () => {
    const { fetch, asked } = answering(['id: a&b\ndata: x\n\n']);
    await read({ fetch, lastEventId: { query: 'after' } }, { url: '/feed?room=1#top' });
    expect(asked.map(({ url, id }) => [url, id])).toEqual([
      ['/feed?room=1#top', null],
      ['/feed?room=1&after=a%26b', null],
    ]);
  });

  test('may be spelled as the server wants it, where it has a word for the end', async () => {
    const id = (offset: Offset): string | undefined => (Offset.isLatest(offset) ? '$' : undefined);
    const { fetch, asked } = answering(['id: 5\ndata: x\n\n']);
    await read({ fetch, id }, { from: Offset.latest });
    expect(asked.map((request) => request.id)).toEqual(['$', '5']);
  });
});

describe('a request', () => {
  test('asks for an event stream, with the given headers and credentials, past the cache', async () => {
    const { fetch, asked } = answering();
    await read({ fetch, headers: { Authorization: 'Bearer x' }, credentials: 'include' });
    const { headers, credentials, cache, signal } = asked[0]?.init ?? {};
    expect(Object.fromEntries(new Headers(headers))).toEqual({
      accept: 'text/event-stream',
      authorization: 'Bearer x',
    });
    expect([credentials, cache]).toEqual(['include', 'no-store']);
    expect(signal?.aborted).toBe(true);
  });

  test('gets fresh headers each time where a function makes them', async () => {
    let token = 0;
    const { fetch, asked } = answering(['id: 1\ndata: x\n\n']);
    await read({ fetch, headers: async () => ({ authorization: `${++token}` }) });
    expect(asked.map(({ init }) => new Headers(init.headers).get('authorization'))).toEqual(['1', '2']);
  });

  test('that cannot be sent at all ends the reading', async () => {
    await expect(read({ ...answering(), headers: { 'not a name': 'x' } })).rejects.toMatchObject({ retryable: false });
    await expect(read({}, { url: 'http://[' })).rejects.toThrow('cannot be asked for');
  });

  test('that fails is sent again', async () => {
    const { fetch, asked } = answering(new TypeError('network'), ['id: 1\ndata: x\n\n'], new TypeError('network'));
    const { events } = await read({ fetch });
    expect(events.map(({ data }) => data)).toEqual(['x']);
    expect(asked.map(({ id }) => id)).toEqual([null, null, '1', '1']);
  });

  test('that is answered by something else ends the reading, and the error says what was found', async () => {
    const login = new Response('<html>', { headers: { 'content-type': 'text/html' } });
    await expect(read(answering(login), { url: '/feed?token=secret' })).rejects.toMatchObject({
      message: '"orders" from "/feed": found text/html where text/event-stream is needed',
      status: 200,
      retryable: false,
    });
  });
});

test('a server that falls silent is left, and the feed opened again', async () => {
  const silent = new ReadableStream({ start: (controller) => controller.enqueue(bytes('id: 1\ndata: x\n\n')) });
  const answer = new Response(silent, { headers: { 'content-type': 'text/event-stream' } });
  const { fetch, asked } = answering(answer);
  const { events } = await read({ fetch, idleTimeoutMs: 20 });
  expect(events.map(({ data }) => data)).toEqual(['x']);
  expect(asked.map(({ id }) => id)).toEqual([null, '1']);
});

test('no more is read from a server than is processed', async () => {
  const chunks = Array.from({ length: 100 }, (_, i) => `id: ${i}\ndata: x\n\n`);
  const { fetch, pulled } = answering(chunks);
  const events = resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', sse('/feed', { fetch }));
  await events.next();
  await events.next();
  expect(pulled()).toBe(2);
  await events.return();
});

describe.each<[string, LineEnd]>([
  ['LF', '\n'],
  ['CRLF', '\r\n'],
  ['CR', '\r'],
  ['mixed', 'mixed'],
])('a recorded feed with %s line ends', (_name, lineEnd) => {
  test('is read whole and once, wherever its connection is cut', { timeout: 60_000 }, async () => {
    const wrong: unknown[] = [];
    const tryOut = async (cut: number) => {
      let whole = false;
      const fetch = async (url: string): Promise<Response> => {
        const id = new URLSearchParams(url.slice(url.indexOf('?'))).get('after') ?? '';
        if (id === lastRecordedId) return new Response(null, { status: 204 });
        const rest = recordedAfter(id, lineEnd);
        const body = new Blob([whole ? rest : rest.slice(0, cut)]).stream();
        whole = true;
        return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
      };
      const { events, committed } = await read({ fetch, lastEventId: { query: 'after' } });
      const found = [events.map(({ data }) => data), events.map(({ id }) => id), committed];
      if (JSON.stringify(found) !== wanted) wrong.push({ cut, found });
    };
    const wanted = JSON.stringify([recordedData, recordedIds, Offset.custom(lastRecordedId)]);
    const cuts = Array.from({ length: recordedAfter('', lineEnd).length + 1 }, (_, cut) => cut);
    while (cuts.length > 0) await Promise.all(cuts.splice(0, 50).map(tryOut));
    expect(wrong).toEqual([]);
  });
});
