// A consumer of a feed that counts is killed again and again. KILLS says how often; npm test does it a few times only.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import Database from 'better-sqlite3';
import pg from 'pg';
import { beforeAll, expect, test } from 'vitest';
import { findPostgres, startPostgres } from '../postgres/server.ts';
import { buildConsumer, consumeUpTo, killConsumers, tally } from './kills.ts';

const kills = Number(process.env.KILLS ?? 20);
const timeout = 60_000 + kills * 3000;
const tables = 'CREATE TABLE total (value bigint); INSERT INTO total VALUES (0); CREATE TABLE done (n bigint)';

beforeAll(buildConsumer);

test(`SQLite: ${kills} kills skip nothing and double nothing`, { timeout }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-crash-'));
  const place = join(folder, 'app.db');
  const db = new Database(place);
  try {
    // Once, for whoever opens the file: two that ask for it at the same time do not wait for each other.
    db.pragma('journal_mode = WAL');
    db.exec(tables);
    await killConsumers('sqlite', place, kills);
    const reached = (db.prepare('SELECT max(n) AS n FROM done').get() as { n: number }).n;
    const last = reached + 100;
    await consumeUpTo('sqlite', place, last);
    const { value } = db.prepare('SELECT value FROM total').get() as { value: number };
    const done = (db.prepare('SELECT n FROM done').all() as { n: number }[]).map(({ n }) => n);
    const wanted = { sum: (last * (last + 1)) / 2, skipped: 0, doubled: 0 };
    expect(tally(value, done, last)).toEqual(wanted);
    console.log(`SQLite: ${kills} kills, ${last} events, skipped 0, doubled 0`);
  } finally {
    db.close();
    await rm(folder, { recursive: true, force: true });
  }
});

const bin = findPostgres();

// Where PostgreSQL is not installed (apt-get install postgresql) the summary says that this was skipped.
test.skipIf(bin === undefined)(
  `PostgreSQL: ${kills} kills of client and server in turn skip nothing and double nothing`,
  { timeout },
  async () => {
    const server = await startPostgres(bin ?? '');
    const ask = async (sql: string): Promise<Record<string, string>[]> => {
      const client = new pg.Client({ connectionString: server.url });
      await client.connect();
      try {
        return (await client.query<Record<string, string>>(sql)).rows;
      } finally {
        await client.end();
      }
    };
    try {
      await ask(tables);
      await killConsumers('postgres', server.url, kills, async () => {
        await server.kill();
        await server.start();
      });
      const [{ n = '0' } = {}] = await ask('SELECT max(n) AS n FROM done');
      const last = Number(n) + 100;
      await consumeUpTo('postgres', server.url, last);
      const [{ value = '' } = {}] = await ask('SELECT value FROM total');
      const done = (await ask('SELECT n FROM done')).map((row) => Number(row.n));
      const wanted = { sum: (last * (last + 1)) / 2, skipped: 0, doubled: 0 };
      expect(tally(Number(value), done, last)).toEqual(wanted);
      console.log(`PostgreSQL: ${kills} kills, ${last} events, skipped 0, doubled 0`);
    } finally {
      await server.stop();
    }
  },
);
