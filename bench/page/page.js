// What a page of a benchmark does: it asks for its turns, starts one of its sides, and does a round whenever it is told to.

/**
 * @typedef {(quick: boolean, ...args: any[]) => Promise<Round> | Round} PageSide
 * @typedef {() => Promise<number | Answer> | number | Answer} Round how many operations
 * @typedef {import('../lib/turns.js').Answer} Answer
 */

/** @param {Record<string, PageSide>} sides */
export async function offer(sides) {
  /** @type {Round | undefined} */
  let doRound;
  const obey = async (/** @type {{ name?: string, args?: [boolean, ...unknown[]] }} */ { name, args }) => {
    if (name !== undefined) {
      const side = sides[name];
      if (!side || !args) throw new Error(`the page has no side '${name}'`);
      doRound = await side(...args);
      return {};
    }
    const begun = performance.now();
    const answer = (await doRound?.()) ?? 0;
    const ms = performance.now() - begun;
    return typeof answer === 'number' ? { amount: answer, ms } : { ms, ...answer };
  };
  const [, index] = location.search.split('?');
  for (let answer = ''; ;) {
    const order = await (await fetch(`/ask/${index}`, { method: 'POST', body: answer })).json();
    answer = JSON.stringify(await obey(order).catch((error) => ({ error: String(error) })));
  }
}
