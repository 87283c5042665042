// Reads a feed that counts, and does what each event says exactly once: `node consumer.mjs <engine> <place> [<last>]`.
// It goes on for ever, or up to the last event, until somebody kills it.
import process from 'node:process';
import { setImmediate as turn } from 'node:timers/promises';
import Database from 'better-sqlite3';
import pg from 'pg';
import { type Feed, type FeedEvent, Offset, OffsetTracker, StorageError, resume } from '../../src/index.ts';
import { PostgresOffsetStore } from '../../src/stores/postgres/store.ts';
import { SqliteOffsetStore } from '../../src/stores/sqlite.ts';

const [engine = '', place = '', last = 'Infinity'] = process.argv.slice(2);

const feed: Feed<number> = async function* (from) {
  for (let n = from.kind === 'sequence' ? Number(from.value) + 1 : 1; n <= Number(last); n++) {
    await turn();
    yield { offset: Offset.sequence(n), data: n };
  }
  return 'end';
};

const options = {
  transact: true,
  // Consumers that cut the feed into other batches get in each other's way.
  batch: { size: 1 + (process.pid % 4), intervalMs: 5 },
  minDelayMs: 10,
  maxDelayMs: 10,
  // What a client of a killed server hears in an effect is the driver's own error.
  onFailed: (error: unknown) => (mayPass(error) ? 'retry' : 'stop'),
} as const;

type Events = readonly FeedEvent<number>[];

function sqlite(): Promise<void> {
  const db = new Database(place, { timeout: 30_000 });
  const handler = (events: Events, { tx }: { readonly tx: Database.Database }): void => {
    for (const { data } of events) {
      tx.prepare('UPDATE total SET value = value + ?').run(data);
      tx.prepare('INSERT INTO done VALUES (?)').run(data);
    }
    process.stdout.write('.');
  };
  return resume(new OffsetTracker(new SqliteOffsetStore(db)), 'count', feed, { ...options, handler });
}

function postgres(): Promise<void> {
  const pool = new pg.Pool({ connectionString: place, connectionTimeoutMillis: 10_000 });
  pool.on('error', () => {});
  const handler = async (events: Events, { tx }: { readonly tx: pg.PoolClient }): Promise<void> => {
    for (const { data } of events) {
      await tx.query('UPDATE total SET value = value + $1', [data]);
      await tx.query('INSERT INTO done VALUES ($1)', [data]);
    }
    process.stdout.write('.');
  };
  return resume(new OffsetTracker(new PostgresOffsetStore(pool)), 'count', feed, { ...options, handler });
}

function mayPass(error: unknown): boolean {
  if (error instanceof StorageError) return error.retryable;
  return engine === 'postgres' && /terminat|ECONN|EPIPE|57P0|shutting down/.test(`${error} ${Object(error).code}`);
}

await (engine === 'sqlite' ? sqlite() : postgres());
process.exit(0);
