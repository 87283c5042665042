// What a record costs in memory, per strategy. Each task is one record of the next event.
import { Bench } from 'tinybench';
import { InMemoryOffsetStore, Offset, OffsetTracker } from 'tidemark';

const bench = new Bench({ name: 'records into memory', time: 1000 });

/** @type {[string, import('tidemark').Strategy][]} */
const strategies = [
  ['manual', 'manual'],
  ['every 100', { every: 100 }],
  ['auto, not awaited', 'auto'],
];
for (const [name, strategy] of strategies) {
  const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy });
  let n = 0n;
  bench.add(name, () => void tracker.record('orders', Offset.sequence(n++)));
}

const awaited = new OffsetTracker(new InMemoryOffsetStore());
let last = 0n;
bench.add('auto, awaited', async () => {
  await awaited.record('orders', Offset.sequence(last++));
});

const tickets = new OffsetTracker(new InMemoryOffsetStore(), { strategy: 'manual' });
let begun = 0n;
bench.add('a ticket, begun and done', async () => {
  void (await tickets.begin('orders', Offset.sequence(begun++))).done();
});

await bench.run();
console.table(bench.table());
