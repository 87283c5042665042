import { Offset, sse } from '../../src/index.ts';
import type { FeedContext } from '../../src/feeds/feed.ts';
import { EventStream } from '../../src/feeds/sse/event-stream.ts';
import { failureOf, fuzz } from './fuzz.ts';
import type { Random } from './random.ts';

const lines = [
  [
    '',
    '',
    '',
    'data: one',
    'data:two',
    'data',
    'id: 1',
    'id: 2',
    'id',
    'id: ',
    'id: a\u0000b',
    'event: created',
    'event',
  ],
  [
    'retry: 10',
    'retry: x',
    'retry: 99999999999999999999',
    ': comment',
    ':',
    'unknown: field',
    ' data: one',
    'data:  one',
  ],
  ['\ufeffdata: one', 'data: 😀', 'data: \ud800', 'Data: one', 'constructor: x', '__proto__: x', 'id: __proto__'],
].flat();

/** An event stream, more or less. */
function streamOf(random: Random): string {
  let text = random.chance(0.1) ? '\ufeff' : '';
  for (let count = random.below(30); count > 0; count--) {
    text += random.pick(lines) + random.pick(['\n', '\n', '\n', '\r\n', '\r', '\n\n']);
  }
  return random.chance(0.3) ? random.damaged(text) : text;
}

fuzz('an event stream says the same however it is cut', (random) => {
  const bytes = new TextEncoder().encode(streamOf(random));
  const damaged = random.chance(0.2) ? random.damagedBytes(bytes) : bytes;
  const [whole, retries] = read([damaged]);
  const [pieces, retriesOfPieces] = read(random.cut(damaged));
  if (whole !== pieces || retries !== retriesOfPieces)
    throw new Error(`${whole}\n${pieces}\n${JSON.stringify([...damaged])}`);
});

function read(chunks: readonly Uint8Array[]): [blocks: string, retries: string] {
  const retries: number[] = [];
  const stream = new EventStream(10_000, (ms) => retries.push(ms));
  const blocks = chunks.flatMap((chunk) => stream.blocks(chunk));
  return [JSON.stringify(blocks), String(retries)];
}

fuzz(
  'sse reads any bytes to their end, or says what is wrong',
  async (random) => {
    const bytes = random.chance(0.9) ? new TextEncoder().encode(streamOf(random)) : random.bytes(200);
    const pieces = random.cut(random.chance(0.2) ? random.damagedBytes(bytes) : bytes);
    const headers = { 'content-type': random.chance(0.9) ? 'text/event-stream' : random.pick(['', 'text/html', 'x']) };
    const status = random.chance(0.9) ? 200 : random.pick([200, 201, 206, 400, 404, 410, 429, 500, 503]);
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        for (const piece of pieces) controller.enqueue(piece);
        controller.close();
      },
    });
    const feed = sse('https://example.org/feed', {
      fetch: async () => new Response(body, { status, headers }),
      ...(random.chance(0.5) && { parse: JSON.parse }),
      ...(random.chance(0.3) && { offset: Offset.sequence }),
      sharedIds: random.chance(0.3),
      maxEventLength: random.chance(0.8) ? 10_000 : 20,
    });
    const waits: number[] = [];
    const error = await failureOf(async () => {
      for await (const item of feed(
        random.offset(),
        contextOf((ms) => waits.push(ms)),
      )) {
        if ('offset' in item && item.offset) Offset.format(item.offset);
      }
    });
    if (error && !error.code.startsWith('feed') && error.code !== 'invalid-offset') throw error;
    if (waits.some((ms) => !(ms >= 0))) throw new Error(`waits ${waits}`);
  },
  { share: 0.1 },
);

function contextOf(reopenAfter: (ms: number) => void): FeedContext {
  return {
    source: 'orders',
    signal: new AbortController().signal,
    openedBefore: false,
    opened: () => {},
    alive: () => {},
    deadAfter: () => {},
    reopenAfter,
    onRecorded: () => {},
    warn: () => {},
  };
}
