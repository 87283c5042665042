// Runs the benchmarks, prints their tables, and writes RESULTS.md and its charts: `npm run bench`. `npm run bench -- --quick`
// does the same with fewer rounds, and leaves out what takes minutes; `npm run bench -- sse tickets` runs those alone, and
// writes nothing, unless `--to=folder` says where. A comparison that fails is told, and does not stop the others.
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Results } from './lib/results.js';
import { takeTurns } from './lib/turns.js';

const all = [
  'hot-path',
  'tickets',
  'sse',
  'indexeddb',
  'local-storage',
  'tabs',
  'cloudflare-kv',
  'file',
  'transact',
  'memory',
  'sizes',
];

const quick = process.argv.includes('--quick');
const named = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const to = process.argv.find((argument) => argument.startsWith('--to='))?.slice('--to='.length);
const results = new Results(to ?? (named.length > 0 ? undefined : fileURLToPath(new URL('.', import.meta.url))), quick);

for (const name of named.length > 0 ? named : all) await runFile(name);
results.write(true);
console.log(`\n${results.minutes} minutes`);
process.exitCode = results.failed ? 1 : 0;

/** @param {string} name */
async function runFile(name) {
  const file = fileURLToPath(new URL(`${name}.js`, import.meta.url));
  /** @type {{ comparisons: import('./lib/turns.js').Comparison[] }} */
  const { comparisons } = await import(file).catch((error) => {
    results.fail(name, error);
    return { comparisons: [] };
  });
  for (const [index, comparison] of comparisons.entries()) {
    if (quick && comparison.inFullOnly) continue;
    const begun = performance.now();
    await takeTurns(file, index, comparison, quick).then(
      (found) => results.add(`${basename(name)}-${index + 1}`, comparison, found),
      (error) => results.fail(comparison.title, error),
    );
    console.log(`(${((performance.now() - begun) / 1000).toFixed(0)} s)`);
  }
}
