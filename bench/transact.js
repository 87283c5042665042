// What an effect costs that is stored with its offset, in one transaction, beside the same effect without an offset.
import Database from 'better-sqlite3';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Offset, OffsetTracker } from 'tidemark';
import { SqliteOffsetStore } from 'tidemark/sqlite';
import { hasChromium, inPage, openChromium } from './lib/chromium.js';

const goals = [{ side: 'tidemark, effect and offset', of: 'the effect alone', atLeast: 1 / 1.3 }];

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

/** @type {import('./lib/turns.js').Comparison[]} */
export const comparisons = [
  ...['NORMAL', 'FULL'].map((synchronous) => ({
    title: `Exactly once in SQLite, synchronous = ${synchronous}`,
    unit: 'effects',
    baseline: 'the effect alone',
    given: folder,
    sides: sqlite(synchronous),
    goals,
    note: 'One upsert a transaction, by better-sqlite3 in WAL mode.',
  })),
  ...(hasChromium
    ? [
        {
          title: 'Exactly once in IndexedDB, in Chromium',
          unit: 'effects',
          baseline: 'the effect alone',
          given: openChromium('indexeddb.js'),
          rounds: 5,
          warmUp: 1,
          sides: {
            'the effect alone': inPage('effect alone'),
            'tidemark, effect and offset': inPage('effect and offset'),
          },
          goals,
          note: 'One put a transaction, relaxed, with `commit()`.',
        },
      ]
    : []),
];
