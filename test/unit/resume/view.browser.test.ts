import { openDB } from 'idb';
import { type Feed, Offset, OffsetTracker, resume } from 'tidemark';
import { IndexedDBOffsetStore, createOffsetStore } from 'tidemark/indexeddb';
import { afterEach, describe, expect, test } from 'vitest';

const source = 'orders';
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

let stores = 0;
const storeName = (): string => `view-${Date.now()}-${stores++}`;
const upTo = (n: number, from = 1): number[] => Array.from({ length: n - from + 1 }, (_, i) => from + i);

/** A log that grows, and feeds of it; offsets are sequences, or text without an order. */
function log({ opaque = false } = {}) {
  let head = 0;
  let open = 0;
  const wakes = new Set<() => void>();
  const made = { most: 0, openings: 0 };
  const offsetOf = (n: number): Offset => (opaque ? Offset.custom(`c${n * 7919}`) : Offset.sequence(n));
  const feed: Feed<number> = async function* (from, { signal, opened }) {
    made.most = Math.max(made.most, ++open);
    made.openings++;
    try {
      let next =
        from.kind === 'sequence' ? Number(from.value) : from.kind === 'custom' ? Number(from.value.slice(1)) / 7919 : 0;
      opened();
      while (!signal.aborted) {
        if (next < head) {
          next++;
          yield { offset: offsetOf(next), data: next };
          continue;
        }
        await new Promise<void>((resolve) => {
          wakes.add(resolve);
          signal.addEventListener('abort', () => resolve());
        });
      }
    } finally {
      open--;
    }
  };
  const grow = (by: number): number => {
    head += by;
    const woken = [...wakes];
    wakes.clear();
    for (const wake of woken) wake();
    return head;
  };
  return { feed, grow, made, open: () => open, offsetOf };
}

interface TabOptions {
  readonly handler?: (event: { readonly data: number }, context: { readonly signal: AbortSignal }) => unknown;
  readonly view?: (n: number) => unknown;
  readonly viewFrom?: Offset;
}

/** One tab that shows a log. */
function tab(name: string, feed: Feed<number>, { handler, view, viewFrom }: TabOptions = {}) {
  const store = new IndexedDBOffsetStore({ name });
  const tracker = new OffsetTracker(store);
  const seen: number[] = [];
  const origins = new Set<string>();
  const states: string[] = [];
  const warnings: string[] = [];
  const stop = new AbortController();
  tracker.subscribe(({ type, code }) => type === 'warning' && warnings.push(String(code)));
  const ended = resume(tracker, source, feed, {
    exclusive: true,
    signal: stop.signal,
    minDelayMs: 10,
    viewFrom,
    onState: (state) => void states.push(state),
    view: ({ data }, { origin }) => {
      seen.push(data);
      origins.add(origin);
      return view?.(data);
    },
    ...(handler && { handler }),
  });
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closed ??= (async () => {
      stop.abort();
      await ended.catch(() => {});
      await tracker.close();
      await store.close();
    })());
  closing.push(close);
  return { tracker, seen, origins, states, warnings, ended, close, role: () => tracker.status(source).role };
}

describe.each([{ opaque: false }, { opaque: true }])(
  'all tabs show one source (opaque offsets: $opaque)',
  ({ opaque }) => {
    test('each event once, in order, over one connection', async () => {
      const { feed, grow, made, offsetOf } = log({ opaque });
      const name = storeName();
      const first = tab(name, feed);
      await expect.poll(first.role).toBe('reader');
      const others = [tab(name, feed), tab(name, feed), tab(name, feed)];
      for (const { role } of others) await expect.poll(role).toBe('waiting');
      const head = grow(500);
      for (const { seen } of [first, ...others]) await expect.poll(() => seen.length).toBe(head);
      for (const { seen } of [first, ...others]) expect(seen).toEqual(upTo(head));
      expect(made).toEqual({ most: 1, openings: 1 });
      expect([[...first.origins], ...others.map(({ origins }) => [...origins])]).toEqual([
        ['local'],
        ['remote'],
        ['remote'],
        ['remote'],
      ]);
      await expect.poll(() => others.map(({ states }) => states.at(-1))).toEqual(['open', 'open', 'open']);
      await expect.poll(() => first.tracker.getOffset(source)).toEqual(offsetOf(head));
    });

    test('without a repeat when another tab takes over, though its handler processes some again', async () => {
      const { feed, grow, open } = log({ opaque });
      const name = storeName();
      const processed: number[] = [];
      // The first never finishes its fifth event.
      const first = tab(name, feed, {
        handler: ({ data }, { signal }) => {
          processed.push(data);
          if (data === 5) return new Promise((_, reject) => signal.addEventListener('abort', reject));
        },
      });
      await expect.poll(first.role).toBe('reader');
      const second = tab(name, feed, { handler: ({ data }) => processed.push(data) });
      const third = tab(name, feed, { handler: ({ data }) => processed.push(data) });
      await expect.poll(() => [second.role(), third.role()]).toEqual(['waiting', 'waiting']);
      grow(20);
      await expect.poll(() => third.seen).toEqual(upTo(5));
      void first.close();
      await expect.poll(() => [second.role(), third.role()]).toContain('reader');
      const head = grow(20);
      for (const { seen } of [second, third]) await expect.poll(() => seen.length).toBe(head);
      expect([second.seen, third.seen]).toEqual([upTo(head), upTo(head)]);
      expect(processed.filter((n) => n === 5)).toHaveLength(2);
      await expect.poll(open).toBeLessThanOrEqual(1);
    }, 60_000);

    test('a tab that opens late begins where the source stands, and misses nothing after it', async () => {
      const { feed, grow, made } = log({ opaque });
      const name = storeName();
      const first = tab(name, feed);
      const before = grow(30);
      await expect.poll(() => first.seen.length).toBe(before);
      await expect.poll(() => first.tracker.status(source).pending).toBeUndefined();
      const late = tab(name, feed);
      await expect.poll(late.role).toBe('waiting');
      const head = grow(30);
      await expect.poll(() => late.seen.at(-1)).toBe(head);
      expect(late.seen).toEqual(upTo(head, before + 1));
      expect(made.most).toBe(1);
    });

    test('a tab that shows a list already is shown what follows its last event', async () => {
      const { feed, grow, made, offsetOf } = log({ opaque });
      const name = storeName();
      const first = tab(name, feed);
      const before = grow(30);
      await expect.poll(() => first.seen.length).toBe(before);
      const listed = 12;
      const late = tab(name, feed, { viewFrom: offsetOf(listed) });
      const head = grow(30);
      for (const { seen } of [first, late]) await expect.poll(() => seen.at(-1)).toBe(head);
      expect([first.seen, late.seen]).toEqual([upTo(head), upTo(head, listed + 1)]);
      expect(made.most).toBe(1);
    });

    test('a tab whose list is ahead of what is stored is shown no event again', async () => {
      const { feed, grow, offsetOf } = log({ opaque });
      const listed = grow(20);
      const processed: number[] = [];
      const only = tab(storeName(), feed, {
        viewFrom: offsetOf(listed),
        handler: ({ data }) => void processed.push(data),
      });
      await expect.poll(() => processed).toEqual(upTo(listed));
      const head = grow(10);
      await expect.poll(() => only.seen.at(-1)).toBe(head);
      expect(only.seen).toEqual(upTo(head, listed + 1));
    });

    test('each event once in every tab, while its effect and its offset are one transaction in the tab that reads', async () => {
      const { feed, grow, made } = log({ opaque });
      const name = storeName();
      const db = await openDB(name, 1, {
        upgrade(upgraded) {
          upgraded.createObjectStore('totals');
          createOffsetStore(upgraded);
        },
      });
      closing.push(() => db.close());
      const total = async (): Promise<unknown> => db.get('totals', 'sum');
      const transacting = () => {
        const tracker = new OffsetTracker(new IndexedDBOffsetStore({ db, name }));
        const stop = new AbortController();
        const seen: number[] = [];
        const ended = resume(tracker, source, feed, {
          exclusive: true,
          signal: stop.signal,
          transact: ['totals'],
          batch: { size: 7, intervalMs: 1 },
          handler: async (events, { tx }) => {
            const totals = tx.objectStore('totals');
            const sum = Number((await totals.get('sum')) ?? 0);
            await totals.put(
              events.reduce((all, { data }) => all + data, sum),
              'sum',
            );
          },
          view: ({ data }) => void seen.push(data),
        });
        const close = async (): Promise<void> => {
          stop.abort();
          await ended;
          await tracker.close();
        };
        closing.push(close);
        return { seen, close, role: () => tracker.status(source).role };
      };
      const first = transacting();
      await expect.poll(first.role).toBe('reader');
      const second = transacting();
      await expect.poll(second.role).toBe('waiting');
      const before = grow(50);
      for (const { seen } of [first, second]) await expect.poll(() => seen.length).toBe(before);
      await first.close();
      await expect.poll(second.role).toBe('reader');
      const head = grow(50);
      await expect.poll(() => second.seen.length).toBe(head);
      expect([first.seen, second.seen]).toEqual([upTo(before), upTo(head)]);
      await expect.poll(total).toBe((head * (head + 1)) / 2);
      expect(made.most).toBe(1);
    });
  },
);

describe('a source that all tabs show', () => {
  test('goes on where a reset says, in every tab', async () => {
    const { feed, grow } = log();
    const name = storeName();
    const first = tab(name, feed);
    await expect.poll(first.role).toBe('reader');
    const second = tab(name, feed);
    await expect.poll(() => second.states).toContain('open');
    grow(20);
    for (const { seen } of [first, second]) await expect.poll(() => seen).toEqual(upTo(20));
    await second.tracker.reset(source, Offset.sequence(10));
    // The reader hears of it a moment later.
    for (const { seen } of [first, second]) await expect.poll(() => seen).toEqual([...upTo(20), ...upTo(20, 11)]);
    const head = grow(5);
    for (const { seen } of [first, second]) {
      await expect.poll(() => seen.at(-1)).toBe(head);
      expect(seen).toEqual([...upTo(20), ...upTo(head, 11)]);
    }
  });

  test('is known in every tab to be caught up with, as the tab that reads hears it', async () => {
    const { feed, grow, offsetOf } = log();
    const telling: Feed<number> = async function* (from, context) {
      for await (const item of feed(from, context)) {
        const upToDate = 'data' in item && item.data === 20;
        yield { ...item, ...(upToDate && { upToDate }) };
        if (upToDate) yield { heartbeat: true, head: offsetOf(20), upToDate };
      }
    };
    const name = storeName();
    const first = tab(name, telling);
    await expect.poll(first.role).toBe('reader');
    const second = tab(name, telling);
    await expect.poll(second.role).toBe('waiting');
    grow(20);
    await second.tracker.caughtUp(source);
    for (const { tracker } of [first, second]) {
      await expect.poll(() => tracker.status(source)).toMatchObject({ head: offsetOf(20), lag: 0, caughtUp: true });
    }
    expect(second.seen).toEqual(upTo(20));
  });

  test('is read by each tab itself where an event cannot be cloned, and the application is told', async () => {
    const { feed, grow, open, made } = log();
    const odd: Feed<number> = async function* (from, context) {
      for await (const item of feed(from, context))
        yield { ...item, ...('data' in item && item.data === 5 && { act: () => {} }) };
    };
    const name = storeName();
    const first = tab(name, odd);
    await expect.poll(first.role).toBe('reader');
    const second = tab(name, odd);
    await expect.poll(() => second.states).toContain('open');
    const head = grow(10);
    for (const { seen } of [first, second]) {
      await expect.poll(() => seen.length).toBe(head);
      expect(seen).toEqual(upTo(head));
    }
    expect(first.warnings).toEqual(['not-cloneable']);
    expect(made.most).toBe(2);
    await expect.poll(open).toBe(1);
  });

  test('is shown as ever while another script of the origin posts noise', async () => {
    const { feed, grow, open } = log();
    const name = storeName();
    const tabs = [tab(name, feed), tab(name, feed)];
    const noise = new BroadcastChannel(`tidemark-view/1/${JSON.stringify([`indexeddb:${name}`, source])}`);
    closing.push(() => noise.close());
    const place = { offset: Offset.sequence(1), index: 0 };
    const far = { offset: Offset.sequence(10n ** 15n), index: 0 };
    const life = { epoch: 1e300, reset: 0, start: Offset.earliest };
    for (const { states } of tabs) await expect.poll(() => states.length).toBeGreaterThan(0);
    for (let n = 1; n <= 200; n++) {
      for (const message of [
        n,
        'item',
        null,
        { type: 'item', ...life, place },
        { type: 'item', ...life, after: far, place: far, event: { data: -1 } },
        { type: 'item', ...life, reset: 1e200, after: far, place: far, event: { data: -1 } },
        { type: 'ask', id: String(n), after: far },
        { type: 'answer', id: String(n), ...life, items: [], at: far },
        { type: 'state', state: '<b>', attempt: 0 },
      ])
        noise.postMessage(message);
      grow(1);
    }
    for (const { seen } of tabs) {
      await expect.poll(() => seen.length).toBe(200);
      expect(seen).toEqual(upTo(200));
    }
    const head = grow(1);
    for (const { seen } of tabs) await expect.poll(() => seen.at(-1)).toBe(head);
    await expect.poll(open).toBe(1);
  });

  test('ends a tab with what its view throws, and goes on in the others', async () => {
    const { feed, grow } = log();
    const name = storeName();
    const first = tab(name, feed, {
      view: (n) => {
        if (n === 3) throw new Error('no room');
      },
    });
    await expect.poll(first.role).toBe('reader');
    const second = tab(name, feed);
    await expect.poll(() => second.states).toContain('open');
    const head = grow(10);
    await expect(first.ended).rejects.toThrow('no room');
    await expect.poll(() => second.seen.length).toBe(head);
    expect(second.seen).toEqual(upTo(head));
    await expect.poll(() => second.tracker.getOffset(source)).toEqual(Offset.sequence(head));
  });

  test('is not viewed from what is no offset', async () => {
    const { ended } = tab(storeName(), log().feed, { viewFrom: 42 as unknown as Offset });
    await expect(ended).rejects.toThrow('42 for "orders" is no offset: make one with Offset');
  });

  test('cannot be viewed without one tab that reads for all', async () => {
    const store = new IndexedDBOffsetStore({ name: storeName() });
    const run = resume(new OffsetTracker(store), source, log().feed, { exclusive: false as true, view: () => {} });
    await expect(run).rejects.toThrow('"orders" cannot be viewed without `exclusive: true`');
    await store.close();
  });
});
