import type { Miniflare } from 'miniflare';
import { InMemoryOffsetStore, Offset, OffsetTracker, resume, sse } from 'tidemark';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundle, start } from './runtime.ts';

let miniflare: Miniflare;
let url: string;

beforeAll(async () => {
  miniflare = await start(await bundle('serve-worker.ts'), {
    durableObjects: { LOG: { className: 'Log', useSQLite: true } },
  });
  url = String(await miniflare.ready);
  for (let n = 1; n <= 20; n++) await ask(`append?n=${n}`);
});
afterAll(() => miniflare.dispose());

async function ask(path: string): Promise<unknown> {
  return (await fetch(`${url}${path}`)).json();
}

const ordered = { parse: Number, offset: Offset.sequence, earliest: 'earliest', feedId: 'Feed-Id' };

describe('a log that a Durable Object serves', () => {
  test('is read once by resume, also what is appended while it reads', async () => {
    const store = new InMemoryOffsetStore();
    const found: number[] = [];
    for (const until of [10, 40]) {
      const tracker = new OffsetTracker(store);
      for await (const { data } of resume(tracker, 'numbers', sse(`${url}feed`, ordered))) {
        found.push(data);
        if (data >= 20 && data < 40) await ask(`append?n=${data + 1}`);
        if (data === until) break;
      }
      await tracker.close();
    }
    // The event at which the first loop broke was not recorded.
    expect(found).toEqual([...numbers(1, 10), ...numbers(10, 40)]);
  });

  test('is read in a Worker', async () => {
    expect(await ask('read?count=15')).toEqual(numbers(1, 15));
  });

  test('answers an id from the future with 410', async () => {
    const response = await fetch(`${url}feed`, { headers: { 'last-event-id': '1000' } });
    expect([response.status, await response.text()]).toEqual([410, expect.stringContaining('past the newest event')]);
  });

  test('is left by a client that disconnects', async () => {
    await expect.poll(() => ask('')).toMatchObject({ readers: 0 });
    const abort = new AbortController();
    await fetch(`${url}feed`, { signal: abort.signal });
    expect(await ask('')).toMatchObject({ readers: 1 });
    abort.abort();
    await expect.poll(() => ask('')).toMatchObject({ readers: 0 });
  });
});

function numbers(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
