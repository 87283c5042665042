// One side of a comparison, in a process of its own: does a round whenever it is told to.
const [file = '', index = '', name = ''] = process.argv.slice(2);
const { comparisons } = await import(file);
/** @type {import('./turns.js').Round | undefined} */
let round;

process.on('message', async (/** @type {any} */ { given }) => {
  round ??= await comparisons[Number(index)].sides[name](given);
  if (given !== undefined || !round) return void process.send?.({});
  const start = performance.now();
  const answer = await round();
  const ms = performance.now() - start;
  process.send?.(typeof answer === 'number' ? { amount: answer, ms } : { ms, ...answer });
});
// What was started is left when whoever asks is gone.
process.on('disconnect', () => process.exit());
