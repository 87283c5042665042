// What an effect costs that is stored with its offset, in one transaction, beside the same effect without an offset.
import Database from 'better-sqlite3';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { Offset, OffsetTracker } from 'tidemark';
import { PostgresOffsetStore } from 'tidemark/postgres';
import { SqliteOffsetStore } from 'tidemark/sqlite';
import { engines, inPage, openBrowsers, titles } from './lib/browsers.js';
import { load } from './lib/typescript.js';
import { openWorker, inWorker } from './lib/workers.js';

/** @param {string} why */
const goals = (why) => [{ side: 'tidemark, effect and offset', of: 'the effect alone', atLeast: 1 / 1.3, why }];

/** @param {string} path @param {string} synchronous */
function open(path, synchronous) {
  const db = new Database(path);
  db.pragma('journal_mode = WAL');
  db.pragma(`synchronous = ${synchronous}`);
  db.exec('CREATE TABLE notes (id TEXT PRIMARY KEY, text TEXT)');
  return db;
}

/** @param {boolean} quick */
async function folder(quick) {
  const path = await mkdtemp(join(tmpdir(), 'tidemark-bench-'));
  return { path, count: quick ? 500 : 2000, stop: () => rm(path, { recursive: true, force: true }) };
}

/** @param {string} synchronous @returns {Record<string, import('./lib/turns.js').Side>} */
const sqlite = (synchronous) => ({
  'the effect alone': ({ path, count }) => {
    const db = open(join(path, 'alone.db'), synchronous);
    const put = db.prepare('INSERT INTO notes VALUES (?, ?) ON CONFLICT DO UPDATE SET text = excluded.text');
    const step = db.transaction((/** @type {number} */ n) => put.run(`note ${n % 1000}`, `text ${n}`));
    let n = 0;
    return async () => {
      for (let i = 0; i < count; i++) await step(++n);
      return count;
    };
  },
  'tidemark, effect and offset': async ({ path, count }) => {
    const db = open(join(path, 'offset.db'), synchronous);
    const put = db.prepare('INSERT INTO notes VALUES (?, ?) ON CONFLICT DO UPDATE SET text = excluded.text');
    const tracker = new OffsetTracker(new SqliteOffsetStore(db), { resetPolicy: 'earliest' });
    const reading = await tracker.read('notes', { fence: true });
    let n = 0;
    return async () => {
      for (let i = 0; i < count; i++) {
        n++;
        await reading.transact(Offset.sequence(n), () => put.run(`note ${n % 1000}`, `text ${n}`));
      }
      return count;
    };
  },
});

/** @typedef {typeof import('../test/postgres/server.ts')} Servers */

const upsert = 'INSERT INTO notes VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET text = excluded.text';

/** A server of this comparison's own. @param {boolean} quick */
async function postgres(quick) {
  /** @type {Servers} */
  const { findPostgres, startPostgres } = await load('test/postgres/server.ts');
  const bin = findPostgres();
  if (bin === undefined) throw new Error('PostgreSQL is not installed: apt-get install postgresql');
  const server = await startPostgres(bin);
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await client.query('CREATE TABLE notes (id text PRIMARY KEY, text text)');
  await client.end();
  return { url: server.url, count: quick ? 200 : 1000, stop: () => server.stop() };
}

/** @type {Record<string, import('./lib/turns.js').Side>} */
const inPostgres = {
  'the effect alone': ({ url, count }) => {
    const pool = new pg.Pool({ connectionString: url });
    let n = 0;
    const step = async () => {
      const client = await pool.connect();
      await client.query('BEGIN');
      await client.query(upsert, [`alone ${++n % 1000}`, `text ${n}`]);
      await client.query('COMMIT');
      client.release();
    };
    return async () => {
      for (let i = 0; i < count; i++) await step();
      return count;
    };
  },
  'tidemark, effect and offset': async ({ url, count }) => {
    const pool = new pg.Pool({ connectionString: url });
    const tracker = new OffsetTracker(new PostgresOffsetStore(pool), { resetPolicy: 'earliest' });
    const reading = await tracker.read('notes', { fence: true });
    let n = 0;
    return async () => {
      for (let i = 0; i < count; i++) {
        n++;
        await reading.transact(Offset.sequence(n), (/** @type {import('pg').PoolClient} */ client) =>
          client.query(upsert, [`note ${n % 1000}`, `text ${n}`]),
        );
      }
      return count;
    };
  },
};

const why = {
  sqlite: `The same statements by hand, BEGIN, SELECT, SAVEPOINT, the effect, RELEASE, an upsert and COMMIT, take twice as long as the
effect alone where nothing waits for the disk. A profile (node --cpu-prof) has half of tidemark's time in these statements, and
a tenth in superjson.`,
  postgres: `Five statements take turns with the server instead of three: BEGIN, the row is locked and read, the effect, the offset is
written, COMMIT.`,
  durableObject: 'A row is read and a row is written, as text, beside the one that the effect writes.',
  d1: `A batch of three statements instead of one: the offset is compared and set, a guard rolls back where it did not match, and
the effect.`,
  indexedDB: `The effect alone is one request. With its offset it waits for two that read, and one more writes; the transaction is over
three object stores instead of one, and other tabs are told.`,
};

/** @param {string} where @param {string} file @param {string} reason @param {string} note @returns {import('./lib/turns.js').Comparison} */
const inWorkerd = (where, file, reason, note) => ({
  title: `Exactly once in ${where}`,
  unit: 'effects',
  baseline: 'the effect alone',
  given: (quick) => openWorker(quick, file),
  rounds: 5,
  warmUp: 1,
  sides: {
    'the effect alone': inWorker('effect alone'),
    'tidemark, effect and offset': inWorker('effect and offset'),
  },
  goals: goals(reason),
  note,
});

/** @type {import('./lib/turns.js').Comparison[]} */
export const comparisons = [
  ...['NORMAL', 'FULL'].map((synchronous) => ({
    title: `Exactly once in SQLite, synchronous = ${synchronous}`,
    unit: 'effects',
    baseline: 'the effect alone',
    given: folder,
    sides: sqlite(synchronous),
    goals: goals(why.sqlite),
    note: 'One upsert a transaction, by better-sqlite3 in WAL mode.',
  })),
  {
    title: 'Exactly once in PostgreSQL',
    unit: 'effects',
    baseline: 'the effect alone',
    given: postgres,
    rounds: 5,
    warmUp: 1,
    sides: inPostgres,
    goals: goals(why.postgres),
    note: 'One upsert a transaction, by a Pool of pg, on a server of this machine that syncs its log to the disk.',
  },
  inWorkerd(
    'a Durable Object',
    'durable-object.js',
    why.durableObject,
    'One upsert in a `transactionSync`, inside of the object, in workerd.',
  ),
  inWorkerd(
    'D1',
    'd1.js',
    why.d1,
    'One upsert a batch, in workerd, whose D1 is on this machine: over a network, a batch costs a round trip with or without an offset.',
  ),
  ...engines.map((engine) => ({
    title: `Exactly once in IndexedDB, in ${titles[engine]}`,
    unit: 'effects',
    baseline: 'the effect alone',
    given: openBrowsers(engine, 'indexeddb.js'),
    rounds: 5,
    warmUp: 1,
    sides: {
      'the effect alone': inPage('effect alone'),
      'tidemark, effect and offset': inPage('effect and offset'),
    },
    goals: goals(why.indexedDB),
    note: 'One put a transaction, relaxed, with `commit()`.',
  })),
];
