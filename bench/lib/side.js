// One side of a comparison, in a process of its own: does a round whenever it is told to.
const [file = '', index = '', name = ''] = process.argv.slice(2);
const { comparisons } = await import(file);
/** @type {import('./turns.js').Round | undefined} */
let round;

process.on('message', async (/** @type {any} */ { given }) => {
  round ??= await comparisons[Number(index)].sides[name](given);
  if (given !== undefined || !round) return void process.send?.({});
  const start = performance.now();
  const amount = await round();
  process.send?.({ amount, ms: performance.now() - start });
});
