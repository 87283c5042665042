import fc from 'fast-check';
import { appendFile, mkdtemp, readFile, readdir, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../../src/checkpoint.ts';
import { encode } from '../../../src/codec.ts';
import { SerializationError } from '../../../src/errors.ts';
import { Offset } from '../../../src/offset.ts';
import { FileOffsetStore } from '../../../src/stores/file/store.ts';

const folder = await mkdtemp(join(tmpdir(), 'tidemark-format-'));
afterAll(() => rm(folder, { recursive: true }));

let next = 0;
async function fileWith(content: string | Uint8Array): Promise<{ path: string; store: FileOffsetStore }> {
  const path = join(folder, `${next++}.json`);
  await writeFile(path, content);
  return { path, store: new FileOffsetStore(path) };
}

/** A file of the first format. */
function format1(checkpoints: Iterable<readonly [source: string, checkpoint: Checkpoint]>): string {
  const lines = Array.from(checkpoints, ([source, one]) => `\n[${JSON.stringify(source)},${encode(one)}]`);
  return `{"tidemark":1,"checkpoints":[${lines.join()}\n]}\n`;
}

const checkpoint = { epoch: 0, rank: 1, offset: Offset.sequence(1), committedAt: 1_767_323_045_000 };

// As the crate writes it: pretty-printed, sequences u64, times as chrono spells them.
const crateFile = `{
  "orders": {
    "Sequence": 18446744073709551615
  },
  "past 2^53": {
    "Sequence": 9007199254740993
  },
  "zero": {
    "Sequence": 0
  },
  "log": {
    "Custom": "line-5000 {\\"Sequence\\": 9007199254740993} \\\\"
  },
  "a \\"Sequence\\": 9007199254740993, \\u00e9 😀": "Earliest",
  "": "Latest",
  "__proto__": {
    "Timestamp": "2024-01-01T00:00:00Z"
  },
  "tidemark": {
    "Timestamp": "2024-02-29T23:59:59.999999999Z"
  }
}`;

const crateOffsets = new Map<string, Offset>([
  ['orders', Offset.sequence(18446744073709551615n)],
  ['past 2^53', Offset.sequence(9007199254740993n)],
  ['zero', Offset.sequence(0)],
  ['log', Offset.custom('line-5000 {"Sequence": 9007199254740993} \\')],
  ['a "Sequence": 9007199254740993, é 😀', Offset.earliest],
  ['', Offset.latest],
  ['__proto__', Offset.timestamp('2024-01-01T00:00:00Z')],
  ['tidemark', Offset.timestamp('2024-02-29T23:59:59.999Z')],
]);

async function offsetsOf(store: FileOffsetStore): Promise<Map<string, Offset | undefined>> {
  return new Map(Array.from(await store.getAll(), ([source, { offset }]) => [source, offset]));
}

describe('a file of the streamweave-offset crate', () => {
  it('is read to the last digit, and left as it is by reading', async () => {
    const { path, store } = await fileWith(crateFile);
    expect(await offsetsOf(store)).toEqual(crateOffsets);
    expect(await readFile(path, 'utf8')).toBe(crateFile);
  });

  it('goes on from there: the first commit keeps every other source', async () => {
    const { path, store } = await fileWith(crateFile);
    await store.commit(new Map([['zero', { ...checkpoint, offset: Offset.sequence(1) }]]));
    expect(await offsetsOf(new FileOffsetStore(path))).toEqual(new Map(crateOffsets).set('zero', Offset.sequence(1)));
    expect(await readFile(path, 'utf8')).toMatch(/^\{"tidemark":2,/);
  });

  it('never takes a source back', async () => {
    const { path, store } = await fileWith('{"orders":{"Sequence":9007199254740993}}');
    const stands = await store.commit(
      new Map([['orders', { ...checkpoint, offset: Offset.sequence(9007199254740992n) }]]),
    );
    expect(stands.get('orders')?.offset).toEqual(Offset.sequence(9007199254740993n));
    expect(await readFile(path, 'utf8')).toBe('{"orders":{"Sequence":9007199254740993}}');
  });

  it('was committed when it was last written', async () => {
    const { path, store } = await fileWith('{"orders":{"Sequence":5}}');
    await utimes(path, 1_700_000_000.5, 1_700_000_000.5);
    expect(await store.get('orders')).toEqual({
      epoch: 0,
      rank: 0,
      offset: Offset.sequence(5),
      committedAt: 1_700_000_000_500,
    });
  });

  it.for(['', '{}', ' { } '])('is an empty store where it holds %j', async (text) => {
    const { store } = await fileWith(text);
    expect(await store.getAll()).toEqual(new Map());
    expect(await store.commit(new Map([['orders', checkpoint]]))).toEqual(new Map([['orders', checkpoint]]));
  });

  it.for([
    ['2024-01-01T00:00:00.000000001Z', '2024-01-01T00:00:00.000Z'],
    ['2024-01-01T00:00:00.1239Z', '2024-01-01T00:00:00.123Z'],
    ['2024-01-01T00:00:00.9999Z', '2024-01-01T00:00:00.999Z'],
    ['2024-01-01T00:00:00.5Z', '2024-01-01T00:00:00.500Z'],
    ['1969-12-31T23:59:59.999999999Z', '1969-12-31T23:59:59.999Z'],
    ['2024-01-01t02:00:00.123456+02:00', '2024-01-01T00:00:00.123Z'],
    ['2016-12-31T23:59:60.25Z', '2016-12-31T23:59:59.999Z'],
  ] as const)('has its times cut down to milliseconds: %s', async ([written, read]) => {
    const { store } = await fileWith(`{"orders":{"Timestamp":"${written}"}}`);
    expect((await store.get('orders'))?.offset).toEqual(Offset.timestamp(read));
  });

  it.for([
    '{"Timestamp":"+262143-12-31T23:59:59.999999999Z"}',
    '{"Sequence":18446744073709551616}',
    '{"Sequence":-1}',
    '{"Sequence":1.0}',
    '{"Sequence":1e3}',
    '{"Sequence":"7"}',
    '{"Sequence":7,"Custom":"x"}',
    '{"Timestamp":"2024-02-30T00:00:00Z"}',
    '{"Timestamp":"2024-01-01"}',
    '{"Timestamp":1704067200000}',
    '{"Custom":5}',
    '{"Custom":["x"]}',
    '{"Unheard":{"of":[1.50, 1e400]}}',
    '"earliest"',
    'null',
    '12345678901234567890',
    '[]',
    '{}',
  ])('with %s for one source fails that source alone, and keeps it as it stands', async (bad) => {
    const { path, store } = await fileWith(`{"good":{"Sequence":1},"bad":${bad}}`);
    expect(await afterOneBad(path, store, bad)).toContain(`["bad",${bad}]`);
  });
});

describe('a file in which one entry cannot be read', () => {
  it.for([
    '{"json":{"epoch":-1,"rank":0,"committedAt":0}}',
    '{"json":null}',
    '{"json":{"epoch":0},"meta":{"values":{"__proto__.x":["bigint"]}}}',
    '{"Sequence":100}',
    '"text"',
    'null',
    '1.50',
    '[[1e400], "]"]',
  ])('%s fails its source alone, and keeps it as it stands', async (bad) => {
    const good = format1([['good', checkpoint]]);
    const { path, store } = await fileWith(good.replace('\n]}', `,\n["bad", ${bad}]\n]}`));
    expect(await afterOneBad(path, store, bad)).toContain(`["bad",${bad}]`);
  });
});

function escaped(text: string): string {
  return text.replace(/[^\w]/g, '\\$&');
}

/** @returns what the file holds in the end */
async function afterOneBad(path: string, store: FileOffsetStore, bad: string): Promise<string> {
  const before = await readFile(path);
  const failure = {
    name: 'SerializationError',
    source: 'bad',
    message: expect.stringMatching(new RegExp(`^the file ${path}: ${escaped(bad)} for "bad" is no checkpoint`)),
  };
  await expect(store.get('bad')).rejects.toMatchObject(failure);
  await expect(store.getAll()).rejects.toMatchObject(failure);
  await expect(store.commit(new Map([['bad', checkpoint]]))).rejects.toMatchObject(failure);
  await expect(
    store.commit(
      new Map([
        ['good', { ...checkpoint, offset: Offset.sequence(8) }],
        ['bad', checkpoint],
      ]),
    ),
  ).rejects.toMatchObject(failure);
  expect(await readFile(path)).toEqual(before);
  expect((await store.get('good'))?.offset).toEqual(Offset.sequence(1));

  const stands = await store.commit(new Map([['good', { ...checkpoint, offset: Offset.sequence(9) }]]));
  expect(stands.get('good')?.offset).toEqual(Offset.sequence(9));
  await expect(new FileOffsetStore(path).get('bad')).rejects.toMatchObject(failure);
  return readFile(path, 'utf8');
}

describe('a file that cannot be read', () => {
  const own = format1([['orders', checkpoint]]);
  it.for<[string, string | Uint8Array]>([
    ['text', 'hello'],
    ['spaces', '  \n'],
    ['zeros, as some file systems leave after a power cut', new Uint8Array(64)],
    ['its first half', own.slice(0, own.length / 2)],
    ['a number', '5'],
    ['null', 'null'],
    ['an array', '[["orders",{"Sequence":1}]]'],
    ['a string', '"Earliest"'],
    ['bytes that are not UTF-8', Buffer.from([...Buffer.from('{"caf'), 0xe9, ...Buffer.from('":{"Sequence":1}}')])],
    ["another program's JSON", '{"name":"some-app","version":"1.0.0","dependencies":{}}'],
    ['a later format', own.replace(':1,', ':3,')],
    ['no format', own.replace(':1,', ':0.5,')],
    ['no checkpoints', '{"tidemark":1}'],
    ['checkpoints that are no list', '{"tidemark":1,"checkpoints":{"orders":{"Sequence":1}}}'],
    ['a pair that is none', '{"tidemark":1,"checkpoints":["orders"]}'],
    ['a pair of three', '{"tidemark":1,"checkpoints":[["orders",1,2]]}'],
    ['a pair whose source is no text', '{"tidemark":1,"checkpoints":[[5,{}]]}'],
  ])('since it holds %s is named in the error, and is left as it is', async ([, content]) => {
    const { path, store } = await fileWith(content);
    const before = await readFile(path);
    const attempts = [
      () => store.get('orders'),
      () => store.getAll(),
      () => store.commit(new Map([['orders', checkpoint]])),
    ];
    for (const attempt of attempts) {
      const error = await attempt().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(SerializationError);
      expect(error).toMatchObject({ message: expect.stringContaining(path), source: undefined });
    }
    expect(await readFile(path)).toEqual(before);
    expect(await readdir(folder)).not.toContainEqual(expect.stringMatching(/\.(lock|tmp)/));

    await store.clearAll();
    expect(await store.getAll()).toEqual(new Map());
    expect(await store.commit(new Map([['orders', checkpoint]]))).toEqual(new Map([['orders', checkpoint]]));
  });

  it.for<[string, string | Uint8Array]>([
    ['zeros', ''],
    ['the start of an object, then zeros', '{"orders":{"Sequence":1},'],
    ['one endless string', `{"${'a'.repeat(1 << 20)}`],
    ['a journal, then zeros', '{"tidemark":2,"id":"abcdefghijkl"}'],
    ['a journal, a line, then zeros', '{"tidemark":2,"id":"abcdefghijkl"}\n["orders",'],
  ])('costs no memory to tell of, however large: %s', async ([, start]) => {
    const { path, store } = await fileWith(start);
    if (typeof start === 'string' && start.length > 1 << 20) {
      for (let i = 0; i < 100; i++) await appendFile(path, start.slice(2));
    } else await truncate(path, 400e6);
    const before = process.resourceUsage().maxRSS;
    const found = await store.get('orders').catch((error: unknown) => error);
    // Zeros after a journal were never acknowledged.
    if (String(start).includes('"tidemark":2')) expect(found).toBeUndefined();
    else expect(found).toMatchObject({ code: 'serialization', message: expect.stringContaining('found ') });
    expect((process.resourceUsage().maxRSS - before) / 1024).toBeLessThan(100);
    await rm(path);
  });

  it('says that a later version wrote it', async () => {
    const { store } = await fileWith(own.replace(':1,', ':3,'));
    await expect(store.get('orders')).rejects.toThrow('format 3, written by a later version of tidemark: update');
  });
});

describe('the text of a file', () => {
  const anySource = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
    fc.constantFrom('__proto__', '', '[', '"', '\\', '\\"', '{"a":1}', '],['),
  );
  it('of the first format comes back as it was, whatever the sources are called', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(anySource, anySource), { selector: ([source]) => source }),
        async (pairs) => {
          const wanted = new Map(
            pairs.map(([source, text]) => [source, { ...checkpoint, offset: Offset.custom(text) }]),
          );
          const { path, store } = await fileWith(format1(wanted));
          expect(await store.getAll()).toEqual(wanted);
          // And as a journal, which it becomes at the first commit.
          const more = new Map([['one more', checkpoint]]);
          await store.commit(more);
          expect(await new FileOffsetStore(path).getAll()).toEqual(new Map([...wanted, ...more]));
        },
      ),
    );
  });

  it('of the crate keeps every digit, whatever stands in the strings around them', async () => {
    const anyU64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    const anyEntry = fc.oneof(
      anyU64.map((n) => [`{"Sequence":${n}}`, Offset.sequence(n)] as const),
      anySource.map((text) => [`{ "Custom" : ${JSON.stringify(text)} }`, Offset.custom(text)] as const),
    );
    const anyFile = fc.uniqueArray(fc.tuple(anySource, anyEntry), { minLength: 1, selector: ([source]) => source });
    await fc.assert(
      fc.asyncProperty(anyFile, async (pairs) => {
        const { store } = await fileWith(
          `{${pairs.map(([source, [json]]) => `\n ${JSON.stringify(source)}: ${json}`).join()}\n}`,
        );
        expect(await offsetsOf(store)).toEqual(new Map(pairs.map(([source, [, offset]]) => [source, offset])));
      }),
    );
  });
});
