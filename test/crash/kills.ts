import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { rolldown } from 'rolldown';

/** Among the packages, so that the bundle finds them. */
const folder = resolve(import.meta.dirname, '../../node_modules/.tidemark-crash');
const script = join(folder, 'consumer.mjs');

/** Makes of the consumer what this version of Node can run. */
export async function buildConsumer(): Promise<void> {
  await mkdir(folder, { recursive: true });
  const bundle = await rolldown({
    input: resolve(import.meta.dirname, 'consumer.ts'),
    platform: 'node',
    external: [/^[^./]/],
  });
  await bundle.write({ file: script, codeSplitting: false });
  await bundle.close();
}

interface Consumer {
  readonly process: ChildProcess;
  /** Resolves once it has applied an event; rejects where it ends before. */
  applied(): Promise<void>;
  readonly ended: Promise<void>;
}

function start(engine: string, place: string, last?: number): Consumer {
  const args = [script, engine, place, ...(last === undefined ? [] : [String(last)])];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = endOf(child);
  ended.catch(() => {}); // It is awaited in the end.
  const early = ended.then(() => Promise.reject(new Error('the consumer ended before it had applied an event')));
  early.catch(() => {});
  return { process: child, ended, applied: async () => void (await Promise.race([once(child.stdout, 'data'), early])) };
}

async function endOf(child: ChildProcess): Promise<void> {
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  if (code !== 0 && signal !== 'SIGKILL') throw new Error(`the consumer ended with ${code ?? signal}`);
}

/**
 * Two consumers race through a feed and are killed in turn, each at a random moment after it has applied something.
 * @param killServer kills what they talk to and starts it again: done instead at every second pair of kills
 */
export async function killConsumers(
  engine: string,
  place: string,
  kills: number,
  killServer?: () => Promise<void>,
): Promise<void> {
  const consumers = [start(engine, place), start(engine, place)];
  try {
    for (let kill = 0; kill < kills; kill++) {
      const i = kill % 2;
      const victim = consumers[i] ?? start(engine, place);
      await victim.applied();
      await delay(Math.random() * 15);
      if (killServer && kill % 4 > 1) {
        await killServer();
        continue;
      }
      victim.process.kill('SIGKILL');
      await victim.ended;
      consumers[i] = start(engine, place);
    }
    await Promise.all(consumers.map((consumer) => consumer.applied()));
  } finally {
    for (const consumer of consumers) consumer.process.kill('SIGKILL');
    await Promise.all(consumers.map((consumer) => consumer.ended));
  }
}

/** Lets one consumer go on to an event, and ends. */
export async function consumeUpTo(engine: string, place: string, last: number): Promise<void> {
  const consumer = start(engine, place, last);
  consumer.process.stdout?.resume();
  await consumer.ended;
}

/** What became of the events from 1 to the last. */
export interface Tally {
  readonly sum: number;
  readonly skipped: number;
  readonly doubled: number;
}

export function tally(total: number, done: readonly number[], last: number): Tally {
  const times = new Map<number, number>();
  for (const n of done) times.set(n, (times.get(n) ?? 0) + 1);
  const all = Array.from({ length: last }, (_, i) => i + 1);
  return {
    sum: total,
    skipped: all.filter((n) => !times.has(n)).length,
    doubled: [...times.values()].filter((count) => count > 1).length,
  };
}
