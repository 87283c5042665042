import { Buffer } from 'node:buffer';
import type { BigIntStats } from 'node:fs';
import { type Checkpoint, Offset } from '../../src/index.ts';
import { join } from '../../src/checkpoint.ts';
import { formatBegin, formatCheckpoint, formatHeader, formatWrite } from '../../src/stores/file/journal.ts';
import { type Log, type OpenFile, readLog } from '../../src/stores/file/log.ts';
import { failureOf, fuzz } from './fuzz.ts';
import { type Random, joined } from './random.ts';

interface Journal {
  readonly bytes: Uint8Array;
  /** What stands for each source after each write, and where that write ends. */
  readonly states: readonly { readonly end: number; readonly stands: ReadonlyMap<string, Checkpoint> }[];
}

function idOf(random: Random): string {
  return String(random.below(1e12)).padStart(12, '0');
}

/** A journal as processes write it. */
function journalOf(random: Random): Journal {
  let bytes: Uint8Array = Buffer.from(formatHeader(idOf(random)));
  let stands = new Map<string, Checkpoint>();
  const states = [{ end: bytes.length, stands }];
  const sources = [random.source(), random.source(), random.source()];
  for (let writes = 1 + random.below(4); writes > 0; writes--) {
    stands = new Map(stands);
    const lines: string[] = [];
    for (let count = 1 + random.below(2); count > 0; count--) {
      const source = random.pick(sources);
      const checkpoint = random.checkpoint();
      const epoch = Math.floor((stands.get(source)?.epoch ?? 0) / 2) + 2 ** 52;
      const begins = random.chance(0.2);
      const next = begins ? { ...checkpoint, epoch } : checkpoint;
      lines.push((begins ? formatBegin('begin', idOf(random), source, next) : formatCheckpoint(source, next)).text);
      stands.set(source, begins ? next : join(stands.get(source), next, source));
    }
    bytes = joined(bytes, formatWrite(lines));
    states.push({ end: bytes.length, stands });
  }
  return { bytes, states };
}

/** A file of these bytes. */
function fileOf(bytes: Uint8Array): OpenFile {
  const file = {
    read: async (into: Uint8Array, offset: number, length: number, position: number) => {
      const piece = bytes.subarray(position, position + length);
      into.set(piece, offset);
      return { bytesRead: piece.length };
    },
  };
  const stats = { size: BigInt(bytes.length), mtimeNs: 0n, ctimeNs: 0n, dev: 1n, ino: 1n };
  return { file: file as never, stats: stats as BigIntStats, access: 'read', at: 0 };
}

const terms = { where: 'a file', compare: undefined };

/** What is found of each source; undefined where the file as a whole cannot be read. */
async function readAll(bytes: Uint8Array): Promise<Log | undefined> {
  let log: Log | undefined;
  const error = await failureOf(async () => (log = await readLog(fileOf(bytes), undefined, terms)));
  if (error && error.code !== 'serialization') throw error;
  return log;
}

async function standsIn(log: Log, source: string): Promise<Checkpoint | undefined | 'unreadable'> {
  let found: Checkpoint | undefined;
  const error = await failureOf(() => (found = log.contents.get(source)));
  if (error && error.code !== 'serialization') throw error;
  return error ? 'unreadable' : found;
}

function isSame(a: Checkpoint | undefined, b: Checkpoint | undefined): boolean {
  return Offset.equals(a?.offset, b?.offset) && a?.epoch === b?.epoch && a?.rank === b?.rank;
}

fuzz(
  'a journal that is cut off says what its whole lines say',
  async (random) => {
    const { bytes, states } = journalOf(random);
    const cut = (states[0]?.end ?? 0) + random.below(bytes.length - (states[0]?.end ?? 0) + 1);
    const log = await readAll(bytes.subarray(0, cut));
    if (!log) throw new Error('a cut is taken for damage');
    const whole = states.filter(({ end }) => end <= cut).length;
    for (const [source, stands] of states[whole - 1]?.stands ?? []) {
      const found = await standsIn(log, source);
      if (found === 'unreadable' || !found) throw new Error(`${source} is ${found ?? 'gone'}`);
      if (join(stands, found, source) !== found && !isSame(stands, found)) throw new Error(`${source} went back`);
    }
  },
  { share: 0.5 },
);

fuzz('a journal in which one bit is flipped says the same, or that it is damaged', async (random) => {
  const { bytes, states } = journalOf(random);
  const flipped = Uint8Array.from(bytes);
  const at = random.below(bytes.length);
  flipped[at] = (flipped[at] ?? 0) ^ (1 << random.below(8));
  const log = await readAll(flipped);
  if (!log) return;
  for (const [source, stands] of states.at(-1)?.stands ?? []) {
    const found = await standsIn(log, source);
    if (found !== 'unreadable' && !isSame(found, stands))
      throw new Error(`${JSON.stringify(source)} at byte ${at} of ${bytes.length}`);
  }
});

fuzz('a file of any bytes is read, or is said to be damaged, and what was added is read on', async (random) => {
  const { bytes } = journalOf(random);
  const damaged = random.chance(0.9) ? random.damagedBytes(bytes) : random.bytes(200);
  const log = await readAll(damaged);
  if (!log) return;
  for (const source of log.contents.sources()) await standsIn(log, source);
  const line = formatCheckpoint('new', random.checkpoint()).text;
  const added = fileOf(joined(damaged, formatWrite([line])));
  const error = await failureOf(() => readLog(added, log, terms));
  if (error && error.code !== 'serialization') throw error;
});
