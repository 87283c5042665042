import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createParser } from 'eventsource-parser';
import { afterEach, describe, expect, it } from 'vitest';
import { FeedServer, type FeedServerOptions, type FeedStatus } from '../../demo/server/http.ts';
import { reading } from '../../demo/server/readings.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (let cleanup = cleanups.pop(); cleanup; cleanup = cleanups.pop()) await cleanup();
});

describe('the demo feed', () => {
  it('sends every reader the same events under the same ids, as the clock goes on', async () => {
    const clock = new Clock();
    const { base } = await start({ rate: 10, now: clock.now });
    const one = await read(`${base}/feed`);
    expect(await one.next()).toBe(0);
    clock.pass(2000);
    const seen = [await one.next(), await one.next(), await one.next()];
    const two = await read(`${base}/feed`);
    expect([await two.next(), await two.next(), await two.next(), await two.next()]).toEqual([0, ...seen]);
    expect(seen).toEqual([1, 2, 3]);
    expect(two.events).toEqual(one.events.slice(0, two.events.length));
    expect(one.events[2]?.data).toBe(JSON.stringify(reading(one.generation, 2)));
    expect((await status(base)).head).toBe(20);
  });

  it('goes on strictly after the Last-Event-ID, also when it comes as a query parameter', async () => {
    const clock = new Clock();
    const { base } = await start({ rate: 10, now: clock.now });
    const { generation } = await status(base);
    clock.pass(1000);
    expect(await (await read(`${base}/feed`, `${generation}_4`)).next()).toBe(5);
    expect(await (await read(`${base}/feed?lastEventId=${generation}_4`)).next()).toBe(5);
  });

  it('sends no event twice and none too few to a reader that stands at the newest', async () => {
    const clock = new Clock();
    const { base } = await start({ rate: 10, now: clock.now });
    clock.pass(1000);
    const { generation } = await status(base);
    const reader = await read(`${base}/feed`, `${generation}_10`);
    clock.pass(100);
    expect(await reader.next()).toBe(11);
  });

  it('tells a reader that begins at the newest event its place before the first event comes', async () => {
    const clock = new Clock();
    const { base } = await start({ rate: 10, now: clock.now });
    clock.pass(5000);
    const reader = await read(`${base}/feed`, 'latest');
    expect(await reader.block()).toEqual({ id: expect.stringMatching(/_50$/) });
    clock.pass(100);
    expect(await reader.next()).toBe(51);
  });

  it('answers 410 to an id older than it holds, and takes the oldest one that misses nothing', async () => {
    const clock = new Clock();
    const { base } = await start({ rate: 10, retention: 5, now: clock.now });
    clock.pass(2000);
    const { generation, earliest } = await status(base);
    expect(earliest).toBe(16);
    const expired = await fetch(`${base}/feed`, { headers: { 'last-event-id': `${generation}_14` } });
    expect(expired.status).toBe(410);
    expect(await expired.text()).toContain(`the first event held is ${generation}_16`);
    expect(await (await read(`${base}/feed`, `${generation}_15`)).next()).toBe(16);
    expect(await (await read(`${base}/feed`)).next()).toBe(16);
  });

  it('answers 410 to an id that it never gave out', async () => {
    const { base } = await start({ rate: 0 });
    const { generation } = await status(base);
    expect((await fetch(`${base}/feed`, { headers: { 'last-event-id': `${generation}_1` } })).status).toBe(410);
    expect((await fetch(`${base}/feed`, { headers: { 'last-event-id': 'abc_0' } })).status).toBe(410);
  });

  it('sends id-only heartbeats while nothing happens', async () => {
    const { base } = await start({ rate: 0, heartbeatMs: 20 });
    const reader = await read(`${base}/feed`);
    expect(await reader.next()).toBe(0);
    expect(await reader.block()).toEqual({ id: `${reader.generation}_0` });
    expect(await reader.block()).toEqual({ id: `${reader.generation}_0` });
  });

  it('drops all connections in the middle of an event, and lets readers come back', async () => {
    const { base } = await start({ rate: 100 });
    const reader = await read(`${base}/feed`);
    const last = await reader.next();
    expect((await control(base, { action: 'drop' })).status).toBe(200);
    await expect(reader.end()).rejects.toThrow('terminated');
    await expect.poll(async () => (await status(base)).connections).toBe(0);
    const again = await read(`${base}/feed`, `${reader.generation}_${last}`);
    expect(await again.next()).toBe(last + 1);
  });

  it('answers 503 with Retry-After for as long as it was told to', async () => {
    const clock = new Clock();
    const { base } = await start({ now: clock.now });
    const reader = await read(`${base}/feed`);
    await control(base, { action: 'unavailable', seconds: 5 });
    await expect(reader.end()).rejects.toThrow('terminated');
    clock.pass(1500);
    const down = await fetch(`${base}/feed`);
    expect(down.status).toBe(503);
    expect(down.headers.get('retry-after')).toBe('4');
    expect((await status(base)).unavailableMs).toBe(3500);
    clock.pass(3500);
    expect(await (await read(`${base}/feed`)).next()).toBe(0);
  });

  it('begins again at 0 when numbering is restarted, and no longer knows the old ids', async () => {
    const clock = new Clock();
    const { base } = await start({ rate: 10, now: clock.now });
    clock.pass(1000);
    const old = await status(base);
    const restarted: FeedStatus = await (await control(base, { action: 'restart' })).json();
    expect(restarted.head).toBe(0);
    expect(restarted.generation).not.toBe(old.generation);
    expect((await fetch(`${base}/feed`, { headers: { 'last-event-id': `${old.generation}_0` } })).status).toBe(410);
    expect(await (await read(`${base}/feed`)).next()).toBe(0);
  });

  it('lets an event happen that cannot be processed, also while the feed stands still', async () => {
    const { base } = await start({ rate: 0 });
    const reader = await read(`${base}/feed`);
    await control(base, { action: 'break' });
    await control(base, { action: 'burst', events: 1 });
    expect([await reader.next(), await reader.next(), await reader.next()]).toEqual([0, 1, 2]);
    const levels = reader.events.map(({ data = '' }) => JSON.parse(data).level);
    expect(levels).toEqual([expect.any(Number), null, expect.any(Number)]);
  });

  it('lets many events happen at once', async () => {
    const clock = new Clock();
    const { base } = await start({ rate: 10, now: clock.now });
    clock.pass(1000);
    await control(base, { action: 'burst', events: 500 });
    expect((await status(base)).head).toBe(510);
    clock.pass(1000);
    expect((await status(base)).head).toBe(520);
  });

  it('silences the connections that are open, and keeps them; those that come later hear', async () => {
    const { base } = await start({ rate: 100, heartbeatMs: 20 });
    const reader = await read(`${base}/feed?lane=one`);
    await reader.next();
    await control(base, { action: 'silence' });
    const { head, lanes } = await status(base);
    const again = await read(`${base}/feed?lane=two`, `${reader.generation}_${head}`);
    expect([await again.next(), await again.next()]).toEqual([head + 1, head + 2]);
    expect(lanes).toEqual({ one: 1 });
    expect((await status(base)).lanes).toEqual({ one: 1, two: 1 });
    await control(base, { action: 'drop' });
    // What had been sent before the silence is all that ever came.
    await expect(reader.end()).rejects.toThrow('terminated');
    expect(reader.numbersRead()).toBeLessThanOrEqual(head + 1);
  });

  it('changes its rate without a jump', async () => {
    const clock = new Clock();
    const { base } = await start({ rate: 10, now: clock.now });
    clock.pass(1000);
    await control(base, { action: 'rate', rate: 200 });
    expect((await status(base)).head).toBe(10);
    clock.pass(1000);
    expect((await status(base)).head).toBe(210);
    await control(base, { action: 'rate', rate: 0 });
    clock.pass(60_000);
    expect((await status(base)).head).toBe(210);
  });

  it('does not go back when the clock is set back', async () => {
    const clock = new Clock();
    const { base } = await start({ rate: 10, now: clock.now });
    clock.pass(1000);
    expect((await status(base)).head).toBe(10);
    clock.pass(-5000);
    expect((await status(base)).head).toBe(10);
  });

  it('keeps feeds of different names apart', async () => {
    const { base } = await start({ rate: 100 });
    const a = await read(`${base}/feed?feed=a`);
    const b = await read(`${base}/feed?feed=b&rate=50&retention=7`);
    const [last] = [await b.next(), await a.next()];
    await control(base, { action: 'drop' }, 'a');
    await control(base, { action: 'restart' }, 'a');
    await expect(a.end()).rejects.toThrow('terminated');
    expect(await b.next()).toBe(last + 1);
    expect(await status(base, 'b')).toMatchObject({ generation: b.generation, rate: 50, retention: 7, connections: 1 });
  });

  it('delivers 20,000 events in a row to a reader that has fallen behind', async () => {
    const clock = new Clock();
    const { base } = await start({ rate: 1000, now: clock.now });
    const reader = await read(`${base}/feed`);
    clock.pass(19_999);
    const numbers: number[] = [];
    while (numbers.length < 20_000) numbers.push(await reader.next());
    expect(numbers).toEqual(Array.from({ length: 20_000 }, (_, n) => n));
  });

  it('has the same events after the server was started again', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-feeds-'));
    cleanups.push(() => rm(folder, { recursive: true }));
    const clock = new Clock();
    const first = await start({ folder, now: clock.now });
    await control(first.base, { action: 'rate', rate: 100 });
    clock.pass(1000);
    const before = await status(first.base);
    await first.stop();
    clock.pass(1000);
    const second = await start({ folder, now: clock.now });
    expect(await status(second.base)).toEqual({ ...before, head: 200 });
    expect(await (await read(`${second.base}/feed`, `${before.generation}_100`)).next()).toBe(101);
  });

  it('begins anew where what it kept is unreadable or an hour old', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-feeds-'));
    cleanups.push(() => rm(folder, { recursive: true }));
    const clock = new Clock();
    await writeFile(join(folder, 'cut.json'), '{"generation":"abc","ra');
    const first = await start({ folder, now: clock.now });
    expect(await status(first.base, 'cut')).toMatchObject({ head: 0, rate: 20 });
    const before = await status(first.base);
    await first.stop();
    clock.pass(3_600_001);
    const second = await start({ folder, now: clock.now });
    expect((await status(second.base)).generation).not.toBe(before.generation);
  });
});

describe('a request that the demo feed cannot serve', () => {
  it.each([
    ['GET', '/feed?feed=../etc/passwd', 400, 'feed= takes'],
    ['GET', `/feed?feed=${'a'.repeat(65)}`, 400, 'feed= takes'],
    ['GET', '/feed?rate=fast', 400, 'rate takes a number from 0 to 5000'],
    ['GET', '/feed?retention=1.5', 400, 'whole number'],
    ['GET', '/feed?lastEventId=%F0%9F%8C%8A', 400, 'Last-Event-ID takes'],
    ['GET', '/feed?lastEventId=abc_99999999999999999999', 400, 'Last-Event-ID takes'],
    ['GET', '/feed/nowhere', 404, '/feed/status'],
    ['GET', '//other.example/feed', 404, '/feed/status'],
    ['POST', '/feed', 405, 'takes GET only'],
    ['DELETE', '/feed/control', 405, 'takes POST only'],
  ])('%s %s is answered with %i and a sentence', async (method, path, code, sentence) => {
    const { base } = await start({});
    const answer = await fetch(base + path, { method });
    expect([answer.status, await answer.text()]).toEqual([code, expect.stringContaining(sentence)]);
  });

  it.each([
    ['', 400, 'JSON object'],
    ['null', 400, 'JSON object'],
    ['{"action":', 400, 'JSON object'],
    ['{}', 400, 'action takes'],
    ['{"action":"__proto__"}', 400, 'action takes'],
    ['{"action":"rate"}', 400, 'rate takes'],
    ['{"action":"rate","rate":-1}', 400, 'rate takes'],
    ['{"action":"rate","rate":1e999}', 400, 'rate takes'],
    ['{"action":"unavailable","seconds":"soon"}', 400, 'seconds takes'],
    ['{"action":"retention","events":0}', 400, 'events takes'],
    ['{"action":"burst","events":1000000}', 400, 'events takes'],
    [`"${'a'.repeat(5000)}"`, 413, 'at most 4096'],
  ])('a control of %.40s is answered with %i and a sentence', async (body, code, sentence) => {
    const { base } = await start({});
    const before = await status(base);
    const answer = await fetch(`${base}/feed/control`, { method: 'POST', body, headers: { 'content-type': json } });
    expect([answer.status, await answer.text()]).toEqual([code, expect.stringContaining(sentence)]);
    expect(await status(base)).toEqual({ ...before, head: expect.any(Number) });
  });

  it('a control that a form of another site could send is refused', async () => {
    const { base } = await start({});
    const answer = await fetch(`${base}/feed/control`, { method: 'POST', body: '{"action":"drop"}' });
    expect(answer.status).toBe(415);
  });
});

const json = 'application/json';

/** A clock that stands still until it is told to go on. */
class Clock {
  #ms = 1_800_000_000_000;
  readonly now = () => this.#ms;
  pass(ms: number): void {
    this.#ms += ms;
  }
}

async function start(options: FeedServerOptions): Promise<{ base: string; stop: () => Promise<void> }> {
  const feeds = new FeedServer(options);
  const server: Server = createServer(feeds.handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      feeds.close();
      server.closeAllConnections();
    });
  cleanups.push(stop);
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await status(base); // A feed begins when it is first asked for.
  return { base, stop };
}

async function status(base: string, feed = 'demo'): Promise<FeedStatus> {
  return (await fetch(`${base}/feed/status?feed=${feed}`)).json();
}

function control(base: string, body: object, feed = 'demo'): Promise<Response> {
  return fetch(`${base}/feed/control?feed=${feed}`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': json },
  });
}

/** Reads a feed as a client would. */
async function read(url: string, lastEventId?: string) {
  const abort = new AbortController();
  cleanups.push(async () => abort.abort());
  const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
  const response = await fetch(url, { headers, signal: abort.signal });
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
  if (!response.body) throw new Error('the answer has no body');
  const blocks: { id: string; data?: string }[] = [];
  const parser = createParser({
    onId: (id) => blocks.push({ id }),
    onEvent: ({ id = '', data }) => blocks.splice(-1, 1, { id, data }),
  });
  const text = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let taken = 0;
  /** The next event, or heartbeat, which has no data. */
  async function block() {
    for (;;) {
      const ready = blocks[taken++];
      if (ready) return ready;
      taken--;
      const { done, value } = await text.read();
      if (done) throw new Error('the feed has ended');
      parser.feed(value);
    }
  }
  return {
    block,
    get generation() {
      return (blocks[0]?.id ?? '').replace(/_.*/, '');
    },
    get events() {
      return blocks.slice(0, taken).filter(({ data }) => data !== undefined);
    },
    /** The next event's number, which its id and its data agree on. */
    async next(): Promise<number> {
      for (;;) {
        const { id, data } = await block();
        if (data === undefined) continue;
        const { generation, n } = JSON.parse(data);
        expect(id).toBe(`${generation}_${n}`);
        return n;
      }
    },
    /** How many events have come, asked for or not. */
    numbersRead: () => blocks.filter(({ data }) => data !== undefined).length,
    /** Resolves when the feed ends in order, rejects when it breaks off. */
    async end(): Promise<void> {
      for (let part = await text.read(); !part.done; part = await text.read()) parser.feed(part.value);
    },
  };
}
