// What a commit and a read of a file cost, by how many sources it holds. Set TMPDIR to choose the disk.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Bench } from 'tinybench';
import { Offset } from 'tidemark';
import { FileOffsetStore } from 'tidemark/file';

const bench = new Bench({ name: 'a file', time: 1000 });
const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-'));
/** @param {number} n */
const at = (n) => ({ epoch: 0, rank: n, offset: Offset.sequence(n), committedAt: Date.now() });

for (const sources of [1, 1000, 10_000]) {
  const path = join(folder, `${sources}.json`);
  const store = new FileOffsetStore(path);
  await store.commit(new Map(Array.from({ length: sources }, (_, i) => [`source ${i}`, at(0)])));
  let n = 1;
  bench.add(`commit, ${sources} sources`, async () => {
    await store.commit(new Map([['source 0', at(n++)]]));
  });
  bench.add(`get, ${sources} sources`, async () => {
    await store.get('source 0');
  });
  bench.add(`open and get, ${sources} sources`, async () => {
    await new FileOffsetStore(path).get('source 0');
  });
}

await bench.run();
console.table(bench.table());
await rm(folder, { recursive: true });
