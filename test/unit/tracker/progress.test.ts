import { describe, expect, it } from 'vitest';
import { Offset } from '../../../src/index.ts';
import { Progress } from '../../../src/tracker/progress.ts';

const { sequence, timestamp, custom } = Offset;
const byLength = (a: string, b: string): number => a.length - b.length;

describe('how far a source is behind', () => {
  it.each([
    ['in events', sequence(3), sequence(10), 7],
    ['in no events where it is past the head', sequence(11), sequence(10), 0],
    ['in ms', timestamp(1000), timestamp(3500), 2500],
    ['in no ms where it is past the head', timestamp(4000), timestamp(3500), 0],
    ['by nothing where opaque offsets are one', custom('a'), custom('a'), 0],
    ['by nobody knows how much where they are not', custom('a'), custom('b'), undefined],
    ['by nobody knows how much where the kinds differ', sequence(1), timestamp(1), undefined],
    ['by nobody knows how much where the kinds differ the other way', timestamp(1), sequence(1), undefined],
    ['by nobody knows how much before the first', undefined, sequence(1), undefined],
  ])('is told %s', (_how, recorded, head, lag) => {
    const progress = new Progress('orders', undefined);
    expect(progress.lagOf(recorded)).toBeUndefined();
    expect(progress.told({ head }, recorded)).toBe(true);
    expect(progress.lagOf(recorded)).toBe(lag);
  });
});

describe('a source is caught up with', () => {
  it.each([
    ['where opaque offsets are one', undefined, custom('b'), [custom('a'), custom('bb')]],
    ['where the store’s order says so', byLength, custom('bb'), [custom('c')]],
    ['where it is past the end, by that order', byLength, custom('ccc'), [custom('c')]],
    ['where the order of its kind says so', undefined, sequence(5), [sequence(1)]],
  ] as const)('%s', (_how, compare, reached, before) => {
    const end = compare ? custom('bb') : reached;
    const progress = new Progress('orders', compare);
    progress.told({ head: end }, undefined);
    expect([progress.caughtUp, progress.reaches(undefined)]).toEqual([false, false]);
    for (const offset of before) expect([progress.reaches(offset), progress.caughtUp]).toEqual([false, false]);
    expect([progress.reaches(reached), progress.caughtUp]).toEqual([true, true]);
    expect(progress.reaches(reached)).toBe(false);
  });

  it('where the feed says that there is nothing, and nothing is recorded', () => {
    const progress = new Progress('orders', undefined);
    expect(progress.told({ upToDate: true }, undefined)).toBe(true);
    expect(progress.caughtUp).toBe(true);
    expect(progress.told({ place: sequence(1) }, undefined)).toBe(false);
    expect(progress.caughtUp).toBe(true);
  });
});
