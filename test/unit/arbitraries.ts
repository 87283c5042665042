import fc from 'fast-check';
import { type Checkpoint, Offset } from '../../src/index.ts';

const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('', 'a', 'b', '\ud800', '__proto__'),
);

export const sequences = fc
  .oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 3n }))
  .map((value) => Offset.sequence(value));

export const timestamps = fc
  .oneof(fc.date({ noInvalidDate: true }), fc.constantFrom(new Date(0), new Date(-1), new Date(8.64e15)))
  .map((value) => Offset.timestamp(value));

const customs = texts.map((value) => Offset.custom(value));

/** Every kind of offset, near ones often enough to be equal. */
export const offsets = fc.oneof(
  sequences,
  timestamps,
  customs,
  fc.constant(Offset.earliest),
  fc.constant(Offset.latest),
);

const anyCheckpoints: fc.Arbitrary<Checkpoint> = fc.record({
  epoch: fc.oneof(fc.nat({ max: 2 }), fc.maxSafeNat()),
  rank: fc.oneof(
    fc.nat({ max: 2 }),
    fc.nat({ max: 99 }).map((n) => n + 2 ** -20),
    fc.maxSafeNat(),
  ),
  offset: fc.oneof(offsets, fc.constant(undefined)),
  committedAt: fc.oneof(
    fc.nat({ max: 2 }),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((ms) => ms + 0),
  ),
});

const fewCheckpoints: fc.Arbitrary<Checkpoint> = fc.record({
  epoch: fc.nat({ max: 1 }),
  rank: fc.nat({ max: 1 }),
  offset: fc.constantFrom(undefined, Offset.earliest, Offset.sequence(1), Offset.custom('a'), Offset.custom('b')),
  committedAt: fc.nat({ max: 1 }),
});

/** Every kind of checkpoint, a tombstone too; often two that differ in one thing only, or in nothing. */
export const checkpoints = fc.oneof({ weight: 3, arbitrary: fewCheckpoints }, { weight: 1, arbitrary: anyCheckpoints });
