import { InMemoryOffsetStore, Offset, OffsetTracker, resume, type Feed } from 'tidemark';
import { IndexedDBOffsetStore } from 'tidemark/indexeddb';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { turn } from './feeds.ts';

const source = 'orders';
const closing: (() => unknown)[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const close of closing.splice(0).reverse()) await close();
});

let stores = 0;
const storeName = (): string => `exclusive-${Date.now()}-${stores++}`;
const lockOf = (name: string): string => `tidemark-reader/1/${JSON.stringify([`indexeddb:${name}`, source])}`;

/** One tab's reading of a feed of all numbers, at one a turn. */
function reader(name: string, { takeoverAfterMs = 10_000 } = {}) {
  const store = new IndexedDBOffsetStore({ name });
  const tracker = new OffsetTracker(store);
  const processed: number[] = [];
  const openings: number[] = [];
  const stop = new AbortController();
  const feed: Feed<number> = async function* (from, { signal }) {
    let next = from.kind === 'sequence' ? Number(from.value) : 0;
    openings.push(next);
    while (!signal.aborted) {
      await turn();
      yield { offset: Offset.sequence(++next), data: next };
    }
  };
  const loop = async (): Promise<void> => {
    const options = { exclusive: true, takeoverAfterMs, signal: stop.signal };
    for await (const { data } of resume(tracker, source, feed, options)) processed.push(data);
  };
  const ended = loop();
  const close = async (): Promise<void> => {
    stop.abort();
    await ended;
    await tracker.close();
    await store.close();
  };
  closing.push(close);
  return { tracker, processed, openings, close, role: () => tracker.status(source).role };
}

/** Another client of the same origin: an iframe, whose locks go with it. */
async function client() {
  const frame = document.createElement('iframe');
  document.body.append(frame);
  const remove = (): void => frame.remove();
  closing.push(remove);
  const { locks } = frame.contentWindow?.navigator ?? navigator;
  /** Holds a lock without a sign of life, as a frozen tab does. */
  const hold = (name: string, options: LockOptions = {}): Promise<() => void> =>
    new Promise((resolve, reject) => {
      const held = (): Promise<void> => new Promise((release) => resolve(release));
      locks.request(name, options, held).catch(reject);
    });
  return { hold, remove };
}

const pendingFor = async (lock: string): Promise<number> =>
  ((await navigator.locks.query()).pending ?? []).filter(({ name }) => name === lock).length;

describe('an exclusive reading', () => {
  test('is one tab’s at a time; the next goes on where it stopped, with nothing missed or repeated', async () => {
    const name = storeName();
    const first = reader(name);
    await expect.poll(first.role).toBe('reader');
    const second = reader(name);
    await expect.poll(() => pendingFor(lockOf(name))).toBe(1);
    await expect.poll(() => first.processed.length).toBeGreaterThan(10);
    expect([first.role(), second.role(), second.openings]).toEqual(['reader', 'waiting', []]);

    await first.close();
    expect(first.role()).toBeUndefined();
    await expect.poll(() => second.processed.length).toBeGreaterThan(10);
    expect(second.role()).toBe('reader');
    const all = [...first.processed, ...second.processed];
    const distinct = new Set(all);
    expect([...distinct].sort((a, b) => a - b)).toEqual(Array.from(distinct, (_, i) => i + 1));
    // The one that was being processed when the first was stopped may not have been recorded.
    expect(all.length - distinct.size).toBeLessThanOrEqual(1);
  });

  test('is told in a tab that waits from the start: its events and its status follow what is committed', async () => {
    const name = storeName();
    const first = reader(name);
    await expect.poll(first.role).toBe('reader');
    const second = reader(name);
    const heard: Offset[] = [];
    second.tracker.subscribe(({ type, origin, offset }) => {
      if (type === 'committed' && origin === 'remote' && offset) heard.push(offset);
    });
    await expect.poll(() => heard.length).toBeGreaterThan(5);
    expect(second.role()).toBe('waiting');
    expect(second.tracker.status(source).committed).toEqual(heard.at(-1));
    expect(second.openings).toEqual([]);
  });

  test('is taken over at once when the client that reads is gone', async () => {
    const name = storeName();
    const other = await client();
    await other.hold(lockOf(name));
    const { role, processed } = reader(name);
    await expect.poll(() => pendingFor(lockOf(name))).toBe(1);
    expect([role(), processed]).toEqual(['waiting', []]);
    other.remove();
    await expect.poll(role).toBe('reader');
    await expect.poll(() => processed.length).toBeGreaterThan(0);
  });

  test('is taken from a reader that gives no sign of life, and only then', async () => {
    const name = storeName();
    const other = await client();
    const stolen = (async () => {
      await other.hold(lockOf(name));
      const channel = new BroadcastChannel(lockOf(name));
      const alive = setInterval(() => channel.postMessage('reading'), 50);
      closing.push(() => (clearInterval(alive), channel.close()));
      return () => clearInterval(alive);
    })();
    const die = await stolen;
    const { role, processed } = reader(name, { takeoverAfterMs: 1000 });
    await expect.poll(() => pendingFor(lockOf(name))).toBe(1);
    await new Promise((resolve) => void setTimeout(resolve, 1500));
    expect([role(), processed]).toEqual(['waiting', []]);
    const died = performance.now();
    die();
    await expect.poll(role, { timeout: 10_000 }).toBe('reader');
    expect(performance.now() - died).toBeGreaterThan(900);
    await expect.poll(() => processed.length).toBeGreaterThan(0);
  });

  test('is taken over also by a tab out of sight, whose timers come once a second', async () => {
    const name = storeName();
    const other = await client();
    await other.hold(lockOf(name));
    const every = setInterval;
    vi.spyOn(globalThis, 'setInterval').mockImplementation((run, ms) => every(run, Math.max(1000, ms ?? 0)));
    const { role, processed } = reader(name, { takeoverAfterMs: 1000 });
    await expect.poll(() => pendingFor(lockOf(name))).toBe(1);
    await expect.poll(role, { timeout: 20_000 }).toBe('reader');
    await expect.poll(() => processed.length).toBeGreaterThan(0);
  });

  test('stops at once when it is taken away, and waits for its turn again', async () => {
    const name = storeName();
    const first = reader(name);
    await expect.poll(() => first.processed.length).toBeGreaterThan(3);
    const other = await client();
    const release = await other.hold(lockOf(name), { steal: true });
    await expect.poll(first.role).toBe('waiting');
    const stoppedAt = first.processed.length;
    await turn();
    await turn();
    expect(first.processed).toHaveLength(stoppedAt);
    release();
    await expect.poll(first.role).toBe('reader');
    await expect.poll(() => first.processed.length).toBeGreaterThan(stoppedAt + 3);
    expect(first.openings).toHaveLength(2);
  });

  // What was in the loop's hands is not recorded, and comes again: somebody else may have processed it by now.
  test.each([
    { what: 'one that has not begun to read', fenced: false },
    { what: 'one that reads', fenced: true },
  ])('that slept through a takeover by $what processes nothing before it has been told', async ({ fenced }) => {
    const name = storeName();
    const store = new IndexedDBOffsetStore({ name });
    const tracker = new OffsetTracker(store);
    const opened: number[] = [];
    const feed: Feed<number> = async function* (from) {
      opened.push(from.kind === 'sequence' ? Number(from.value) : 0);
      for (let next = (opened.at(-1) ?? 0) + 1; ; next++) yield { offset: Offset.sequence(next), data: next };
    };
    // As after a thaw: the clock has gone on, and the theft is not heard of yet.
    const request = navigator.locks.request.bind(navigator.locks) as (...args: unknown[]) => Promise<unknown>;
    let tell = (): void => {};
    const told = new Promise<void>((resolve) => (tell = resolve));
    vi.spyOn(navigator.locks, 'request').mockImplementation(async (...args: unknown[]) => {
      try {
        return await request(...args);
      } catch (error) {
        await told;
        throw error;
      }
    });
    const events = resume(tracker, source, feed, { exclusive: true });
    await events.next();
    await events.next();
    await expect.poll(() => tracker.status(source).committed).toEqual(Offset.sequence(1));
    const other = await client();
    const release = await other.hold(lockOf(name), { steal: true });
    if (fenced) {
      const theirs = new IndexedDBOffsetStore({ name });
      await new OffsetTracker(theirs).read(source, { fence: true });
      await theirs.close();
    }
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => now() + 11_000);
    const next = events.next();
    await expect.poll(() => tracker.status(source).role).toBe('waiting');
    expect(tracker.status(source).recorded).toEqual(Offset.sequence(1));
    expect(opened).toEqual([0]);
    tell();
    release();
    expect((await next).value?.data).toBe(2);
    expect(opened).toEqual([0, 1]);
    await events.return();
    await store.close();
  });

  test('that slept while nobody wanted its place goes on', async () => {
    const name = storeName();
    const first = reader(name);
    await expect.poll(() => first.processed.length).toBeGreaterThan(3);
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => now() + 11_000);
    const before = first.processed.length;
    await expect.poll(() => first.processed.length).toBeGreaterThan(before + 3);
    expect(first.openings).toHaveLength(1);
    expect(first.processed).toEqual(first.processed.map((_, i) => i + 1));
  });

  test('gives its place up while its page is away, and queues again when it is back', async () => {
    const name = storeName();
    const first = reader(name);
    await expect.poll(() => first.processed.length).toBeGreaterThan(3);
    dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }));
    await expect
      .poll(async () =>
        ((await navigator.locks.query()).held ?? []).some(({ name: held }) => held?.startsWith(lockOf(name))),
      )
      .toBe(false);
    expect(first.role()).toBe('waiting');
    const other = await client();
    const release = await other.hold(lockOf(name));
    dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));
    await expect.poll(() => pendingFor(lockOf(name))).toBe(1);
    release();
    await expect.poll(first.role).toBe('reader');
  });

  test('cannot be had without a store that tabs share, or without Web Locks', async () => {
    const events = resume(new OffsetTracker(new InMemoryOffsetStore()), source, async function* () {}, {
      exclusive: true,
    });
    await expect(events.next()).rejects.toMatchObject({ code: 'unsupported', source });
    vi.spyOn(navigator, 'locks', 'get').mockReturnValue(undefined as unknown as LockManager);
    const store = new IndexedDBOffsetStore({ name: storeName() });
    const more = resume(new OffsetTracker(store), source, async function* () {}, { exclusive: true });
    await expect(more.next()).rejects.toThrow('"orders" cannot be read exclusively without Web Locks');
    await store.close();
  });
});
