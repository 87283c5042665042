import { Offset } from '../../src/index.ts';
import { MemoryLog, serve } from '../../src/serve/index.ts';
import { failureOf, fuzz } from './fuzz.ts';
import type { Random } from './random.ts';

const urls = [
  [
    'https://example.org/orders',
    '/orders',
    '/',
    '',
    '*',
    '//',
    '///',
    '/%',
    '/%zz',
    '/?lastEventId=2',
    '/?lastEventId=',
  ],
  [
    '/?lastEventId=%',
    '/?lastEventId=%ff',
    '/?lastEventId=latest',
    '?lastEventId=__proto__',
    'http://',
    'x:y',
    '/\u0000',
  ],
].flat();

const ids = [
  '',
  '0',
  '1',
  '2',
  '3',
  '4',
  '99',
  '-1',
  '01',
  '18446744073709551616',
  'earliest',
  'latest',
  '__proto__',
  'ü',
];

function requestOf(random: Random) {
  const url = random.chance(0.7) ? random.pick(urls) : random.damaged(random.pick(urls));
  const headers = new Map<string, string>();
  if (random.chance(0.6))
    headers.set('last-event-id', random.chance(0.7) ? random.pick(ids) : random.damaged(random.pick(ids)));
  if (random.chance(0.3)) headers.set('origin', random.damaged('https://app.example'));
  const method = random.chance(0.8)
    ? 'GET'
    : random.pick(['POST', 'OPTIONS', 'HEAD', 'DELETE', 'get', '', random.text()]);
  return { method, url, headers: { get: (name: string) => headers.get(name) ?? null } };
}

const log = new MemoryLog<string>({ maxEvents: 3 });
for (const data of ['one', 'two\nlines', 'three', '😀\r', '']) log.append(data);
log.close();
const handlers = [
  serve(log.feed),
  serve(log.feed, { offset: Offset.sequence, cors: false }),
  serve(log.feed, { start: 'latest', query: '__proto__', cors: { origin: (origin) => origin.length % 2 === 0 } }),
  serve(log.feed, { cors: { origin: ['https://app.example'], credentials: true }, earliest: '-1', latest: 'now' }),
];

const statuses = new Set([200, 204, 400, 405, 410]);

fuzz('serve answers any request', async (random) => {
  const { method, url, headers } = requestOf(random);
  const response = await random.pick(handlers)({ method, url, headers });
  if (!statuses.has(response.status)) throw new Error(`${method} ${url}: ${response.status}`);
  const text = await response.text();
  if (response.status === 200 && !text.endsWith('\n\n')) throw new Error(`${JSON.stringify(text)} is cut off`);
});

fuzz('a log in memory gives each reader what was appended after its place', async (random) => {
  const first = random.chance(0.5) ? 1 : 1 + random.below(1000);
  const maxEvents = 1 + random.below(8);
  const made = new MemoryLog<number>({ maxEvents, first });
  const count = random.below(20);
  for (let n = 0; n < count; n++) made.append(first + n);
  made.close();
  const from = random.chance(0.7) ? Offset.sequence(Math.max(0, first - 2 + random.below(count + 4))) : random.offset();
  const found: number[] = [];
  const context = { source: 'orders', signal: new AbortController().signal, opened: () => {} };
  const error = await failureOf(async () => {
    for await (const item of made.feed(from, context as never)) if ('data' in item) found.push(item.data);
  });
  if (error && !['feed-changed', 'feed-expired', 'invalid-offset'].includes(error.code)) throw error;
  const last = first + count - 1;
  const kept = Math.min(count, maxEvents);
  if (made.size !== kept) throw new Error(`${made.size} are kept`);
  if (from.kind !== 'sequence' || error) return;
  const wanted = Array.from({ length: last - Number(from.value) }, (_, i) => Number(from.value) + 1 + i);
  if (String(found) !== String(wanted)) throw new Error(`after ${from.value}: ${found} and not ${wanted}`);
});
