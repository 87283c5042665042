import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Checkpoint,
  Offset,
  compareCheckpoints,
  decodeCheckpoint,
  encodeCheckpoint,
  orderKey,
} from '../../src/index.ts';
import { checkpoints, offsets } from './arbitraries.ts';

// Near in all but one thing, and at the ends of what a checkpoint can hold.
const ranks = fc.oneof(
  fc.nat({ max: 2 }),
  fc.tuple(fc.nat({ max: 12 }), fc.nat({ max: 2 ** 20 - 1 })).map(([whole, part]) => whole + part * 2 ** -20),
  fc.constantFrom(2 ** 53 - 1, 2 ** 32 + 0.5, 9, 10, 10 - 2 ** -20),
);
const edges = fc.constantFrom(
  Offset.sequence(9),
  Offset.sequence(10),
  Offset.sequence(2n ** 53n),
  Offset.sequence(2n ** 53n + 1n),
  Offset.sequence(2n ** 64n - 1n),
  Offset.timestamp(-8.64e15),
  Offset.timestamp(-1),
  Offset.timestamp(0),
  Offset.timestamp(8.64e15),
  Offset.custom(''),
  Offset.custom('a'),
  Offset.custom('a\u0000'),
  Offset.custom('ab'),
  Offset.custom('\uffff'),
  Offset.custom('\ud83d\ude00'),
  Offset.custom('\ud83d'),
);
const placed = fc.record({
  epoch: fc.oneof(fc.nat({ max: 1 }), fc.constantFrom(9, 10, 2 ** 53 - 1)),
  rank: ranks,
  offset: fc.oneof(edges, offsets, fc.constant(undefined)),
  committedAt: fc.nat({ max: 1 }),
});

describe('the sortable key of a checkpoint', () => {
  it.each([
    ['of every kind', checkpoints],
    ['at the edges', placed],
  ])('orders checkpoints %s as they are ordered, also as bytes', (_, arbitrary) => {
    fc.assert(
      fc.property(arbitrary, arbitrary, (a, b) => {
        expectSameOrder(a, b);
      }),
      { numRuns: 20_000 },
    );
  });

  it('tells two apart that differ in one thing', () => {
    const differing = fc
      .tuple(placed, placed, fc.constantFrom('epoch' as const, 'rank' as const, 'offset' as const))
      .map(([a, b, part]): [Checkpoint, Checkpoint] => [a, { ...a, [part]: b[part] }]);
    fc.assert(
      fc.property(differing, ([a, b]) => {
        expectSameOrder(a, b);
      }),
      { numRuns: 20_000 },
    );
  });

  it('tells each of the latest times that a Date can hold from the next', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2 ** 53 - 8.64e15, max: 8.64e15 - 1 }), (time) => {
        const at = (ms: number): Checkpoint => ({ epoch: 0, rank: 1, offset: Offset.timestamp(ms), committedAt: 0 });
        expectSameOrder(at(time), at(time + 1));
      }),
    );
  });

  it('is made of digits and hex letters alone', () => {
    fc.assert(
      fc.property(placed, (checkpoint) => {
        expect(orderKey(checkpoint)).toMatch(/^[\da-f]+$/);
      }),
    );
  });
});

describe('the text of a checkpoint', () => {
  it('comes back whole by the pair that stores of your own use', () => {
    fc.assert(
      fc.property(placed, (checkpoint) => {
        const text = encodeCheckpoint(checkpoint);
        expect(decodeCheckpoint(text, 'orders', 'the test')).toEqual(checkpoint);
        expect(text).not.toMatch(/[\u0000]/);
        expect(new TextDecoder().decode(new TextEncoder().encode(text))).toBe(text);
      }),
    );
  });
});

function expectSameOrder(a: Checkpoint, b: Checkpoint): void {
  const wanted = Math.sign(compareCheckpoints(a, b, 'orders'));
  const [x, y] = [orderKey(a), orderKey(b)];
  expect(x === y ? 0 : x < y ? -1 : 1).toBe(wanted);
  expect(compareBytes(x, y)).toBe(wanted);
}

function compareBytes(x: string, y: string): number {
  const [a, b] = [new TextEncoder().encode(x), new TextEncoder().encode(y)];
  const at = a.findIndex((byte, i) => byte !== b[i]);
  if (at === -1) return Math.sign(a.length - b.length);
  return (a[at] ?? -1) < (b[at] ?? -1) ? -1 : 1;
}
