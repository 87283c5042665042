import { createElement, type FunctionComponent, StrictMode, useSyncExternalStore, version } from 'react';
import { flushSync } from 'react-dom';
import { createRoot, type Root } from 'react-dom/client';
import { type Feed, InMemoryOffsetStore, Offset, OffsetTracker, type SourceStatus } from 'tidemark';
import { IndexedDBOffsetStore } from 'tidemark/indexeddb';
import { type FeedView, useFeed, type UseFeedOptions, useOffset } from 'tidemark/react';
import { afterEach, expect, test } from 'vitest';
import { turn } from '../resume/feeds.ts';
import { counting, upTo } from './feeds.ts';

const roots: Root[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) root.unmount();
});

function newRoot(): Root {
  const root = createRoot(document.body.appendChild(document.createElement('div')));
  roots.push(root);
  return root;
}

/** Renders at once, with all effects, under StrictMode. */
function render<P extends object>(root: Root, component: FunctionComponent<P>, props: P & { key?: string }): void {
  flushSync(() => root.render(createElement(StrictMode, null, createElement(component, props))));
}

const newTracker = (): OffsetTracker => new OffsetTracker(new InMemoryOffsetStore());

interface ReadProps {
  readonly tracker: OffsetTracker;
  readonly source?: string;
  readonly feed: Feed<number>;
  readonly options: UseFeedOptions<{ readonly data: number }>;
  readonly onView?: (view: FeedView) => void;
}

function Read({ tracker, source = 'orders', feed, options, onView }: ReadProps) {
  const view = useFeed(tracker, source, feed, options);
  onView?.(view);
  return createElement('p', null, view.state);
}

test('this is the React that the project says', () => {
  expect(version).toMatch(new RegExp(`^${import.meta.env.VITE_REACT ?? 19}\\.`));
});

test('under StrictMode, which mounts twice, each event is processed once', async () => {
  const seen: number[] = [];
  const { feed } = counting(100);
  render(newRoot(), Read, { tracker: newTracker(), feed, options: { handler: ({ data }) => seen.push(data) } });
  await expect.poll(() => seen.length).toBeGreaterThanOrEqual(100);
  expect(seen).toEqual(upTo(100));
});

test('a component that is mounted 50 times in a row processes each event once', async () => {
  const seen: number[] = [];
  const { feed } = counting(300);
  const tracker = newTracker();
  const root = newRoot();
  const handler = async ({ data }: { readonly data: number }): Promise<void> => {
    seen.push(data);
    await turn();
  };
  for (let mount = 1; mount <= 50; mount++) {
    render(root, Read, { key: `${mount}`, tracker, feed, options: { handler } });
    // Some mounts have events under way when they end, others have not even begun.
    for (let wait = mount % 5; wait > 0; wait--) await turn();
  }
  await expect.poll(() => seen.length).toBeGreaterThanOrEqual(300);
  expect(seen).toEqual(upTo(300));
});

test('a source that changes to and fro repeats nothing of either', async () => {
  const seen: Record<string, number[]> = { orders: [], prices: [] };
  const { feed } = counting(100);
  const tracker = newTracker();
  const root = newRoot();
  const show = (source: 'orders' | 'prices'): void => {
    const handler = async ({ data }: { readonly data: number }): Promise<void> => {
      seen[source]?.push(data);
      await turn();
    };
    render(root, Read, { tracker, source, feed, options: { handler, key: source } });
  };
  for (let change = 0; change < 40; change++) {
    show(change % 2 === 0 ? 'orders' : 'prices');
    for (let wait = change % 4; wait > 0; wait--) await turn();
  }
  await expect.poll(() => seen.prices?.length).toBeGreaterThanOrEqual(100);
  show('orders');
  await expect.poll(() => seen.orders?.length).toBeGreaterThanOrEqual(100);
  expect(seen).toEqual({ orders: upTo(100), prices: upTo(100) });
});

test('a feed and a handler that each render makes anew do not open the feed again, and the newest handler is called', async () => {
  const { feed, opened } = counting(Infinity);
  const tracker = newTracker();
  const root = newRoot();
  const calls: string[] = [];
  const show = (name: string): void =>
    render(root, Read, { tracker, feed: (...args) => feed(...args), options: { handler: () => calls.push(name) } });
  show('first');
  await expect.poll(() => calls.length).toBeGreaterThan(0);
  const before = opened();
  for (let i = 0; i < 20; i++) show(`render ${i}`);
  const from = calls.length;
  await expect.poll(() => calls.length).toBeGreaterThan(from + 5);
  expect(opened()).toBe(before);
  expect(new Set(calls.slice(from))).toEqual(new Set(['render 19']));
});

test('another key opens the feed again, after the last event', async () => {
  const { feed, opened } = counting(20);
  const tracker = newTracker();
  const root = newRoot();
  const seen: number[] = [];
  const show = (key: number): void =>
    render(root, Read, { tracker, feed, options: { key, handler: ({ data }) => seen.push(data) } });
  show(1);
  await expect.poll(() => seen.length).toBe(20);
  const before = opened();
  show(2);
  await expect.poll(opened).toBe(before + 1);
  expect(seen).toEqual(upTo(20));
});

test('a handler that throws ends the reading with `error`, the component stays, and `resume` reads on with that event', async () => {
  const { feed } = counting(10);
  const seen: number[] = [];
  let view: FeedView | undefined;
  let broken = true;
  const handler = ({ data }: { readonly data: number }): void => {
    if (broken && data === 5) throw new Error('the printer is out of paper');
    seen.push(data);
  };
  render(newRoot(), Read, { tracker: newTracker(), feed, options: { handler }, onView: (next) => (view = next) });
  await expect.poll(() => view?.state).toBe('closed');
  expect(view?.error).toMatchObject({ message: 'the printer is out of paper', offset: Offset.sequence(5) });
  await expect.poll(() => document.body.textContent).toContain('closed');
  broken = false;
  view?.resume();
  await expect.poll(() => seen.length).toBe(10);
  expect(seen).toEqual(upTo(10));
  await expect.poll(() => view?.state).toBe('open');
  expect(view?.error).toBe(undefined);
});

test('an `onFailed` that only a later render gives decides about failures, too', async () => {
  const { feed } = counting(10);
  const tracker = newTracker();
  const root = newRoot();
  const seen: number[] = [];
  let goOn: (() => void) | undefined;
  const handler = async ({ data }: { readonly data: number }): Promise<void> => {
    if (data === 3) await new Promise<void>((resolve) => (goOn = resolve));
    if (data === 3) throw new Error('broken');
    seen.push(data);
  };
  render(root, Read, { tracker, feed, options: { handler } });
  await expect.poll(() => goOn).toBeDefined();
  render(root, Read, { tracker, feed, options: { handler, onFailed: () => 'skip' } });
  goOn?.();
  await expect.poll(() => seen.at(-1)).toBe(10);
  expect(seen).toEqual(upTo(10).filter((n) => n !== 3));
});

test('what cannot be read at all is an `error` too', async () => {
  let view: FeedView | undefined;
  const options = { handler: () => {}, concurrency: 0 };
  const { feed } = counting(1);
  render(newRoot(), Read, { tracker: newTracker(), feed, options, onView: (next) => (view = next) });
  await expect.poll(() => view?.error).toBeInstanceOf(TypeError);
  expect(view?.state).toBe('closed');
});

test('`pause` stops the events, and `resume` goes on after the last', async () => {
  const { feed, opened } = counting(Infinity);
  const seen: number[] = [];
  let view: FeedView | undefined;
  const tracker = newTracker();
  const options = { handler: ({ data }: { readonly data: number }) => void seen.push(data) };
  render(newRoot(), Read, { tracker, feed, options, onView: (next) => (view = next) });
  await expect.poll(() => seen.length).toBeGreaterThan(5);
  view?.pause();
  await expect.poll(() => view?.paused).toBe(true);
  expect(view?.state).toBe('closed');
  await expect.poll(() => tracker.status('orders').pending).toBe(undefined);
  const { length } = seen;
  const before = opened();
  for (let i = 0; i < 20; i++) await turn();
  expect(seen).toHaveLength(length);
  view?.resume();
  await expect.poll(() => seen.length).toBeGreaterThan(length + 5);
  expect(view?.paused).toBe(false);
  expect(opened()).toBe(before + 1);
  expect(seen).toEqual(upTo(seen.length));
});

test('a `view` that pauses is shown afterwards what another tab has read meanwhile, each event once', async () => {
  const { feed } = counting(Infinity);
  const name = `react-${Date.now()}`;
  const shownIn = (): { readonly seen: number[]; readonly view: () => FeedView | undefined; readonly root: Root } => {
    const tracker = new OffsetTracker(new IndexedDBOffsetStore({ name }));
    const seen: number[] = [];
    let view: FeedView | undefined;
    const options = { exclusive: true, view: ({ data }: { readonly data: number }) => void seen.push(data) } as const;
    const root = newRoot();
    render(root, Read, { tracker, feed, options, onView: (next) => (view = next) });
    return { seen, view: () => view, root };
  };
  const one = shownIn();
  const other = shownIn();
  for (const { seen } of [one, other]) await expect.poll(() => seen.length).toBeGreaterThan(20);
  one.view()?.pause();
  await expect.poll(() => one.view()?.paused).toBe(true);
  const { length } = other.seen;
  await expect.poll(() => other.seen.length).toBeGreaterThan(length + 50);
  one.view()?.resume();
  await expect.poll(() => one.seen.length).toBeGreaterThan(length + 100);
  expect(one.seen).toEqual(upTo(one.seen.length));
});

test('effects in a transaction are applied once, though the component mounts twice', async () => {
  const { feed } = counting(50);
  const tracker = newTracker();
  const applied: number[] = [];
  const Transacting = (): null => {
    useFeed(tracker, 'orders', feed, { transact: true, handler: ({ data }) => void applied.push(data) });
    return null;
  };
  render(newRoot(), Transacting, {});
  await expect.poll(() => applied.length).toBeGreaterThanOrEqual(50);
  expect(applied).toEqual(upTo(50));
});

test('a feed that fails says why, and when it is tried again', async () => {
  let view: FeedView | undefined;
  // eslint-disable-next-line require-yield
  const feed: Feed<number> = async function* () {
    throw new Error('the server is down');
  };
  const options = { handler: () => {}, minDelayMs: 60_000, maxDelayMs: 60_000, random: () => 1 };
  const before = Date.now();
  render(newRoot(), Read, { tracker: newTracker(), feed, options, onView: (next) => (view = next) });
  await expect.poll(() => view?.state).toBe('retrying');
  expect(view?.error).toMatchObject({ message: 'the server is down' });
  expect(view?.retryAt).toBeGreaterThan(before);
});

test('the same object is shown until something in it changes', async () => {
  const { feed } = counting(3);
  const views: FeedView[] = [];
  const seen: number[] = [];
  const tracker = newTracker();
  const root = newRoot();
  const show = (): void =>
    render(root, Read, {
      tracker,
      feed,
      options: { handler: ({ data }) => void seen.push(data) },
      onView: (view) => void views.push(view),
    });
  show();
  await expect.poll(() => seen.length).toBe(3);
  await expect.poll(() => views.at(-1)?.state).toBe('open');
  const last = views.at(-1);
  const { length } = views;
  for (let i = 0; i < 5; i++) show();
  expect(views.length).toBeGreaterThan(length);
  expect(views.slice(length).every((view) => view === last)).toBe(true);
});

test('`useOffset` shows what is recorded and committed, and renders no more than it changes', async () => {
  const tracker = newTracker();
  const shown: SourceStatus[] = [];
  const Show = () => {
    const status = useOffset(tracker, 'orders');
    shown.push(status);
    return createElement('p', null, status.committed ? Offset.format(status.committed) : 'nothing');
  };
  render(newRoot(), Show, {});
  expect(shown.at(-1)?.recorded).toBe(undefined);
  const reading = await tracker.read('orders');
  await reading.record(Offset.sequence(7));
  await reading.commit();
  await expect.poll(() => shown.at(-1)?.committed).toEqual(Offset.sequence(7));
  expect(shown.at(-1)).toBe(tracker.status('orders'));
  const { length } = shown;
  for (let i = 0; i < 20; i++) await turn();
  expect(shown).toHaveLength(length);
  await reading.close();
});

test("React's own hook over `subscribe` and `status` does not loop", async () => {
  const tracker = newTracker();
  let renders = 0;
  const Show = () => {
    renders++;
    const status = useSyncExternalStore(
      (changed) => tracker.subscribe(changed),
      () => tracker.status('orders'),
    );
    return createElement('p', null, String(status.epoch));
  };
  render(newRoot(), Show, {});
  const reading = await tracker.read('orders');
  await reading.record(Offset.sequence(1));
  await reading.commit();
  for (let i = 0; i < 20; i++) await turn();
  expect(renders).toBeGreaterThan(0);
  expect(renders).toBeLessThan(40);
  await reading.close();
});
