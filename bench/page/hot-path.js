// The ways to record in memory, in a page.
import { waysOf } from '../lib/records.js';
import { offer } from './page.js';

/** @type {Record<string, import('./page.js').PageSide>} */
const sides = {};
for (const name of Object.keys(waysOf(1, 'sequences'))) {
  sides[name] = (_quick, sources, kind, count) => {
    const way = waysOf(sources, kind)[name];
    if (!way) throw new Error(`'${name}' is not measured with ${sources} sources`);
    return way({ count });
  };
}
await offer(sides);
