import { rm } from 'node:fs/promises';
import type { Miniflare } from 'miniflare';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Checkpoint } from '../../src/checkpoint.ts';
import { SerializationError } from '../../src/errors.ts';
import { Offset } from '../../src/offset.ts';
import { type CloudflareKVBinding, CloudflareKVOffsetStore } from '../../src/stores/cloudflare-kv/store.ts';
import { testOffsetStore } from '../../src/testing/index.ts';
import { bundle, start, temporaryFolder } from './runtime.ts';
import type { Verdict } from './suite.ts';

vi.setConfig({ testTimeout: 60_000 });

let folder: string;
let miniflare: Miniflare;
let kv: CloudflareKVBinding;

beforeAll(async () => {
  folder = temporaryFolder();
  miniflare = await start(await bundle('worker.ts'), {
    kvNamespaces: ['KV', 'EMPTY'],
    kvPersist: folder,
    queueConsumers: ['events'],
  });
  kv = await namespace('KV');
});

afterAll(async () => {
  await miniflare.dispose();
  await rm(folder, { recursive: true, force: true });
});

testOffsetStore(
  'CloudflareKVOffsetStore on workerd, driven from Node,',
  ({ id, ...options }) => new CloudflareKVOffsetStore(kv, { ...options, prefix: `node ${id}:`, writeIntervalMs: 1 }),
  { describe, it, expect },
);

it('CloudflareKVOffsetStore keeps the same contract inside a Worker', async () => {
  const verdicts = (await ask('/conformance').then((response) => response.json())) as Verdict[];
  expect(verdicts.filter(({ error }) => error !== undefined)).toEqual([]);
  expect(verdicts.length).toBeGreaterThan(15);
});

describe('the limits of Workers KV', () => {
  it('let any source have a key, with no prefix and with the longest', async () => {
    const names = [
      '',
      '.',
      '..',
      '\ud800',
      '\udfff',
      'sha256:',
      'a/b?c#d%2F',
      '../..',
      '\u0000\u007f',
      'x'.repeat(512),
    ];
    names.push('x'.repeat(513), 'é'.repeat(256), 'é'.repeat(257), '😀'.repeat(5000));
    const batch = new Map(names.map((source, i) => [source, at(i, Offset.custom(source))]));
    const KV = await namespace('EMPTY');
    for (const prefix of ['', 'p'.repeat(441)]) {
      await new CloudflareKVOffsetStore(KV, { prefix }).commit(batch);
      const reader = new CloudflareKVOffsetStore(KV, { prefix });
      expect(await reader.getAll()).toEqual(batch);
      for (const [source, checkpoint] of batch) {
        expect(await new CloudflareKVOffsetStore(KV, { prefix }).get(source)).toEqual(checkpoint);
      }
      await reader.clearAll();
      expect((await KV.list({ prefix: '' })).keys).toEqual([]);
    }
    expect(() => new CloudflareKVOffsetStore(KV, { prefix: 'p'.repeat(442) })).toThrow(TypeError);
  });

  it('hold a record of any length: 1,024 bytes of metadata, and what is longer in the value alone', async () => {
    const batch = new Map<string, Checkpoint>();
    for (let length = 830; length < 850; length++) batch.set(`x ${length}`, at(1, Offset.custom('x'.repeat(length))));
    for (let length = 113; length < 123; length++) batch.set(`é ${length}`, at(1, Offset.custom('é'.repeat(length))));
    batch.set('huge', at(1, Offset.custom('"'.repeat(100_000))));
    await new CloudflareKVOffsetStore(kv, { prefix: 'lengths:' }).commit(batch);
    const { keys } = await kv.list({ prefix: 'lengths:' });
    const sizes = keys.flatMap(({ metadata }) => (metadata === undefined ? [] : [JSON.stringify(metadata).length]));
    expect(sizes.length).toBeLessThan(keys.length);
    expect(Math.max(...sizes)).toBe(1024);
    expect(await new CloudflareKVOffsetStore(kv, { prefix: 'lengths:' }).getAll()).toEqual(batch);
  });

  it('make 1,100 sources two calls to list, and none to read', async () => {
    expect(await (await ask('/list?number=1100')).json()).toEqual({ found: 1100, calls: ['list', 'list'] });
  });
});

it('garbage in KV is an error that names the source and the key, and is left as it is', async () => {
  await kv.put('garbage:orders', 'not a record', {});
  const store = new CloudflareKVOffsetStore(kv, { prefix: 'garbage:' });
  await store.commit(new Map([['fine', at(1, Offset.earliest)]]));
  const calls = [store.get('orders'), store.getAll(), store.commit(new Map([['orders', at(1, Offset.earliest)]]))];
  for (const outcome of await Promise.allSettled<unknown>(calls)) {
    const error: unknown = outcome.status === 'rejected' ? outcome.reason : undefined;
    expect(error).toBeInstanceOf(SerializationError);
    expect(error).toMatchObject({ source: 'orders', message: expect.stringContaining('"garbage:orders"') });
  }
  expect(await kv.get('garbage:orders', 'text')).toBe('not a record');
});

describe('inside a Worker', () => {
  it('writes are spaced though its clock stands still between I/O: a KV at its limit refuses none', async () => {
    expect(await (await ask('/rate?number=12')).json()).toEqual({ refused: 0, stands: 'seq:12' });
  });

  it.each(['KV PUT failed: 429 Too Many Requests', 'Network connection lost.'])(
    '%s: is repeated five times',
    async (error) => {
      const path = `/refusals?error=${encodeURIComponent(error)}`;
      expect(await (await ask(`${path}&number=5`)).json()).toEqual({ stands: 'seq:1' });
      expect(await (await ask(`${path}&number=6`)).json()).toEqual({
        name: 'StorageError',
        message: expect.stringContaining(error),
        source: 'orders',
        retryable: true,
        puts: 6,
      });
    },
  );

  it('the spent quota of a day is an error at once, and not retryable', async () => {
    const path = `/refusals?number=1&error=${encodeURIComponent('KV put() limit exceeded for the day.')}`;
    expect(await (await ask(path)).json()).toMatchObject({
      name: 'StorageError',
      source: 'orders',
      retryable: false,
      puts: 1,
    });
  });

  it('requests that share a store are all answered, though others end in the middle of a commit', async () => {
    expect(await text('/commit?number=1')).toBe('seq:1');
    let number = 1;
    for (const during of ['the pause', 'a write', 'a write that never ends', 'the pause']) {
      expect(await text(`/leave?number=${++number}&during=${during}`)).toBe('left');
      expect(await text(`/commit?number=${++number}`)).toBe(`seq:${number}`);
    }
    const answers = Array.from({ length: 20 }, () => {
      number++;
      return text(number % 3 ? `/commit?number=${number}` : `/leave?number=${number}&during=the pause`);
    });
    for (const answer of await Promise.all(answers)) expect(answer).toMatch(/^(left|seq:\d+)$/);
    expect(await text(`/commit?number=${++number}`)).toBe(`seq:${number}`);
    expect(await committed('orders', 'all:')).toEqual(Offset.sequence(number));
  });

  it('a schedule goes on where its last run ended', async () => {
    const worker = await handlers();
    for (const end of [1000, 2000]) {
      expect((await worker.scheduled({ cron: '* * * * *' })).outcome).toBe('ok');
      expect(await committed('scheduled')).toEqual(Offset.sequence(end));
    }
  });

  it('a queue acknowledges what is done and committed, and nothing that failed or stands behind it', async () => {
    const first = await send([{ n: 2 }, { n: 1 }, { n: 4 }, { n: 3, isBad: true }, { n: 5 }]);
    expect(first).toEqual({ acked: ['1', '2'], retried: ['3', '4', '5'] });
    expect(await committed('queue')).toEqual(Offset.sequence(2));
    expect((await send([{ n: 5 }, { n: 3 }, { n: 4 }])).acked).toEqual(['3', '4', '5']);
    expect(await committed('queue')).toEqual(Offset.sequence(5));
  });

  it('a message that comes late, after those that follow it, is acknowledged only where it is done itself', async () => {
    expect((await send([101, 102, 104, 105].map((n) => ({ n })))).acked).toEqual(['101', '102', '104', '105']);
    expect(await send([{ n: 103, isBad: true }])).toEqual({ acked: [], retried: ['103'] });
    expect(await send([{ n: 103 }])).toEqual({ acked: ['103'], retried: [] });
    expect(await committed('queue')).toEqual(Offset.sequence(105));
  });

  it('a store made for each invocation spaces its writes from those of the last', async () => {
    const times: number[] = [];
    for (let i = 0; i < 4; i++) times.push(...((await (await ask('/fresh')).json()) as number[]));
    expect(times).toHaveLength(4);
    for (const [i, time] of times.slice(1).entries()) expect(time - (times[i] ?? 0)).toBeGreaterThanOrEqual(1000);
  });

  it.each([600, 1500])('%s sources in an invocation with 1,000 calls: none is left out for ever', async (count) => {
    let calls = 0;
    for (let n = 1; n <= 4; n++) calls = Math.max(calls, Number(await text(`/many?count=${count}&number=${n}`)));
    // Those beyond the limit are refused, in turn.
    if (count < 1000) expect(calls).toBeLessThan(1000);
    const all = await new CloudflareKVOffsetStore(kv, { prefix: `many ${count}:` }).getAll();
    expect(all.size).toBe(count);
    const lowest = Math.min(...[...all.values()].map(({ offset }) => Number(offset && Offset.format(offset).slice(4))));
    expect(lowest).toBeGreaterThanOrEqual(count < 1000 ? 4 : 2);
  });
});

// Miniflare's types are those of Cloudflare's package of types, which this project does without.
interface Handlers {
  scheduled(controller: { readonly cron: string }): Promise<{ readonly outcome: string }>;
  queue(
    name: string,
    messages: readonly unknown[],
  ): Promise<{ readonly explicitAcks: string[]; readonly retryMessages: readonly { readonly msgId: string }[] }>;
}

async function handlers(): Promise<Handlers> {
  return (await miniflare.getWorker()) as unknown as Handlers;
}

async function send(bodies: readonly { n: number; isBad?: boolean }[]) {
  const messages = bodies.map((body) => ({ id: String(body.n), timestamp: new Date(), attempts: 1, body }));
  const { explicitAcks, retryMessages } = await (await handlers()).queue('events', messages);
  return { acked: explicitAcks, retried: retryMessages.map(({ msgId }) => msgId) };
}

async function namespace(name: string): Promise<CloudflareKVBinding> {
  return (await miniflare.getKVNamespace(name)) as unknown as CloudflareKVBinding;
}

function ask(path: string) {
  return miniflare.dispatchFetch(`http://worker${path}`);
}

async function text(path: string): Promise<string> {
  return (await ask(path)).text();
}

async function committed(source: string, prefix = 'tidemark:'): Promise<Offset | undefined> {
  return (await new CloudflareKVOffsetStore(kv, { prefix }).get(source))?.offset;
}

function at(rank: number, offset: Offset): Checkpoint {
  return { epoch: 0, rank, offset, committedAt: 1_767_323_045_000 };
}
