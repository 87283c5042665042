import { type Checkpoint, join } from '../../src/index.ts';
import type { Storage } from './storage.ts';
import { type Feed, keyOf, source } from './values.ts';

/** What each life of a tab has written under a key of its own. */
export type Slots = ReadonlyMap<string, Checkpoint>;

/**
 * As localStorage: each life of a tab raises a key of its own, and a read joins them all. Any life's key may be folded into
 * another's at any time. It begins no epoch by itself.
 */
export function slots(feed: Feed): Storage<Slots> {
  const joined = (state: Slots): Checkpoint | undefined =>
    [...state.values()].reduce<Checkpoint | undefined>((found, slot) => join(found, slot, source), undefined);
  return {
    name: 'slots',
    begins: false,
    transacts: false,
    isEventual: false,
    saves: true,
    initial: new Map(),
    key: (state) =>
      [...state]
        .map(([life, slot]) => `${life}=${keyOf(slot, feed)}`)
        .sort()
        .join(),
    stands: joined,
    effects(state, call, seat) {
      const before = joined(state);
      if (call.type !== 'commit') return [{ state, answer: { type: 'stands', checkpoint: before } }];
      const stands = join(before, call.checkpoint, source);
      const answer = { type: 'stands', checkpoint: stands } as const;
      return [
        stands === before ? { state, answer } : { state: new Map(state).set(seat, stands), answer, told: stands },
      ];
    },
    save: (state, checkpoint, seat) => new Map(state).set(seat, join(state.get(seat), checkpoint, source)),
    changes(state) {
      const [[into, own] = [], [from, other] = [], ...rest] = [...state].sort(([a], [b]) => (a < b ? -1 : 1));
      if (!into || !own || !from || !other) return [];
      return [{ label: `the key of ${from} is folded`, state: new Map(rest).set(into, join(own, other, source)) }];
    },
  };
}
