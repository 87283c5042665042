import type { CompareCustom } from '../checkpoint.ts';
import type { Feed, FeedEvent, FeedItem } from '../feeds/feed.ts';
import { FeedError } from '../feeds/feed-error.ts';
import { isFailure, isHeartbeat } from '../feeds/feed.ts';
import type { Item, Place } from '../tabs/relay.ts';
import { backoffOf } from './backoff.ts';
import { Breather } from './breather.ts';
import { Connection } from './connection.ts';
import { mayPass } from './failures.ts';
import { Filter } from './filter.ts';
import { Liveness } from './liveness.ts';
import type { ReaderOptions } from './options.ts';
import { Placer } from './place.ts';
import { sleep } from './sleep.ts';

/** How long a tab may keep the others from reading what they miss, in ms: one that is frozen would for ever. */
const patienceMs = 10_000;

interface CatchUp<E extends FeedEvent<unknown>> {
  readonly feed: Feed<unknown, E>;
  readonly source: string;
  readonly compare: CompareCustom | undefined;
  readonly options: ReaderOptions<E>;
  /** The lock that the tabs take in turn, so that there is one such connection at a time. */
  readonly lock: string;
  warn(code: string, message: string): void;
}

/**
 * Reads what follows a place, with a connection of its own, until the signal is aborted or the feed has ended.
 * @throws what the feed fails with where another try is of no use
 */
export async function catchUp<E extends FeedEvent<unknown>>(
  how: CatchUp<E>,
  from: Place,
  signal: AbortSignal,
  take: (item: Item) => Promise<void> | undefined,
): Promise<void> {
  const release = await takeLock(how.lock, signal);
  try {
    if (!signal.aborted) await readOn(how, from, signal, take);
  } finally {
    release();
  }
}

async function readOn<E extends FeedEvent<unknown>>(
  { feed, source, compare, options, warn }: CatchUp<E>,
  from: Place,
  signal: AbortSignal,
  take: (item: Item) => Promise<void> | undefined,
): Promise<void> {
  const backoff = backoffOf(options);
  const aborted = new Promise<undefined>((resolve) =>
    signal.addEventListener('abort', () => resolve(undefined), { once: true }),
  );
  const connection = new Connection(feed, source, {
    liveness: new Liveness(options),
    stands: () => backoff.opened(),
    about: () => filter.asked(),
    reopenAfter: (ms) => (backoff.floorMs = ms),
    warn,
    until: (promise) => Promise.race([promise, aborted]),
  });
  signal.addEventListener('abort', () => connection.abort(), { once: true });
  const breather = new Breather();
  const filter = new Filter(from.offset, source, compare, warn);
  const placer = new Placer(from.offset);
  for (let ended = false; !ended && !signal.aborted;) {
    let retryAfterMs: number | undefined;
    try {
      connection.prepare();
      filter.opened();
      placer.reopened();
      connection.open(filter.place);
      ended = await readToEnd();
    } catch (error) {
      if (!mayPass(error, backoff, options)) throw error;
      retryAfterMs = error instanceof FeedError ? error.retryAfterMs : undefined;
    } finally {
      await connection.close();
    }
    if (!ended) await sleep(backoff.next(retryAfterMs), signal);
  }

  /** @returns whether the feed has ended for good */
  async function readToEnd(): Promise<boolean> {
    for (;;) {
      await breather.breathe();
      const item = await connection.pull();
      if (typeof item !== 'object') return item === 'end';
      backoff.alive();
      if (filter.takes(item)) await take({ ...placer.next(item.offset), event: eventOf(item) });
    }
  }
}

/** What of an item can be shown. */
export function eventOf<E extends FeedEvent<unknown>>(item: FeedItem<unknown, E>): E | undefined {
  return isHeartbeat(item) || isFailure<E>(item) ? undefined : item;
}

/** @returns a function that lets the lock go */
async function takeLock(name: string, signal: AbortSignal): Promise<() => void> {
  const { locks } = globalThis.navigator ?? {};
  if (!locks) return () => {};
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(), patienceMs);
  const abort = (): void => giveUp.abort();
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await new Promise<() => void>((resolve, reject) => {
      const hold = (): Promise<void> => new Promise((release) => resolve(release));
      locks.request(name, { signal: giveUp.signal }, hold).catch(reject);
    });
  } catch {
    return () => {};
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}
