import { DurableObject } from 'cloudflare:workers';
import { type Change, type Checkpoint, Offset, OffsetError, OffsetTracker, resume } from '../../src/index.ts';
import { D1OffsetStore } from '../../src/stores/d1.ts';
import { OffsetsObject, type OffsetsStub, RemoteOffsetStore } from '../../src/stores/durable-object/store.ts';
import { testOffsetStore } from '../../src/testing/index.ts';
import { type Kit, d1Conformance, d1Sums, d1Transact } from './objects-kits.ts';
import { Suite, type Verdict } from './suite.ts';

export { Kit } from './objects-kits.ts';

interface Env {
  readonly OFFSETS: DurableObjectNamespace<OffsetsStub & Offsets>;
  readonly BY_LENGTH: DurableObjectNamespace<OffsetsStub>;
  readonly KIT: DurableObjectNamespace<Kit>;
  readonly DB: D1Database;
}

const byLength = (a: string, b: string): number => a.length - b.length;

/** A counting feed, and the sum of its numbers in the object's own SQLite. */
export class Offsets extends OffsetsObject(DurableObject<Env>) {
  #sum(): number {
    this.ctx.storage.sql.exec('CREATE TABLE IF NOT EXISTS sums (id INTEGER PRIMARY KEY, n INTEGER)');
    this.ctx.storage.sql.exec('INSERT OR IGNORE INTO sums VALUES (1, 0)');
    const [row] = this.ctx.storage.sql.exec('SELECT n FROM sums');
    return Number(row?.n);
  }

  #add(n: number): void {
    this.#sum();
    this.ctx.storage.sql.exec('UPDATE sums SET n = n + ?', n);
  }

  async sum(): Promise<number> {
    return this.#sum();
  }

  /** Applies the numbers up to the last one that are not applied yet. */
  async consume(last: number): Promise<void> {
    this.#sum();
    await resume(new OffsetTracker(this.offsets), 'feed', counting(last), {
      transact: true,
      batch: { size: 3, intervalMs: 1 },
      handler: (events) => events.forEach(({ data }) => this.#add(data)),
    });
  }

  /** One step upon what the caller saw. */
  async step(change: Change): Promise<string> {
    const { outcome } = await this.offsets.transact('feed', change, () => this.#add(change.next.rank));
    return outcome;
  }

  /** An effect of the object's own and a record, with and without an await between them; then the object ends at once. */
  async abortAfter(what: 'effect and record' | 'effect, I/O and record'): Promise<void> {
    const tracker = new OffsetTracker(this.offsets);
    this.#add(1);
    if (what === 'effect, I/O and record') await this.ctx.storage.sync();
    await tracker.record('feed', Offset.sequence(1));
    this.ctx.abort('on purpose');
  }

  /** Reads a feed that waits for I/O between any two events, and ends in the middle of the last. */
  async abortInALoop(last: number): Promise<void> {
    const { storage } = this.ctx;
    async function* feed(from: Offset) {
      for (let n = from.kind === 'sequence' ? Number(from.value) + 1 : 1; ; n++) {
        if (n % 3 === 0) await storage.sync();
        if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        yield { offset: Offset.sequence(n), data: n };
      }
    }
    for await (const { data } of resume(new OffsetTracker(this.offsets), 'feed', feed)) {
      this.#add(data);
      if (data === last) this.ctx.abort('on purpose');
    }
  }

  /** What the caller hears of is stored. */
  async record(n: number): Promise<string> {
    this.#add(n);
    return new OffsetTracker(this.offsets).record('feed', Offset.sequence(n));
  }

  async abort(): Promise<void> {
    this.ctx.abort('on purpose');
  }

  /** What a transaction of the caller's that is rolled back takes with it. */
  async rollBack(): Promise<string[]> {
    const found: string[] = [];
    try {
      this.ctx.storage.transactionSync(() => {
        void this.offsets.commit(new Map([['feed', at(7)]]));
        void this.offsets.transact('other', { expected: undefined, next: at(1) }, () => this.#add(1));
        throw new Error('rolled back on purpose');
      });
    } catch (error) {
      found.push(String(error));
    }
    found.push(String((await this.offsets.getAll()).size), String(this.#sum()));
    await this.offsets.commit(new Map([['feed', at(2)]]));
    await this.ctx.storage.deleteAll();
    found.push(String(await this.offsets.get('feed')));
    return found;
  }

  /** Effects that may not be. */
  async misuse(): Promise<{ readonly errors: unknown[]; readonly sum: number; readonly stored: number }> {
    const change = { expected: undefined, next: at(1) };
    const effects: ((sql: SqlStorage) => unknown)[] = [
      async () => this.#add(1),
      () => Promise.resolve(this.#add(1)),
      () => Promise.reject(new Error(`nobody sees ${this.#add(1)}`)),
      (sql) => (this.#add(1), sql.exec('INSERT INTO no_such_table VALUES (1)')),
      (sql) => (this.#add(1), sql.exec('COMMIT')),
    ];
    const errors: unknown[] = [];
    for (const effect of effects) errors.push(await failure(this.offsets.transact('feed', change, effect)));
    return { errors, sum: this.#sum(), stored: (await this.offsets.getAll()).size };
  }

  async spoil(): Promise<void> {
    await this.offsets.commit(new Map([['fine', at(1)]]));
    this.ctx.storage.sql.exec(`INSERT INTO tidemark_offsets VALUES ('feed', 'garbage')`);
  }
}

export class ByLength extends OffsetsObject(DurableObject<Env>, { compare: byLength }) {}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const name = searchParams.get('name') ?? '';
    const n = Number(searchParams.get('n'));
    const object = env.OFFSETS.get(env.OFFSETS.idFromName(name));
    const kit = env.KIT.get(env.KIT.idFromName('kit'));
    switch (pathname) {
      case '/object/conformance':
        return Response.json(await kit.conformance());
      case '/object/transact':
        return Response.json(await kit.transact());
      case '/remote/conformance':
        return Response.json(await remoteConformance(env));
      case '/d1/conformance':
        return Response.json(await d1Conformance(env.DB));
      case '/d1/transact':
        return Response.json(await d1Transact(env.DB));
      case '/object/consume':
        await object.consume(n);
        return Response.json(await object.sum());
      case '/object/place':
        return Response.json({
          sum: await object.sum(),
          place: place(await new RemoteOffsetStore(object).get('feed')),
        });
      case '/object/race':
        return Response.json(await race(n, (change) => object.step(change)));
      case '/object/abort':
        await object.abortAfter(searchParams.get('after') as 'effect and record').catch(() => {});
        return new Response('aborted');
      case '/object/abort-in-a-loop':
        await object.abortInALoop(n).catch(() => {});
        return new Response('aborted');
      case '/object/record': {
        const told = await object.record(n);
        await object.abort().catch(() => {});
        return new Response(told);
      }
      case '/object/roll-back':
        return Response.json(await object.rollBack());
      case '/object/misuse':
        return Response.json(await object.misuse());
      case '/remote/errors':
        return Response.json(await remoteErrors(env, object));
      case '/d1/consume':
        return Response.json(await d1Consume(env.DB, n));
      case '/d1/place':
        return Response.json({
          sum: await (await d1Sums(env.DB, 'feed')).read(),
          place: place(await (await d1Sums(env.DB, 'feed')).store.get('feed')),
        });
      case '/d1/race': {
        const { store, add } = await d1Sums(env.DB, 'race');
        const step = async (change: Change): Promise<string> =>
          (await store.transact('feed', change, add(change.next.rank))).outcome;
        const outcomes = await race(n, step);
        return Response.json({
          outcomes,
          sum: await env.DB.prepare('SELECT n FROM sums WHERE id = ?').bind('race').first('n'),
        });
      }
      case '/d1/errors':
        return Response.json(await d1Errors(env.DB));
      default:
        return new Response(null, { status: 404 });
    }
  },
};

async function remoteConformance({ OFFSETS, BY_LENGTH }: Env): Promise<Verdict[]> {
  const suite = new Suite();
  testOffsetStore(
    'an object elsewhere',
    ({ id, ...options }) => {
      const namespace = options.compare ? BY_LENGTH : OFFSETS;
      return new RemoteOffsetStore(() => namespace.get(namespace.idFromName(id)), options);
    },
    suite,
  );
  return suite.run();
}

async function d1Consume(db: D1Database, last: number): Promise<number> {
  const { store, add, read } = await d1Sums(db, 'feed');
  await resume(new OffsetTracker(store), 'feed', counting(last), {
    transact: true,
    handler: ({ data }) => add(data),
  });
  return read();
}

/** The numbers up to the last. */
function counting(last: number) {
  return async function* (from: Offset) {
    const first = from.kind === 'sequence' ? Number(from.value) + 1 : 1;
    for (let n = first; n <= last; n++) yield { offset: Offset.sequence(n), data: n };
    return 'end' as const;
  };
}

/** Many changes at once upon the same checkpoint. @returns how often each outcome was told */
async function race(count: number, step: (change: Change) => Promise<string>): Promise<Record<string, number>> {
  const steps = Array.from({ length: count }, (_, i) => step({ expected: undefined, next: at(i + 1) }));
  const told: Record<string, number> = {};
  for (const outcome of await Promise.all(steps)) told[outcome] = (told[outcome] ?? 0) + 1;
  return told;
}

async function remoteErrors(env: Env, object: OffsetsStub & Offsets): Promise<Record<string, unknown>> {
  await object.spoil();
  const remote = new RemoteOffsetStore(object);
  const kit = env.KIT.get(env.KIT.idFromName('kit'));
  const wrong = (stub: unknown): Promise<unknown> => failure(new RemoteOffsetStore(stub as OffsetsStub).get('feed'));
  return {
    unreadable: await failure(remote.get('feed')),
    all: await failure(remote.getAll()),
    fine: place(await remote.get('fine')),
    noCheckpoint: await failure(remote.commit(new Map([['feed', { epoch: -1 } as unknown as Checkpoint]]))),
    noOffset: await failure(remote.begin('fine', { offset: { kind: 'nonsense' } as unknown as Offset })),
    foreignObject: await wrong(kit),
    namespace: await wrong(env.OFFSETS),
    database: await wrong(env.DB),
    nothing: await wrong(undefined),
    aStore: await wrong(remote),
    aFunction: await wrong(() => undefined),
    otherAnswer: await wrong({ tidemark: async () => 'something else' }),
    lost: await wrong({
      tidemark: () => Promise.reject(Object.assign(new Error('Network connection lost.'), { retryable: true })),
    }),
    broken: await wrong({ tidemark: () => Promise.reject(new Error('a bug')) }),
  };
}

async function d1Errors(db: D1Database): Promise<Record<string, unknown>> {
  const store = new D1OffsetStore(db, { table: 'errors' });
  await store.commit(new Map([['fine', at(1)]]));
  await db.prepare(`INSERT INTO errors VALUES ('feed', '0', 'garbage')`).run();
  const failing = (message: string, properties: object = {}) =>
    new D1OffsetStore({
      prepare: (query: string) => db.prepare(query),
      batch: () => Promise.reject(Object.assign(new Error(message), properties)),
    });
  const change = { expected: undefined, next: at(1) };
  return {
    unreadable: await failure(store.get('feed')),
    all: await failure(store.getAll()),
    commit: await failure(store.commit(new Map([['feed', at(9)]]))),
    begin: await failure(store.begin('feed')),
    left: await db.prepare(`SELECT checkpoint FROM errors WHERE source = 'feed'`).first('checkpoint'),
    noCheckpoint: await failure(store.commit(new Map([['fine', { epoch: -1 } as unknown as Checkpoint]]))),
    noTable: await failure(new D1OffsetStore(db, { table: 'none', migrate: false }).get('feed')),
    noBinding: await failure(Promise.resolve().then(() => new D1OffsetStore({} as never))),
    noName: await failure(Promise.resolve().then(() => new D1OffsetStore(db, { table: '' }))),
    lost: await failure(failing('D1_ERROR: Network connection lost.').get('feed')),
    overloaded: await failure(failing('D1 DB is overloaded. Too many requests queued.').transact('feed', change, [])),
    full: await failure(failing('D1_ERROR: Exceeded maximum DB size').get('feed')),
    notStatements: await failure(store.transact('new', change, [1] as never)),
  };
}

async function failure(work: Promise<unknown>): Promise<unknown> {
  try {
    return { found: await work };
  } catch (error) {
    const { name, message } = error as Error;
    const { code, source, retryable } = error as Record<string, unknown>;
    return { isOurs: error instanceof OffsetError, name, code, source, retryable, message };
  }
}

function at(n: number): Checkpoint {
  return { epoch: 0, rank: n, offset: Offset.sequence(n), committedAt: 1_767_323_045_000 };
}

function place(checkpoint: Checkpoint | undefined): string {
  return checkpoint?.offset ? Offset.format(checkpoint.offset) : 'nothing';
}
