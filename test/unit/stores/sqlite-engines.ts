import type Better from 'better-sqlite3';
import type { SqliteDatabase } from '../../../src/stores/sqlite.ts';

export interface Connection extends SqliteDatabase {
  close(): unknown;
}

export interface Engine {
  readonly name: string;
  /** @param busyTimeoutMs how long it waits for others; default: the driver's own default */
  open(path: string, busyTimeoutMs?: number): Connection;
}

type Constructor = new (path: string, options?: { timeout?: number }) => Connection;

/** The engines that this runtime has: a native module that was built for another one cannot be loaded. */
export const engines = await findEngines();

async function findEngines(): Promise<Engine[]> {
  const found = await Promise.all([
    load('better-sqlite3').then(({ default: Database }) => Database),
    load('node:sqlite').then(({ DatabaseSync }) => DatabaseSync),
    load('bun:sqlite').then(({ Database }) => Database),
  ]);
  const names = ['better-sqlite3', 'node:sqlite', 'bun:sqlite'];
  return found.flatMap((Database, i) => (Database && opens(Database) ? [engine(names[i] ?? '', Database)] : []));
}

/** A database in memory of any engine there is. The types are better-sqlite3's; what tests call is the same in all. */
export function openMemory(): Better.Database {
  const [any] = engines;
  if (any === undefined) throw new Error('this runtime has no SQLite: npm install builds better-sqlite3');
  return any.open(':memory:') as Connection & Better.Database;
}

function opens(Database: Constructor): boolean {
  try {
    new Database(':memory:').close();
    return true;
  } catch {
    return false;
  }
}

/** By a name that no bundler looks at: most runtimes lack the one or the other. */
async function load(name: string): Promise<Record<string, Constructor | undefined>> {
  return import(/* @vite-ignore */ name).catch(() => ({}));
}

function engine(name: string, Database: Constructor): Engine {
  return {
    name,
    open: (path, busyTimeoutMs) => {
      const db = new Database(path);
      if (busyTimeoutMs !== undefined) db.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
      return db;
    },
  };
}

/** The rows of a statement, whose columns hold text or small numbers. */
export function query(db: SqliteDatabase, sql: string, ...values: string[]): Record<string, string | number>[] {
  return Array.from(db.prepare(sql).all(...values) as Record<string, string | number>[], (row) => ({ ...row }));
}
