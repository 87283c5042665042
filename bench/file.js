// What a durable commit to a file costs, beside what else one could do: append and fdatasync alone, the whole file written
// anew (write-file-atomic), a row in SQLite (better-sqlite3, WAL, synchronous = FULL). All in one run, in turns, so that the
// ratios hold though the machine is busy. `ROUND_MS` is how long a turn takes; set TMPDIR to choose the disk.
import Database from 'better-sqlite3';
import { spawn } from 'node:child_process';
import { mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Offset } from 'tidemark';
import { FileOffsetStore } from 'tidemark/file';
import writeFileAtomic from 'write-file-atomic';

const roundMs = Number(process.env.ROUND_MS ?? 700);
const rounds = 3;

/** @param {number} n */
const at = (n) => ({ epoch: 0, rank: n, offset: Offset.sequence(n), committedAt: Date.now() });
/** @param {number} i */
const nameOf = (i) => `source ${i}`;
/** @param {number} count @param {number} n */
const all = (count, n) => new Map(Array.from({ length: count }, (_, i) => [nameOf(i), at(n)]));

/**
 * Each opens a file, fills it with sources, and gives a function that commits one of them.
 * @type {Record<string, (path: string, sources: number, fill: boolean) => Promise<(n: number, source: string) => unknown>>}
 */
const ways = {
  'append, fdatasync': async (path, _sources, fill) => {
    const file = await open(path, 'a');
    if (fill) await file.close();
    const line = `${'x'.repeat(170)}\n`;
    return async () => {
      await file.write(line);
      await file.datasync();
    };
  },
  tidemark: async (path, sources, fill) => {
    const store = new FileOffsetStore(path);
    if (fill) await store.commit(all(sources, 0));
    await store.getAll();
    return (n, source) => store.commit(new Map([[source, at(n)]]));
  },
  'tidemark, compacting': async (path, sources, fill) => {
    const store = new FileOffsetStore(path);
    if (fill) for (const n of [0, 1]) await store.commit(all(sources, n));
    await store.getAll();
    return (n, source) => store.commit(new Map([[source, at(n + 2)]]));
  },
  'write-file-atomic': async (path, sources) => {
    /** @type {Record<string, number>} */
    const offsets = Object.fromEntries(Array.from({ length: sources }, (_, i) => [nameOf(i), 0]));
    return (n, source) => {
      offsets[source] = n;
      return writeFileAtomic(path, JSON.stringify(offsets));
    };
  },
  'better-sqlite3': async (path, sources, fill) => {
    const db = new Database(path, { timeout: 60_000 });
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.exec('CREATE TABLE IF NOT EXISTS offsets (source TEXT PRIMARY KEY, offset TEXT) WITHOUT ROWID');
    const upsert = db.prepare('INSERT INTO offsets VALUES (?, ?) ON CONFLICT DO UPDATE SET offset = excluded.offset');
    if (fill) db.transaction(() => Array.from({ length: sources }, (_, i) => upsert.run(nameOf(i), '0')))();
    return (n, source) => upsert.run(source, String(n));
  },
};

if (process.argv[2] === 'child') await beChild();
else await compare();

async function compare() {
  for (const processes of [1, 8]) {
    for (const sources of [1, 10_000, 100_000]) report(processes, sources, await measure(processes, sources));
  }
}

/** @param {number} processes @param {number} sources @returns {Promise<Map<string, any>>} */
async function measure(processes, sources) {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-'));
  const found = new Map();
  for (const [way, start] of Object.entries(ways)) {
    const path = join(folder, way);
    await start(path, sources, true);
    found.set(way, { path, commits: 0, ms: 0, times: [], compactions: 0 });
  }
  for (let round = 0; round < rounds; round++) {
    for (const [way, total] of found) await measureRound(way, total, processes, sources, round);
  }
  await rm(folder, { recursive: true });
  return found;
}

/** @param {string} way @param {any} total @param {number} processes @param {number} sources @param {number} round */
async function measureRound(way, total, processes, sources, round) {
  const before = await inode(total.path);
  const children = Array.from({ length: processes }, (_, i) => runChild(way, total.path, sources, i, round));
  for (const { commits, ms, times } of await Promise.all(children)) {
    total.commits += commits;
    total.ms += ms / processes;
    total.times.push(...times);
  }
  if ((await inode(total.path)) !== before) total.compactions++;
}

/** @param {number} processes @param {number} sources @param {Map<string, any>} found */
function report(processes, sources, found) {
  const rate = (/** @type {string} */ way) => (found.get(way).commits / found.get(way).ms) * 1000;
  /** @type {Record<string, object>} */
  const table = {};
  for (const [way, { times, compactions }] of found) {
    times.sort((/** @type {number} */ a, /** @type {number} */ b) => a - b);
    const percentile = (/** @type {number} */ p) => Number(times[Math.floor((times.length - 1) * p)]?.toFixed(2));
    table[way] = {
      'commits/s': Math.round(rate(way)),
      'of append, fdatasync': `×${(rate(way) / rate('append, fdatasync')).toFixed(3)}`,
      'p50, ms': percentile(0.5),
      'p99, ms': percentile(0.99),
      'longest, ms': percentile(1),
      ...(way.startsWith('tidemark') && { 'rounds with a new file': compactions }),
    };
  }
  console.log(`\n${processes} process${processes === 1 ? '' : 'es'}, ${sources} source${sources === 1 ? '' : 's'}`);
  console.table(table);
}

/** @param {string} path */
async function inode(path) {
  return stat(path).then(
    ({ ino }) => ino,
    () => 0,
  );
}

/**
 * @param {string} way @param {string} path @param {number} sources @param {number} index @param {number} round
 * @returns {Promise<{ commits: number, ms: number, times: number[] }>}
 */
async function runChild(way, path, sources, index, round) {
  const args = [fileURLToPath(import.meta.url), 'child', way, path, sources, index, round].map(String);
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  for await (const chunk of child.stdout) text += chunk;
  return JSON.parse(text);
}

async function beChild() {
  const [way = '', path = '', sources = '', index = '', round = ''] = process.argv.slice(3);
  const count = Number(sources);
  const commit = await ways[way]?.(path, count, false);
  // Each process has sources of its own.
  let n = Number(round) * 1e6;
  const step = async () => commit?.(++n, nameOf(count === 1 ? Number(index) : (Number(index) + n * 8) % count));
  for (let i = 0; i < 5; i++) await step();
  /** @type {number[]} */
  const times = [];
  const start = performance.now();
  while (performance.now() - start < roundMs) {
    const before = performance.now();
    await step();
    times.push(performance.now() - before);
  }
  const ms = performance.now() - start;
  process.stdout.write(JSON.stringify({ commits: times.length, ms, times }), () => process.exit());
}
