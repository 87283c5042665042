import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import type { OffsetTracker } from 'tidemark';
import { useFeed, useOffset } from 'tidemark/react';
import { expect, test } from 'vitest';

test('rendering on a server reads no feed, and does not so much as look at the tracker', () => {
  const touched: unknown[] = [];
  const tracker = new Proxy({} as OffsetTracker, {
    get: (_target, name) => void touched.push(name),
  });
  const before = Object.getOwnPropertyNames(globalThis);
  const Orders = () => {
    const handler = (): void => void touched.push('handler');
    const feed = (): never => {
      touched.push('feed');
      throw new Error('a server does not read it');
    };
    const { state, paused, lag, role, error } = useFeed(tracker, 'orders', feed, { handler });
    const { committed, epoch } = useOffset(tracker, 'orders');
    return createElement('p', null, JSON.stringify({ state, paused, lag, role, error, committed, epoch }));
  };
  const html = renderToString(createElement(Orders)).replaceAll('&quot;', '"');
  expect(html).toBe('<p>{"state":"connecting","paused":false,"epoch":0}</p>');
  expect(touched).toEqual([]);
  expect(Object.getOwnPropertyNames(globalThis)).toEqual(before);
});
