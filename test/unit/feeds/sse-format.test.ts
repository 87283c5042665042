import { Offset, sse } from 'tidemark';
import { describe, expect, test } from 'vitest';
import { answering, bytes, streamOf } from './answers.ts';
import { openOnce } from './opening.ts';

type Expected = readonly (string | readonly [data: string, about: { readonly id?: string; readonly type?: string }])[];

/** What the format is known to be got wrong in; the same subjects as the Web Platform Tests, with texts of our own. */
const formats: readonly [what: string, text: string, expected: Expected, delays?: readonly number[]][] = [
  ['one byte order mark is taken off', '\uFEFFdata:one\n\n\uFEFFdata:two\n\ndata:three\n\n', ['one', 'three']],
  ['a second byte order mark is not', '\uFEFF\uFEFFdata:one\n\ndata:two\n\n', ['two']],
  ['no byte order mark is taken off later', 'data:\uFEFFone\n\n', ['\uFEFFone']],
  [
    'comments are left out, whatever is in them',
    `data:a\r:\0\n:\r\ndata:b\n:${'x'.repeat(2000)}\rdata:c\n:data:no\r:${'y'.repeat(2000)}\ndata:d\n\n`,
    ['a\nb\nc\nd'],
  ],
  ['what no empty line ends is not seen', 'retry:50\ndata:seen\n\nid:lost\ndata:unseen', ['seen'], [50]],
  ['data may be empty, and without a colon', 'data:\n\ndata\ndata\n\ndata:z\n\n', ['', '\n', 'z']],
  ['an event without data is none', 'event:none\n\nid\n\nretry\n\n: \n\ndata:z\n\n', ['z']],
  [
    'a name is for one event alone',
    'event:order\ndata:a\n\ndata:b\n\n',
    [
      ['a', { type: 'order' }],
      ['b', { type: 'message' }],
    ],
  ],
  ['an empty name is none', 'event:order\nevent: \ndata:a\n\n', [['a', { type: 'message' }]]],
  ['the last of several names counts', 'event:a\nevent:b\ndata:x\n\n', [['x', { type: 'b' }]]],
  ['an id is text of any kind', 'id: größe…漢字\ndata:a\n\n', [['a', { id: 'größe…漢字' }]]],
  [
    'the last event id stays until another one comes, and an empty one takes it back',
    'id: 4\ndata:a\n\ndata:b\n\nid: 5\ndata:c\n\nid\ndata:d\n\ndata:e\n\n',
    [
      ['a', { id: '4' }],
      ['b', { id: '4' }],
      ['c', { id: '5' }],
      ['d', { id: '' }],
      ['e', { id: '' }],
    ],
  ],
  ...['\0', '\0\0', 'x\0', '\0x', 'x\0y', ' \0'].map((id): [string, string, Expected] => [
    `an id with a NULL is none: ${JSON.stringify(id)}`,
    `id:1\nid:${id}\ndata:a\n\n`,
    [['a', { id: '1' }]],
  ]),
  [
    'fields are known by their exact names',
    'data:\0\ndata:  b\rData:no\ndata\0:no\ndata:c\r\0data:no\nda-ta:no\rdata_no\ndata:d\rdata:\r\n data:no\ndata:e\n\n',
    ['\0\n b\nc\nd\n\ne'],
  ],
  ['what is no field is left out', 'data:a\n data\ndata\nfoo:no\njust text\n:comment\ndata:b\n\n', ['a\n\nb']],
  ['one space after the colon is taken off', 'data:\ta\rdata: \ndata:  b\ndata:c\n\n', ['\ta\n\n b\nc']],
  ['lines end in three ways', 'data:a\r\ndata\ndata:b\r\n\rdata:c\r\rdata:d\n\n', ['a\n\nb', 'c', 'd']],
  ['empty lines between events are nothing', '\n\n\r\n\r\rdata:a\n\n\n\n\r\n\ndata:b\n\n', ['a', 'b']],
  ['a NULL is data', 'data:\0\n\n\n\n', ['\0']],
  ['text is UTF-8', 'data:ok…😀\n\n', ['ok…😀']],
  ['a delay has leading zeros if it likes', 'retry:0300\ndata:a\n\n', ['a'], [300]],
  ['a delay that is no number is left out', 'retry:300\nretry:100x\nretry:-1\nretry:1.5\ndata:a\n\n', ['a'], [300]],
  [
    'a delay is digits after one space at most',
    'retry: 300\nretry:  400\nretry:500 \nretry:+6\nretry:٧\ndata:a\n\n',
    ['a'],
    [300],
  ],
  [
    'a delay needs no event, nor an empty line after it',
    'retry:300\nretry:400\n\ndata:a\n\nretry:500\n',
    ['a'],
    [300, 400, 500],
  ],
  ['a byte order mark may stand before any line', '\uFEFF:comment\ndata:a\n\n', ['a']],
  ['a byte order mark may stand before an empty line', '\uFEFF\r\n\r\ndata:a\n\n', ['a']],
  ['a colon in a value is text', 'data:a:b: c\ndata::d\nid::5:\n\n', [['a:b: c\n:d', { id: ':5:' }]]],
  ['one space is taken off any value', 'event: order \nid:  4\ndata:  a\n\n', [[' a', { id: ' 4', type: 'order ' }]]],
  ['an id without data moves the place of what comes', 'id:4\n\ndata:a\n\n', [['a', { id: '4' }]]],
  ['the last of several ids counts, wherever it stands', 'id:4\ndata:a\nid:5\n\n', [['a', { id: '5' }]]],
  ['line ends of other kinds are text', 'data:a\u2028b\u2029c\u0085d\ve\ff\n\n', ['a\u2028b\u2029c\u0085d\ve\ff']],
  ['an empty delay is left out', 'retry\nretry:\ndata:a\n\n', ['a'], []],
];

describe('in an event stream', () => {
  test.each(formats)('%s, wherever chunks end', async (_what, text, expected, delays = []) => {
    const all = bytes(text);
    const step = Math.max(1, Math.floor(all.length / 100));
    for (let cut = 0; cut <= all.length; cut += step) {
      const { fetch } = answering([all.slice(0, cut), all.slice(cut)].filter(({ length }) => length > 0));
      const opening = await openOnce(sse('/feed', { fetch }), { from: Offset.custom('0') });
      const found = opening.events.map(({ id, type, data }, i) => {
        const wanted = expected[i];
        if (typeof wanted === 'string' || wanted === undefined) return data;
        return [data, { ...('id' in wanted[1] && { id }), ...('type' in wanted[1] && { type }) }];
      });
      expect([found, opening.delays], `cut at ${cut}`).toEqual([expected, delays]);
    }
  });

  test('bytes that are no UTF-8 are replaced', async () => {
    const { fetch } = answering([new Uint8Array([...bytes('data:'), 0xff, 0x41, 0xc3]), bytes('\n\n')]);
    const { events } = await openOnce(sse('/feed', { fetch }), { from: Offset.custom('0') });
    expect(events.map(({ data }) => data)).toEqual(['\uFFFDA\uFFFD']);
  });
});

describe('an answer of the type', () => {
  const open = (type: string) =>
    openOnce(sse('/feed', answering(streamOf(['data:a\n\n'], { 'content-type': type }))), { from: Offset.custom('0') });

  test.each([
    'text/event-stream',
    'text/event-stream;',
    'text/event-stream ; charset=windows-1252',
    'text/event-stream;charset=utf-8',
    'TEXT/Event-Stream;foo',
  ])('%s is an event stream, in UTF-8', async (type) => {
    expect((await open(type)).events.map(({ data }) => data)).toEqual(['a']);
  });

  test.each(['text/x-bogus', 'text/event-streams', 'x text/event-stream', 'text/plain; text/event-stream'])(
    '%s is none',
    async (type) => {
      expect((await open(type)).error).toMatchObject({ code: 'feed', status: 200, retryable: false });
    },
  );
});
