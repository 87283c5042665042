import { FeedError, Offset, isFailure, sse, type SseOptions } from 'tidemark';
import { describe, expect, test } from 'vitest';
import { answering } from './answers.ts';
import { openOnce } from './opening.ts';

const read = (text: string, options: Pick<SseOptions, 'offset'> & { readonly parse: (data: string) => unknown }) =>
  openOnce(sse('/feed', { ...answering([text]), ...options }), { from: Offset.custom('0') });

describe('an event that cannot be read', () => {
  test('stands in its place among the others, with the error, the event as it came, and its offset', async () => {
    const text = 'id: 1\ndata: {}\n\nid: 2\nevent: order\ndata: {bad\n\nid: 3\ndata: []\n\n';
    const { items, places, error } = await read(text, { parse: JSON.parse });
    expect(error).toBeUndefined();
    expect(places).toEqual(['custom:1', 'custom:2', 'custom:3']);
    const [, failure] = items;
    const failed = failure && isFailure(failure) ? failure.failed : undefined;
    expect(failed).toBeInstanceOf(FeedError);
    expect(failed).toMatchObject({
      code: 'feed',
      retryable: false,
      source: 'orders',
      event: { id: '2', type: 'order', data: '{bad' },
      offset: Offset.custom('2'),
      cause: expect.any(SyntaxError),
      message: expect.stringMatching(/^"orders" from "\/feed": the event "2" cannot be read: SyntaxError/),
    });
  });

  test('can be read again, also where it takes several tries', async () => {
    let tries = 0;
    const parse = (data: string): string => {
      if (++tries < 3) throw new Error('not yet');
      return data;
    };
    const { items } = await read('id: 2\ndata: x\n\n', { parse });
    let [item] = items;
    for (let i = 0; item && isFailure(item) && i < 5; i++) item = item.again();
    expect(item).toEqual({ id: '2', type: 'message', data: 'x', offset: Offset.custom('2') });
    expect(tries).toBe(3);
  });

  test('because of its id has no offset, and the ones after it are read', async () => {
    const text = 'id: 1\ndata: a\n\nid: 00000002\ndata: b\n\nid: 3\ndata: c\n\n';
    const { items, places } = await read(text, { parse: String, offset: Offset.sequence });
    expect(places).toEqual(['seq:1', '-', 'seq:3']);
    expect(items[1]).toMatchObject({
      failed: { cause: { code: 'invalid-offset' }, event: { id: '00000002', data: 'b' }, offset: undefined },
    });
  });

  test('is a heartbeat where it has an id and no data', async () => {
    const { items } = await read('id: prime\ndata: \n\nid: 1\ndata: {}\n\ndata:\n\n', { parse: JSON.parse });
    expect(items).toEqual([
      { heartbeat: true, offset: Offset.custom('prime') },
      { id: '1', type: 'message', data: {}, offset: Offset.custom('1') },
      // Without an id it moves nothing on, and is told.
      expect.objectContaining({ failed: expect.any(FeedError) }),
    ]);
  });
});
