// One side of a comparison, in a process of its own: does a round whenever it is told to.
const [file = '', index = '', name = ''] = process.argv.slice(2);
/** @type {import('./turns.js').Round | undefined} */
let round;

process.on('message', async (/** @type {{ given?: unknown }} */ message) => {
  process.send?.(await obey(message).catch((error) => ({ error: error?.stack ?? String(error) })));
});
// What was started is left when whoever asks is gone.
process.on('disconnect', () => process.exit());

/** @param {{ given?: unknown }} message */
async function obey({ given }) {
  if (given !== undefined) {
    const { comparisons } = await import(file);
    round = await comparisons[Number(index)].sides[name](given);
    return {};
  }
  const start = performance.now();
  const answer = await round?.();
  const ms = performance.now() - start;
  return typeof answer === 'object' ? { ms, ...answer } : { amount: answer, ms };
}
