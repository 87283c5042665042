import { rm } from 'node:fs/promises';
import type { Miniflare } from 'miniflare';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { mulberry32 } from '../random.ts';
import { bundle, start, temporaryFolder, workerds } from './runtime.ts';
import type { Verdict } from './suite.ts';

vi.setConfig({ testTimeout: 120_000 });

let folder: string;
let script: string;
let miniflare: Miniflare;

beforeAll(async () => {
  script = await bundle('objects-worker.ts');
  folder = temporaryFolder();
  miniflare = await open();
});

afterAll(async () => {
  await miniflare.dispose();
  await rm(folder, { recursive: true, force: true });
});

describe.each([
  ['DurableObjectOffsetStore, inside an object,', '/object/conformance'],
  ['DurableObjectOffsetStore, inside an object,', '/object/transact'],
  ['RemoteOffsetStore, on an object elsewhere,', '/remote/conformance'],
  ['D1OffsetStore', '/d1/conformance'],
  ['D1OffsetStore', '/d1/transact'],
])('%s passes the kit of %s', (_, path) => {
  it('in all its tests', async () => {
    const verdicts = await ask<Verdict[]>(path);
    expect(verdicts.filter(({ error }) => error !== undefined)).toEqual([]);
    expect(verdicts.length).toBeGreaterThan(15);
  });
});

describe('of twenty that apply a step upon the same checkpoint at once', () => {
  it('one is applied in a Durable Object, and the others are told so', async () => {
    const told = await ask<Record<string, number>>('/object/race?n=20&name=race');
    expect(told.applied).toBe(1);
    expect((told.duplicate ?? 0) + (told.moved ?? 0)).toBe(19);
    const { sum, place } = await ask<{ sum: number; place: string }>('/object/place?name=race');
    expect(`seq:${sum}`).toBe(place);
  });

  it('one is applied in D1, and the others are told so', async () => {
    const { outcomes, sum } = await ask<{ outcomes: Record<string, number>; sum: number }>('/d1/race?n=20');
    expect(outcomes.applied).toBe(1);
    expect((outcomes.duplicate ?? 0) + (outcomes.moved ?? 0)).toBe(19);
    expect(sum).toBeGreaterThan(0);
    expect(sum).toBeLessThanOrEqual(20);
  });
});

describe('the implicit transaction of a Durable Object', () => {
  const after = async (what: string): Promise<unknown> => {
    const name = `abort ${what}`;
    await text(`/object/abort?name=${encodeURIComponent(name)}&after=${encodeURIComponent(what)}`);
    return ask(`/object/place?name=${encodeURIComponent(name)}`);
  };

  it('undoes an effect and its record together where no I/O was awaited between them', async () => {
    expect(await after('effect and record')).toEqual({ sum: 0, place: 'nothing' });
  });

  it('ends at an await of I/O: the effect before it stays alone, which transact is for', async () => {
    expect(await after('effect, I/O and record')).toEqual({ sum: 1, place: 'nothing' });
  });

  it('keeps effects and records together in a loop, wherever it ends', async () => {
    let place = 0;
    for (const last of [1, 2, 3, 10, 47, 100, 101]) {
      await text(`/object/abort-in-a-loop?name=loop&n=${last}`);
      const found = await ask<{ sum: number; place: string }>('/object/place?name=loop');
      const n = Number(found.place === 'nothing' ? 0 : found.place.slice(4));
      expect(found.sum).toBe((n * (n + 1)) / 2);
      // The last event is not recorded: the loop did not ask for the next.
      expect(n).toBeLessThan(last);
      expect(n).toBeGreaterThanOrEqual(place);
      place = n;
    }
    expect(place).toBeGreaterThan(90);
  });

  it('keeps what a caller was told to be committed', async () => {
    expect(await text('/object/record?name=told&n=5')).toBe('committed');
    expect(await ask('/object/place?name=told')).toEqual({ sum: 5, place: 'seq:5' });
  });
});

describe('DurableObjectOffsetStore', () => {
  it('takes part in a transaction that the caller has open, and outlives deleteAll', async () => {
    expect(await ask('/object/roll-back?name=roll-back')).toEqual([
      'Error: rolled back on purpose',
      '0',
      '0',
      'undefined',
    ]);
  });

  it('refuses an asynchronous effect, and rolls back whatever fails', async () => {
    const { errors, sum, stored } = await ask<{ errors: object[]; sum: number; stored: number }>(
      '/object/misuse?name=misuse',
    );
    const isAsync = { code: 'unsupported', source: 'feed', message: expect.stringContaining('is asynchronous') };
    expect(errors).toMatchObject([
      isAsync,
      isAsync,
      isAsync,
      { isOurs: false, message: expect.stringContaining('no_such_table') },
      { isOurs: false },
    ]);
    expect([sum, stored]).toEqual([0, 0]);
  });
});

it('errors of an object cross RPC as what they are, and what is no OffsetsObject is refused', async () => {
  const found = await ask<Record<string, object>>('/remote/errors?name=errors');
  const unreadable = {
    name: 'SerializationError',
    code: 'serialization',
    source: 'feed',
    message: expect.stringContaining('garbage'),
  };
  const noStub = { name: 'UnsupportedError', message: expect.stringContaining('needs the stub of an OffsetsObject') };
  expect(found).toMatchObject({
    unreadable,
    all: unreadable,
    fine: 'seq:1',
    noCheckpoint: { name: 'InvalidOffsetError', code: 'invalid-offset', source: 'feed' },
    noOffset: { name: 'InvalidOffsetError', code: 'invalid-offset' },
    foreignObject: noStub,
    namespace: noStub,
    database: noStub,
    nothing: noStub,
    aStore: noStub,
    aFunction: noStub,
    otherAnswer: noStub,
    lost: { name: 'StorageError', source: 'feed', retryable: true },
    broken: { name: 'StorageError', source: 'feed', retryable: false, message: expect.stringContaining('a bug') },
  });
});

it('errors of D1 say what to do, and leave what is stored', async () => {
  const found = await ask<Record<string, object>>('/d1/errors');
  const unreadable = { name: 'SerializationError', source: 'feed', message: expect.stringContaining('garbage') };
  expect(found).toMatchObject({
    unreadable,
    all: unreadable,
    commit: unreadable,
    begin: unreadable,
    left: 'garbage',
    noCheckpoint: { name: 'InvalidOffsetError', source: 'fine' },
    noTable: {
      name: 'StorageError',
      source: 'feed',
      retryable: false,
      message: expect.stringContaining('no such table'),
    },
    noBinding: { name: 'UnsupportedError', message: expect.stringContaining('D1 binding') },
    noName: { name: 'UnsupportedError' },
    lost: { name: 'StorageError', source: 'feed', retryable: true },
    overloaded: { name: 'StorageError', source: 'feed', retryable: true },
    full: { name: 'StorageError', source: 'feed', retryable: false },
    notStatements: {
      name: 'UnsupportedError',
      source: 'new',
      message: expect.stringContaining('no list of D1 statements'),
    },
  });
});

describe.each(['object', 'd1'])('a counting feed over %s', (store) => {
  it('goes on where it was when workerd is started again', async () => {
    expect(await ask(`/${store}/consume?name=feed&n=30`)).toBe(465);
    await miniflare.dispose();
    miniflare = await open();
    expect(await ask(`/${store}/place?name=feed`)).toEqual({ sum: 465, place: 'seq:30' });
  });

  it('counts each event once however often workerd is killed in the middle', async () => {
    const random = mulberry32(7);
    const slice = store === 'd1' ? 50 : 1000;
    let reached = 0;
    for (let kill = 1; kill <= 5; kill++) {
      const pids = workerds();
      let isKilled = false;
      let slices = 0;
      const consuming = (async () => {
        while (!isKilled) {
          // Nobody answers once it is killed.
          await ask(`/${store}/consume?name=feed&n=${reached + ++slices * slice}`).catch(() => {});
        }
      })();
      await expect.poll(() => slices, { interval: 1 }).toBeGreaterThan(1 + random() * 4);
      await new Promise((resolve) => setTimeout(resolve, random() * 30));
      for (const pid of pids) process.kill(pid, 'SIGKILL');
      isKilled = true;
      await consuming;
      await miniflare.dispose();
      miniflare = await open();
      const { sum, place } = await ask<{ sum: number; place: string }>(`/${store}/place?name=feed`);
      const n = Number(place.slice(4));
      expect(n).toBeGreaterThan(reached);
      expect(sum).toBe((n * (n + 1)) / 2);
      reached = n;
    }
  });
});

function open(): Promise<Miniflare> {
  return start(script, {
    durableObjects: {
      OFFSETS: { className: 'Offsets', useSQLite: true },
      BY_LENGTH: { className: 'ByLength', useSQLite: true },
      KIT: { className: 'Kit', useSQLite: true },
    },
    d1Databases: ['DB'],
    durableObjectsPersist: `${folder}/objects`,
    d1Persist: `${folder}/d1`,
  });
}

async function text(path: string): Promise<string> {
  return (await miniflare.dispatchFetch(`http://worker${path}`)).text();
}

async function ask<T>(path: string): Promise<T> {
  const answer = await text(path);
  try {
    return JSON.parse(answer);
  } catch {
    throw new Error(`${path} answered ${answer.slice(0, 500)}`);
  }
}
