import { type Checkpoint, join } from '../../src/index.ts';
import type { Effect, Storage } from './storage.ts';
import { type Feed, claim, keyOf, source } from './values.ts';

/** What was ever put, in order, and what each store object knows of it. */
export interface Versions {
  readonly puts: readonly Checkpoint[];
  readonly known: ReadonlyMap<string, Checkpoint | undefined>;
}

/** How many versions back a read may be. */
const age = 2;

/**
 * As Workers KV: a read may be old, also in telling that there is nothing, and of two writes the last wins. A store object
 * joins what it reads and writes with what it knows.
 *
 * What stands is the furthest that was ever put: 'committed' means that it was put. With one writer, what was put last is
 * the furthest, which is checked. With several, what was put last may be less: that is promised to nobody.
 */
export function versions(feed: Feed): Storage<Versions> {
  return {
    name: 'versions',
    begins: false,
    transacts: false,
    isEventual: true,
    saves: false,
    initial: { puts: [], known: new Map() },
    key: ({ puts, known }) =>
      `${puts.map((each) => keyOf(each, feed)).join()};${[...known].map(([seat, each]) => `${seat}=${keyOf(each, feed)}`).sort()}`,
    stands: ({ puts }) => puts.reduce<Checkpoint | undefined>((found, each) => join(found, each, source), undefined),
    effects({ puts, known }, call, seat) {
      const own = known.get(seat);
      if (call.type !== 'commit') {
        const found = new Map<string, Effect<Versions>>();
        for (let back = 0; back <= Math.min(age, puts.length); back++) {
          const read = puts.at(-1 - back);
          const checkpoint = read ? join(own, read, source) : own;
          const state = { puts, known: new Map(known).set(seat, checkpoint) };
          const label = back === 0 ? 'takes effect' : `finds what is ${back} old`;
          const key = keyOf(checkpoint, feed);
          if (!found.has(key)) found.set(key, { label, state, answer: { type: 'stands', checkpoint } });
        }
        return [...found.values()];
      }
      const next = join(own, call.checkpoint, source);
      const answer = { type: 'stands', checkpoint: next } as const;
      if (next === own) return [{ state: { puts, known }, answer }];
      const writers = new Map(known).set(seat, next);
      if (writers.size === 1)
        for (const each of puts) claim(join(each, next, source) === next, 'one writer never goes back');
      return [{ state: { puts: [...puts, next], known: writers }, answer, wrote: next }];
    },
    save: (state) => state,
    changes: () => [],
  };
}
