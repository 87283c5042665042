import { InMemoryOffsetStore, Offset, OffsetTracker, resume } from 'tidemark';
import { expect, test } from 'vitest';
import { at, pushed, swift } from './feeds.ts';

test('a page that goes away lets go of its connection, and goes on where it was when it comes back', async () => {
  const { feed, openings, push } = pushed<number>();
  const events = resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', feed, swift);
  push(at(1));
  await events.next();
  const next = events.next();
  dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }));
  push(at(2));
  expect(await Promise.race([next, new Promise((resolve) => void setTimeout(resolve, 50, 'waiting'))])).toBe('waiting');
  expect(openings).toHaveLength(1);
  dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));
  expect((await next).value?.data).toBe(2);
  expect(openings).toEqual([Offset.earliest, Offset.sequence(1)]);
  await events.return();
});

test('a page that has only just been shown keeps its connection', async () => {
  const { feed, openings, push } = pushed<number>();
  const events = resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', feed, swift);
  const next = events.next();
  await expect.poll(() => openings.length).toBe(1);
  dispatchEvent(new PageTransitionEvent('pageshow'));
  push(at(1));
  expect((await next).value?.data).toBe(1);
  expect(openings).toHaveLength(1);
  await events.return();
});

test('a connection that is open and dead is opened again at the place when the network is back', async () => {
  const { feed, openings, push } = pushed<number>();
  const reasons: unknown[] = [];
  const events = resume(new OffsetTracker(new InMemoryOffsetStore()), 'orders', feed, {
    onState: (_, { reason }) => reason && void reasons.push(reason),
  });
  push(at(1));
  await events.next();
  const next = events.next();
  await expect.poll(() => openings.length).toBe(1);
  dispatchEvent(new Event('offline'));
  dispatchEvent(new Event('online'));
  await expect.poll(() => openings.length).toBe(2);
  push(at(2));
  expect((await next).value?.data).toBe(2);
  expect(openings).toEqual([Offset.earliest, Offset.sequence(1)]);
  expect(reasons).toEqual(['online']);
  await events.return();
});
