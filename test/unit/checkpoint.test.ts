import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asCheckpoint, isFence } from '../../src/checkpoint.ts';
import {
  type Checkpoint,
  type CompareCustom,
  Offset,
  SerializationError,
  beginEpoch,
  compareChange,
  compareCheckpoints,
  isCheckpoint,
  join,
} from '../../src/index.ts';
import { checkpoints, offsets } from './arbitraries.ts';
import { isNode } from './runtime.ts';

const numRuns = isNode ? 500 : 200;

const compares: readonly [string, CompareCustom | undefined][] = [
  ['opaque customs', undefined],
  ['a compare', (a, b) => (a < b ? -1 : a > b ? 1 : 0)],
  ['a compare that takes different customs for the same place', (a, b) => a.length - b.length],
];

describe.each(compares)('join, with %s,', (_, compare) => {
  const joined = (a: Checkpoint | undefined, b: Checkpoint): Checkpoint => join(a, b, 'orders', compare);
  const compared = (a: Checkpoint, b: Checkpoint): number => Math.sign(compareCheckpoints(a, b, 'orders', compare));

  it('does not ask which came first', () => {
    fc.assert(
      fc.property(checkpoints, checkpoints, (a, b) => {
        expect(joined(a, b)).toEqual(joined(b, a));
      }),
      { numRuns },
    );
  });

  it('does not ask how they were grouped', () => {
    fc.assert(
      fc.property(checkpoints, checkpoints, checkpoints, (a, b, c) => {
        expect(joined(joined(a, b), c)).toEqual(joined(a, joined(b, c)));
      }),
      { numRuns },
    );
  });

  it('does not ask how often they came', () => {
    fc.assert(
      fc.property(checkpoints, checkpoints, (a, b) => {
        expect(joined(a, a)).toBe(a);
        const once = joined(a, b);
        expect(joined(once, b)).toBe(once);
        expect(joined(once, a)).toBe(once);
      }),
      { numRuns },
    );
  });

  it('gives one of the two, and what is stored itself where nothing moves', () => {
    fc.assert(
      fc.property(checkpoints, checkpoints, (a, b) => {
        const wins = joined(a, b);
        expect(wins === a || wins === b).toBe(true);
        if (compared(a, b) > 0) expect(wins).toBe(a);
        if (compared(a, b) < 0) expect(wins).toBe(b);
        expect(joined(undefined, a)).toBe(a);
        expect(joined(a, structuredClone(a))).toBe(a);
      }),
      { numRuns },
    );
  });

  it('follows an order that is total and transitive', () => {
    fc.assert(
      fc.property(checkpoints, checkpoints, checkpoints, (a, b, c) => {
        expect(compared(a, b)).toBe(0 - compared(b, a));
        if (compared(a, b) <= 0 && compared(b, c) <= 0) {
          expect(compared(a, c)).toBe(Math.min(compared(a, b), compared(b, c)));
        }
      }),
      { numRuns },
    );
  });

  it('takes two for equal only where nothing but the time of commit differs', () => {
    fc.assert(
      fc.property(checkpoints, checkpoints, (a, b) => {
        if (compared(a, b) !== 0) return;
        expect({ ...a, committedAt: 0 }).toEqual({ ...b, committedAt: 0 });
      }),
      { numRuns },
    );
  });

  it('lets any sequence of checkpoints end at the highest, in any order', () => {
    fc.assert(
      fc.property(
        fc
          .array(checkpoints, { minLength: 1, maxLength: 8 })
          .chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
        ([all, shuffled]) => {
          const fold = (list: readonly Checkpoint[]): Checkpoint | undefined =>
            list.reduce<Checkpoint | undefined>(joined, undefined);
          expect(fold(shuffled)).toEqual(fold(all));
        },
      ),
      { numRuns },
    );
  });
});

it('of two that differ in the feed alone, a join takes the same one, whichever came first', () => {
  const checkpoint = { epoch: 0, rank: 1, offset: Offset.sequence(1), committedAt: 2 };
  const at = (feed: string | undefined): Checkpoint => (feed === undefined ? checkpoint : { ...checkpoint, feed });
  const feeds = [undefined, 'a', 'b', 'z'];
  for (const [i, low] of feeds.entries()) {
    for (const high of feeds.slice(i)) {
      expect(join(at(low), at(high), 'orders').feed).toBe(high);
      expect(join(at(high), at(low), 'orders').feed).toBe(high);
    }
  }
});

describe('the order of checkpoints', () => {
  const at = (epoch: number, rank: number, offset: Offset | undefined, committedAt = 0): Checkpoint => ({
    epoch,
    rank,
    offset,
    committedAt,
  });
  const isBelow = (low: Checkpoint, high: Checkpoint, compare?: CompareCustom): void => {
    expect(compareCheckpoints(low, high, 'orders', compare)).toBeLessThan(0);
    expect(compareCheckpoints(high, low, 'orders', compare)).toBeGreaterThan(0);
    expect(join(low, high, 'orders', compare)).toBe(high);
    expect(join(high, low, 'orders', compare)).toBe(high);
  };

  it('puts a higher epoch on top of any offset, also a tombstone', () => {
    isBelow(at(0, 9, Offset.sequence(100)), at(1, 0, Offset.earliest));
    isBelow(at(1, 9, Offset.custom('z')), at(2, 0, undefined));
  });

  it('goes by kind: nothing, earliest, latest, sequence, timestamp, custom', () => {
    const rising = [
      undefined,
      Offset.earliest,
      Offset.latest,
      Offset.sequence(2n ** 64n - 1n),
      Offset.timestamp(-1),
      Offset.custom(''),
    ];
    for (const [i, high] of rising.entries()) {
      for (const low of rising.slice(0, i)) isBelow(at(0, 9, low), at(0, 0, high));
    }
  });

  it('goes by number and by time before rank', () => {
    isBelow(at(0, 9, Offset.sequence(2n ** 63n)), at(0, 1, Offset.sequence(2n ** 63n + 1n)));
    isBelow(at(0, 9, Offset.timestamp(5)), at(0, 1, Offset.timestamp(6)));
  });

  it('goes by rank where customs are opaque, and by compare where there is one', () => {
    isBelow(at(0, 1, Offset.custom('z')), at(0, 2, Offset.custom('a')));
    isBelow(at(0, 2, Offset.custom('a')), at(0, 1, Offset.custom('z')), (a, b) => (a < b ? -1 : 1));
    isBelow(at(0, 1, Offset.custom('a')), at(0, 2, Offset.custom('b')), () => 0);
    isBelow(at(0, 1, Offset.custom('a')), at(0, 1, Offset.custom('b')));
  });

  it('goes by rank where the offset is the same', () => {
    isBelow(at(0, 1, Offset.custom('a')), at(0, 2, Offset.custom('a')), (a, b) => (a < b ? -1 : 1));
    isBelow(at(0, 1, Offset.sequence(1)), at(0, 2, Offset.sequence(1)));
    isBelow(at(0, 1, undefined), at(0, 2, undefined));
  });

  it('does not go by the time of commit', () => {
    expect(compareCheckpoints(at(0, 1, Offset.sequence(1), 5), at(0, 1, Offset.sequence(1), 6), 'orders')).toBe(0);
    isBelow(at(0, 1, Offset.sequence(1), 6), at(0, 1, Offset.sequence(2), 5));
  });

  it('is an error that names both, where compare throws or does not decide', () => {
    const [a, b] = [at(0, 1, Offset.custom('7')), at(0, 2, Offset.custom('x-retry'))];
    const byNumber: CompareCustom = (one, other) => Number(one) - Number(other);
    expect(() => join(a, b, 'orders', byNumber)).toThrow(/compare answered "NaN" for "7" and "x-retry" of "orders"/);
    expect(() => join(a, b, 'orders', (() => 'less') as never)).toThrow(/compare answered "less" for/);
    const mistake = new Error('no such place');
    const throwing = (): never => {
      throw mistake;
    };
    expect(catching(() => compareCheckpoints(a, b, 'orders', throwing))).toMatchObject({
      message: expect.stringContaining('compare threw Error: no such place for'),
      code: 'invalid-offset',
      source: 'orders',
      cause: mistake,
    });
  });

  it('tells compare which source it is about', () => {
    const asked: string[][] = [];
    join(at(0, 1, Offset.custom('a')), at(0, 1, Offset.custom('b')), 'orders', (...of) => {
      asked.push(of);
      return 1;
    });
    expect(asked).toContainEqual(['a', 'b', 'orders']);
  });
});

describe('what comes from outside', () => {
  it('is taken where it is a whole checkpoint', () => {
    fc.assert(
      fc.property(checkpoints, (checkpoint) => {
        expect(isCheckpoint(structuredClone(checkpoint))).toBe(true);
        const taken = asCheckpoint(checkpoint, 'orders', 'the test');
        expect(taken).toEqual(checkpoint);
        expect([Object.isFrozen(taken), Object.isFrozen(taken.offset ?? taken)]).toEqual([true, true]);
      }),
    );
  });

  it('is refused where a part of it is missing or wrong, with an error that names source, place and what was found', () => {
    const good = { epoch: 1, rank: 2, offset: Offset.sequence(3), committedAt: 4 };
    const garbage: unknown[] = [
      undefined,
      null,
      5,
      'text',
      [],
      {},
      () => good,
      { ...good, epoch: -1 },
      { ...good, epoch: 1.5 },
      { ...good, epoch: 2 ** 53 },
      { ...good, epoch: '1' },
      { ...good, epoch: 1n },
      { ...good, rank: Number.NaN },
      { ...good, rank: undefined },
      { ...good, committedAt: Number.POSITIVE_INFINITY },
      { ...good, committedAt: new Date(4) },
      { ...good, offset: null },
      { ...good, offset: 3n },
      { ...good, feed: 5 },
      { ...good, offset: { kind: 'sequence', value: 3 } },
    ];
    for (const value of garbage) {
      expect(isCheckpoint(value)).toBe(false);
      const thrown = catching(() => asCheckpoint(value, 'orders "eu"', 'the drawer'));
      expect(thrown).toBeInstanceOf(SerializationError);
      expect(thrown).toMatchObject({ source: 'orders "eu"', code: 'serialization' });
      expect((thrown as Error).message).toContain('the drawer');
      expect((thrown as Error).message).toContain('orders \\"eu\\"');
    }
    expect((catching(() => asCheckpoint({ ...good, epoch: -7 }, 'orders', 'x')) as Error).message).toContain('-7');
  });

  it('is refused whatever it is', () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true, withMap: true }),
        (value) => {
          fc.pre(!isCheckpoint(value));
          expect(catching(() => asCheckpoint(value, 'orders', 'x'))).toBeInstanceOf(SerializationError);
        },
      ),
    );
  });

  it('is refused with any one part replaced', () => {
    fc.assert(
      fc.property(
        checkpoints,
        fc.constantFrom('epoch', 'rank', 'committedAt'),
        fc.oneof(fc.string(), offsets, fc.constantFrom(undefined, null, Number.NaN, Number.NEGATIVE_INFINITY, 1n)),
        (checkpoint, part, value) => {
          expect(isCheckpoint({ ...checkpoint, [part]: value })).toBe(false);
        },
      ),
    );
  });
});

describe('beginEpoch', () => {
  const stored = { epoch: 7, rank: 9, offset: Offset.custom('x'), feed: 'log', committedAt: 5 };

  it('begins a higher epoch at an offset, as a tombstone, or where the source stands', () => {
    const reset = beginEpoch(stored, { offset: Offset.sequence(3) }, 8);
    expect(reset).toEqual({ epoch: reset.epoch, rank: 0, offset: Offset.sequence(3), committedAt: 8 });
    const tombstone = beginEpoch(reset, {}, 9);
    expect(tombstone).toEqual({ epoch: tombstone.epoch, rank: 0, offset: undefined, committedAt: 9 });
    const fence = beginEpoch(stored);
    expect(fence).toEqual({ ...stored, epoch: fence.epoch });
    for (const [before, after] of [
      [stored, reset],
      [reset, tombstone],
      [stored, fence],
      [fence, beginEpoch(fence)],
      [fence, beginEpoch(fence, {})],
    ] as const) {
      expect(after.epoch).toBeGreaterThan(before.epoch);
      expect(isCheckpoint(after)).toBe(true);
    }
  });

  it('tells a fence from a reset, also after others', () => {
    let last: Checkpoint | undefined;
    for (const fence of [true, false, false, true, true, false]) {
      last = beginEpoch(last, fence ? undefined : {});
      expect(isFence(last.epoch)).toBe(fence);
    }
    expect([0, 1, 2, 2 ** 19 - 1].map(isFence)).toEqual([false, false, false, false]);
    expect([2 ** 20, 2 ** 20 + 2 ** 19].map(isFence), 'the first of each').toEqual([true, false]);
  });

  it('never begins the same one twice upon the same checkpoint, but for one time in half a million', () => {
    const begun = Array.from({ length: 100 }, () => beginEpoch(stored, {}).epoch);
    expect(new Set(begun).size).toBeGreaterThan(97);
  });
});

describe('compareChange', () => {
  const [one, two, three] = [1, 2, 3].map((n) => ({ epoch: 5, rank: n, offset: Offset.sequence(n), committedAt: 0 }));

  it('lets a change through only upon what was expected', () => {
    if (!one || !two || !three) throw new Error('three checkpoints');
    const change = { expected: one, next: three };
    expect(compareChange(one, change, 'orders')).toBe('applied');
    expect(compareChange({ ...one, committedAt: 9 }, change, 'orders')).toBe('applied');
    expect(compareChange(two, change, 'orders')).toBe('moved');
    expect(compareChange(undefined, change, 'orders')).toBe('moved');
    expect(compareChange({ ...one, epoch: 4 }, change, 'orders')).toBe('moved');
    expect(compareChange({ ...one, rank: 0.5 }, change, 'orders')).toBe('moved');
    expect(compareChange(three, change, 'orders')).toBe('duplicate');
    expect(compareChange({ ...one, epoch: 6 }, change, 'orders')).toBe('fenced');
    expect(compareChange(undefined, { expected: undefined, next: one }, 'orders')).toBe('applied');
  });
});

function catching(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

it('what hangs on an offset that is read is not kept', () => {
  const offset: unknown = JSON.parse('{"kind":"custom","value":"x","__proto__":{"polluted":1},"more":2}');
  const found = asCheckpoint({ epoch: 0, rank: 0, offset, committedAt: 0 }, 'orders', 'a store');
  expect(Reflect.ownKeys(Object(found.offset))).toEqual(['kind', 'value']);
});
