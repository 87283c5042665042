import {
  type Feed,
  type FeedContext,
  FeedError,
  type FeedEvent,
  FeedExpiredError,
  type FeedItem,
  InvalidOffsetError,
  Offset,
} from 'tidemark';
import { type ServeOptions, serve } from 'tidemark/serve';
import { describe, expect, test } from 'vitest';

interface Named extends FeedEvent<unknown> {
  readonly type?: unknown;
}

/** A feed of these items, one after another; then it ends. */
function feedOf(
  items: readonly FeedItem<unknown, Named>[],
  begin?: (from: Offset, context: FeedContext) => unknown,
): Feed<unknown, Named> {
  return async function* feed(from, context) {
    await begin?.(from, context);
    yield* items;
    return 'end';
  };
}

const event = (n: number, data: unknown = String(n)): Named => ({ offset: Offset.sequence(n), data });

interface Asked {
  readonly id?: string;
  readonly options?: ServeOptions<unknown, Named> | undefined;
  readonly signal?: AbortSignal;
}

/** What a client gets that stands after an id, and what the server is told. */
async function asked(feed: Feed<unknown, Named>, { id, options, signal }: Asked = {}) {
  const errors: unknown[] = [];
  const handler = serve(feed, { offset: Offset.sequence, onError: (error) => errors.push(error), ...options });
  const get = (name: string): string | null => (name === 'last-event-id' ? (id ?? null) : null);
  const response = await handler({ method: 'GET', url: '/orders?a=b', headers: { get }, signal });
  const { status, headers } = response;
  return { status, headers, text: await response.text(), errors };
}

const begins = 'retry: 1000\n:\n\n';
const never = new Promise<never>(() => {});

describe('an event is sent', () => {
  test.each([
    ['under its own name', { ...event(1), type: 'tick' }, 'event: tick\nid: 1\ndata: 1\n\n'],
    ['without a name that says nothing', { ...event(1), type: 'message' }, 'id: 1\ndata: 1\n\n'],
    ['without a name that is empty', { ...event(1), type: '' }, 'id: 1\ndata: 1\n\n'],
    ['without a name that is no text', { ...event(1), type: 7 }, 'id: 1\ndata: 1\n\n'],
    ['without an id where it has no position', { data: 'a' }, 'data: a\n\n'],
    ['as JSON where it is no text', event(1, { a: [1, null] }), 'id: 1\ndata: {"a":[1,null]}\n\n'],
    ['in lines, however they end', event(1, 'a\r\nb\rc\nd'), 'id: 1\ndata: a\ndata: b\ndata: c\ndata: d\n\n'],
    ['by its time', { offset: Offset.timestamp(0), data: 'a' }, 'id: 1970-01-01T00:00:00.000Z\ndata: a\n\n'],
    ['by its text', { offset: Offset.custom('x y'), data: 'a' }, 'id: x y\ndata: a\n\n'],
  ])('%s', async (_how, item, text) => {
    expect(await asked(feedOf([item]))).toMatchObject({ status: 200, text: begins + text, errors: [] });
  });

  test('under the name, the id and the text that the options make', async () => {
    const options = {
      type: ({ data }: Named) => `n${String(data)}`,
      id: (offset: Offset) => ('value' in offset && offset.value === 2n ? '' : 'x'),
      stringify: (data: unknown) => `<${String(data)}>`,
      retryMs: 0,
    };
    const { text } = await asked(feedOf([event(1), event(2)]), { options });
    expect(text).toBe('retry: 0\n:\n\nevent: n1\nid: x\ndata: <1>\n\nevent: n2\ndata: <2>\n\n');
  });

  const unfit: [string, Named, Asked['options'], string][] = [
    [
      'a name of two lines',
      { ...event(1), type: 'a\nb' },
      {},
      'the event "1" cannot be sent: its type, "a\\nb", has a',
    ],
    ['a name with a return', { data: 1, type: 'a\rb' }, {}, 'the event "without an id" cannot be sent: its type'],
    [
      'no text',
      { ...event(1), data: undefined },
      {},
      'the event "1" cannot be sent: its data is undefined where text is needed',
    ],
    ['an id of two lines', event(1), { id: () => 'a\nb' }, 'the id "a\\nb" cannot be sent: it would not come back'],
    ['an id that is a word', event(1), { id: () => 'latest' }, 'the id "latest" cannot be sent'],
    ['an id that is the other word', event(1), { id: () => 'earliest' }, 'the id "earliest" cannot be sent'],
    ['an id that is a word of its own', event(1), { id: () => 'first', earliest: 'first' }, 'the id "first" cannot'],
  ];
  test.each(unfit)(
    'never with %s: what came before it is, and the server is told',
    async (_what, item, options, why) => {
      const before = { data: 'before', type: 'x' };
      const { text, errors } = await asked(feedOf([before, before, item, event(9)]), { options });
      const sent = 'event: x\ndata: before\n\n';
      expect(text).toBe(`${begins}${sent}${sent}`);
      expect(errors).toEqual([expect.any(FeedError)]);
      expect(errors).toMatchObject([{ code: 'feed', retryable: false, message: expect.stringContaining(why) }]);
    },
  );

  test('after the place of the client alone, where the feed repeats what comes before it', async () => {
    const repeated = [event(1), event(2), event(3), event(2)];
    const { text } = await asked(feedOf(repeated), { id: '2' });
    expect(text).toBe('retry: 1000\nid: 2\n\nid: 3\ndata: 3\n\nid: 2\ndata: 2\n\n');
    const unordered = ['a', 'b'].map((id) => ({ offset: Offset.custom(id), data: id }));
    expect((await asked(feedOf(unordered), { id: 'b', options: { offset: Offset.custom } })).text).toBe(
      'retry: 1000\nid: b\n\nid: a\ndata: a\n\nid: b\ndata: b\n\n',
    );
  });

  test('that cannot be read ends the stream, and the server is told', async () => {
    const failed = new FeedError('no JSON');
    const failure = { failed, offset: Offset.sequence(2), again: () => event(2) };
    const { text, errors } = await asked(feedOf([event(1), failure, event(3)]));
    expect(text).toBe(`${begins}id: 1\ndata: 1\n\n`);
    expect(errors).toEqual([failed]);
  });
});

describe('a heartbeat', () => {
  test('moves the place of the client, once, before and after events', async () => {
    const at = (n: number) => ({ heartbeat: true, offset: Offset.sequence(n) }) as const;
    const items = [at(4), at(4), { heartbeat: true } as const, event(5), at(5), at(7)];
    const { text } = await asked(feedOf(items), { id: '4' });
    expect(text).toBe('retry: 1000\nid: 4\n\n:\n\n:\n\n:\n\nid: 5\ndata: 5\n\n:\n\nid: 7\n\n');
  });
});

describe('the feed', () => {
  test('is told its name and that it was not open before, and tells what it warns of', async () => {
    const seen: unknown[] = [];
    const warnings: unknown[] = [];
    const feed = feedOf([], (from, context) => {
      const { source, openedBefore } = context;
      seen.push({ from, source, openedBefore });
      context.warn('no-ids', 'none');
      // Nothing of this is for a client's connection.
      context.alive();
      context.deadAfter(1);
      context.onRecorded(() => {});
    });
    const options = { onWarning: (...warning: unknown[]) => void warnings.push(warning), start: 'latest' } as const;
    expect(await asked(feed, { options })).toMatchObject({ status: 204, text: '' });
    await asked(feed, { id: '7', options: { source: 'mine' } });
    await asked(feed, { id: 'latest' });
    await asked(feed, { id: 'first', options: { earliest: 'first', latest: 'last' } });
    expect(seen).toEqual([
      { from: Offset.latest, source: '/orders', openedBefore: false },
      { from: Offset.sequence(7), source: 'mine', openedBefore: false },
      { from: Offset.latest, source: '/orders', openedBefore: false },
      { from: Offset.earliest, source: '/orders', openedBefore: false },
    ]);
    expect(warnings).toEqual([['no-ids', 'none']]);
  });

  test('asks for other times to wait: before the first event, and while it is read', async () => {
    const feed: Feed<unknown, Named> = async function* feed(_from, context) {
      context.reopenAfter(2000.2);
      yield event(1);
      context.reopenAfter(70);
      yield event(2);
      return 'end';
    };
    const { text } = await asked(feed);
    expect(text).toBe('retry: 2001\n:\n\nid: 1\ndata: 1\n\nretry: 70\n\nid: 2\ndata: 2\n\n');
  });

  test('that asks for it too late, or tells more, changes nothing', async () => {
    let told: FeedContext | undefined;
    expect((await asked(feedOf([event(1)], (_from, context) => void (told = context)))).text).toContain('data: 1');
    expect(() => told?.reopenAfter(5)).not.toThrow();
    expect(() => told?.opened({ feedId: 'late' })).not.toThrow();
    expect(told).toBeDefined();
  });

  test('that says nothing at all is answered after a while, and that it is open, at once', async () => {
    const openings: [number, (context: FeedContext) => void][] = [
      [1, () => {}],
      [600_000, (context) => context.opened()],
    ];
    for (const [openingMs, begin] of openings) {
      const abort = new AbortController();
      const feed = feedOf([], (_from, context) => {
        begin(context);
        return never;
      });
      const handler = serve(feed, { openingMs });
      const { signal } = abort;
      const response = await handler({ method: 'GET', url: '/', headers: new Headers(), signal });
      expect([response.status, response.headers.get('x-accel-buffering')]).toEqual([200, 'no']);
      abort.abort();
      expect(await response.text()).toBe(begins);
    }
  });

  test('that just finishes, and has not ended, is a stream that breaks', async () => {
    const feed: Feed<unknown, Named> = async function* feed() {};
    expect(await asked(feed)).toMatchObject({ status: 200, text: begins, errors: [] });
  });

  test('says which log it is and where it ends, in which the place of a client has to be', async () => {
    const told = (_from: Offset, context: FeedContext) => {
      context.opened({ feedId: 'log 1' });
      context.opened({ head: Offset.sequence(3) });
    };
    const one = await asked(feedOf([event(4)], told), { id: '3' });
    expect([one.status, one.headers.get('feed-id')]).toEqual([200, 'log 1']);
    expect(one.text).toBe('retry: 1000\nid: 3\n\nid: 4\ndata: 4\n\n');
    expect((await asked(feedOf([event(4)], told), { id: 'latest' })).text).toMatch(/^retry: 1000\nid: 3\n\n/);
    expect((await asked(feedOf([event(4)], told))).text).toBe(`${begins}id: 4\ndata: 4\n\n`);

    const past = await asked(feedOf([event(5)], told), { id: '4', options: { feedIdHeader: 'Log' } });
    expect([past.status, past.headers.get('log'), past.errors]).toEqual([410, 'log 1', []]);
    expect(past.text).toBe('seq:4 is past the newest event, seq:3: it belongs to another log than this one\n');
  });

  test('is not opened for a client that is gone already', async () => {
    let opened = 0;
    const { status } = await asked(
      feedOf([event(1)], () => void opened++),
      { signal: AbortSignal.abort() },
    );
    expect([status, opened]).toEqual([204, 0]);
  });
});

describe('a feed that fails', () => {
  const generic = 'The feed cannot be read now.\n';
  const refusing = (error: unknown) =>
    feedOf([event(1)], () => {
      throw error;
    });
  const feedError = (options: ConstructorParameters<typeof FeedError>[1]) => new FeedError('secret', options);

  test.each([
    ['with a status', feedError({ status: 404 }), 404],
    ['with the lowest status of an error', feedError({ status: 400, source: 'a' }), 400],
    ['with the highest', feedError({ status: 599 }), 599],
    ['with one that is no error', feedError({ status: 399 }), 503],
    ['with one that is none', feedError({ status: 600 }), 503],
    ['with one that is none, for good', feedError({ status: 600, retryable: false }), 500],
    ['for now', feedError({}), 503],
    ['for good', feedError({ retryable: false }), 500],
    ['with another error', new TypeError('secret'), 500],
    ['with another error that has a status', Object.assign(new Error('secret'), { status: 404 }), 500],
    ['with no error', { code: 'feed', status: 404, message: 'secret' }, 500],
    ['with nothing', undefined, 500],
  ])('%s before it is read is told to the server, and only the status to the client', async (_how, error, status) => {
    const found = await asked(refusing(error));
    expect(found).toMatchObject({ status, text: generic, errors: [error] });
    expect(found.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(found.headers.get('retry-after')).toBeNull();
  });

  test('says when to come back, in whole seconds', async () => {
    const { status, headers } = await asked(refusing(feedError({ retryAfterMs: 1001 })));
    expect([status, headers.get('retry-after')]).toEqual([503, '2']);
  });

  test.each([
    new InvalidOffsetError('no such place', { source: 'orders' }),
    new FeedExpiredError('too old', { source: 'orders' }),
    Object.assign(new Error('of a copy'), { code: 'feed-changed' }),
  ])('by refusing a place tells the client why, and the server nothing: %s', async (error) => {
    const before = await asked(
      feedOf([event(1)], (_from, context) => {
        context.opened({ feedId: 'log 1' });
        throw error;
      }),
    );
    expect(before).toMatchObject({ status: 410, text: `${error.message}\n`, errors: [] });
    expect(before.headers.get('feed-id')).toBe('log 1');
    const later: Feed<unknown, Named> = async function* feed() {
      yield event(1);
      throw error;
    };
    expect(await asked(later)).toMatchObject({ status: 200, text: `${begins}id: 1\ndata: 1\n\n`, errors: [] });
  });

  test('while it is read is told to the server', async () => {
    const error = new Error('broke');
    const later: Feed<unknown, Named> = async function* feed() {
      yield event(1);
      yield event(2);
      throw error;
    };
    const { text, errors } = await asked(later);
    expect([text, errors]).toEqual([`${begins}id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n`, [error]]);
  });
});

describe('the id of a client', () => {
  const found = async (id: string): Promise<unknown> => {
    let place: Offset | undefined;
    await asked(
      feedOf([], (from) => void (place = from)),
      { id, options: { offset: Offset.custom } },
    );
    return place && 'value' in place ? place.value : place?.kind;
  };

  test.each([
    ['in UTF-8, as bytes', '\xc3\xa9', 'é'],
    ['in UTF-8, with its mark', '\xef\xbb\xbfa', '\ufeffa'],
    ['in Latin-1', '\xe9', 'é'],
    ['as text already', 'é漢', 'é漢'],
    ['as text that looks like other bytes', 'xŁ', 'xŁ'],
    ['as bytes that are text', 'x\xc5\x81', 'xŁ'],
    ['of the last byte', 'a\xff', 'a\xff'],
    ['empty', '', 'earliest'],
  ])('is read %s', async (_how, header, id) => {
    expect(await found(header)).toBe(id);
  });

  test('that cannot have been sent is refused with 400, and named', async () => {
    const { status, text, errors } = await asked(feedOf([]), { id: 'a\x01' });
    expect([status, text]).toEqual([400, '"a\\u0001" is no id of this feed: no client can have been sent it\n']);
    expect(errors).toEqual([]);
  });

  test.each([
    [new RangeError('too long'), 'too long'],
    ['no number', 'no number'],
  ])('that the option `offset` throws for is refused with 410, and why: %s', async (thrown, why) => {
    const options = {
      offset: () => {
        throw thrown;
      },
    };
    const { status, text, errors } = await asked(feedOf([]), { id: 'x', options });
    expect([status, text, errors]).toEqual([410, `"x" is no id of this feed: ${why}\n`, []]);
  });

  test('that the option `offset` makes no offset of is a fault of the server', async () => {
    const { status, errors } = await asked(feedOf([]), { id: 'x', options: { offset: () => 7 as never } });
    expect(status).toBe(500);
    expect(errors).toMatchObject([{ name: 'TypeError', message: 'the option offset has made no offset of "x"' }]);
  });
});
