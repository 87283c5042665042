// What a page of a benchmark does: it starts one of its sides, and does a round whenever it is told to.

/**
 * @typedef {(quick: boolean, ...args: any[]) => Promise<Round> | Round} PageSide
 * @typedef {() => Promise<number> | number} Round how many operations
 */

/** @param {Record<string, PageSide>} sides */
export function offer(sides) {
  /** @type {Round | undefined} */
  let doRound;
  Object.assign(globalThis, {
    /** @param {string} name @param {[boolean, ...unknown[]]} args */
    async start(name, [quick, ...args]) {
      const side = sides[name];
      if (!side) throw new Error(`the page has no side '${name}'`);
      doRound = await side(quick, ...args);
    },
    async round() {
      const begun = performance.now();
      const amount = (await doRound?.()) ?? 0;
      return { amount, ms: performance.now() - begun };
    },
  });
}
