import { durableStream, poll, sse, webSocket } from 'tidemark';
import { describe, expect, it } from 'vitest';

const call = (make: unknown, ...given: unknown[]) => Reflect.apply(make as () => unknown, undefined, given);
const read = () => undefined;
const next = () => undefined;

describe('a feed that is made', () => {
  it.each([
    ['sse', sse, []],
    ['poll', poll, [{ next }]],
    ['webSocket', webSocket, [{ read }]],
    ['durableStream', durableStream, []],
  ])('by %s says what is no URL', (name, make, options) => {
    for (const url of [undefined, 42, {}]) {
      const message = `${name}: ${JSON.stringify(url)} is no URL: give a string or a URL`;
      expect(() => call(make, url, ...options)).toThrow(new TypeError(message));
    }
    for (const url of ['/feed', new URL('https://example.com/feed'), { href: 'https://example.com/feed' }]) {
      expect(call(make, url, ...options)).toBeTypeOf('function');
    }
  });

  it('by a function of the offset, where the feed has one, is as good', () => {
    expect(call(poll, () => '/feed', { next })).toBeTypeOf('function');
    expect(call(webSocket, () => '/feed', { read })).toBeTypeOf('function');
  });

  it('says which option it cannot do without', () => {
    expect(() => call(webSocket, '/feed')).toThrow(/^webSocket: give `read`/);
    expect(() => call(poll, '/feed')).toThrow(/^poll: give `next` or `offset`/);
  });
});
