// Reads a feed that counts, and does what each event says exactly once: `node consumer.mjs <engine> <place> [<last>]`.
// It goes on for ever, or up to the last event, until somebody kills it.
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import pg from 'pg';
import { type Change, type ChangeResult, type Checkpoint, Offset, StorageError } from '../../src/index.ts';
import { PostgresOffsetStore } from '../../src/stores/postgres/store.ts';
import { SqliteOffsetStore } from '../../src/stores/sqlite.ts';

interface Consumer {
  get(source: string): Promise<Checkpoint | undefined>;
  /** Adds the event's number to the total, and notes it, in one transaction with the offset. */
  apply(source: string, change: Change, n: number): Promise<ChangeResult>;
}

const [engine = '', place = '', last = 'Infinity'] = process.argv.slice(2);

function sqlite(): Consumer {
  const db = new Database(place, { timeout: 30_000 });
  const store = new SqliteOffsetStore(db);
  return {
    get: (source) => store.get(source),
    apply: (source, change, n) =>
      store.transact(source, change, ({ prepare }) => {
        prepare.call(db, 'UPDATE total SET value = value + ?').run(n);
        prepare.call(db, 'INSERT INTO done VALUES (?)').run(n);
      }),
  };
}

function postgres(): Consumer {
  const pool = new pg.Pool({ connectionString: place, connectionTimeoutMillis: 10_000 });
  pool.on('error', () => {});
  const store = new PostgresOffsetStore(pool);
  return {
    get: (source) => store.get(source),
    apply: (source, change, n) =>
      store.transact(source, change, async (client) => {
        await client.query('UPDATE total SET value = value + $1', [n]);
        await client.query('INSERT INTO done VALUES ($1)', [n]);
      }),
  };
}

/** What a client of a killed server hears in an effect is the driver's own error. */
function mayPass(error: unknown): boolean {
  if (error instanceof StorageError) return error.retryable;
  return engine === 'postgres' && /terminat|ECONN|EPIPE|57P0|shutting down/.test(`${error} ${Object(error).code}`);
}

const { get, apply } = engine === 'sqlite' ? sqlite() : postgres();
for (;;) {
  try {
    const expected = await get('count');
    const n = (expected?.rank ?? 0) + 1;
    if (n > Number(last)) break;
    const next = { epoch: 0, rank: n, offset: Offset.sequence(n), committedAt: Date.now() };
    const { outcome } = await apply('count', { expected, next }, n);
    if (outcome === 'applied') process.stdout.write('.');
  } catch (error) {
    if (!mayPass(error)) throw error;
    await delay(10);
  }
}
process.exit(0);
