import { type Checkpoint, Offset } from '../../src/index.ts';

/** The one source that is read. */
export const source = 'a';

/** A feed's events have places 1, 2, 3 …; what a tracker sees of them are offsets. */
export interface Feed {
  readonly name: 'sequences' | 'opaque cursors';
  offset(place: number): Offset;
  place(offset: Offset | undefined): number;
}

/** Numbers with holes between them. */
export const numberedFeed: Feed = {
  name: 'sequences',
  offset: (place) => Offset.sequence(place * 3),
  place: (offset) => (offset?.kind === 'sequence' ? Number(offset.value) / 3 : 0),
};

const places = 16;
const cursors = Array.from({ length: places + 1 }, (_, place) => `cursor ${(place * 7) % (places + 1)}`);

/** Cursors that say nothing about their order, and whose code units are in another one. */
export const opaqueFeed: Feed = {
  name: 'opaque cursors',
  offset: (place) => Offset.custom(cursors[place] ?? ''),
  place: (offset) => (offset?.kind === 'custom' ? cursors.indexOf(offset.value) : 0),
};

/** All that a checkpoint says and that may matter; when it was committed orders nothing. */
export function keyOf(checkpoint: Checkpoint | undefined, feed: Feed): string {
  return checkpoint ? `${checkpoint.epoch}.${checkpoint.rank}.${feed.place(checkpoint.offset)}` : '-';
}

/** Without the time, so that what differs in that alone is the same. */
export function timeless(checkpoint: Checkpoint): Checkpoint {
  return checkpoint.committedAt === 0 ? checkpoint : Object.freeze({ ...checkpoint, committedAt: 0 });
}

/** Whether a place in an epoch is at or before what stands, as somebody knows who sees the places. */
export function reaches(stands: Checkpoint | undefined, epoch: number, place: number, feed: Feed): boolean {
  if (stands === undefined) return epoch === 0 && place <= 0;
  return stands.epoch > epoch || (stands.epoch === epoch && feed.place(stands.offset) >= place);
}

/** What is not as it has to be. */
export class Violation extends Error {}

export function claim(truth: boolean, what: string): asserts truth {
  if (!truth) throw new Violation(what);
}
