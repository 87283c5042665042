import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidOffsetError, Offset } from '../../src/index.ts';
import { isOffset } from '../../src/offset.ts';
import { offsets, sequences, timestamps } from './arbitraries.ts';

const highest = 2n ** 64n - 1n;

describe('making an offset', () => {
  it('takes a sequence as a bigint, a number or digits', () => {
    const wanted = { kind: 'sequence', value: 42n };
    expect(Offset.sequence(42n)).toEqual(wanted);
    expect(Offset.sequence(42)).toEqual(wanted);
    expect(Offset.sequence('42')).toEqual(wanted);
    expect(Offset.sequence(-0)).toEqual({ kind: 'sequence', value: 0n });
    expect(Offset.sequence('18446744073709551615')).toEqual({ kind: 'sequence', value: highest });
    expect(Offset.sequence(Number.MAX_SAFE_INTEGER)).toEqual({ kind: 'sequence', value: 2n ** 53n - 1n });
  });

  it.each<[unknown, string]>([
    [-1, '-1'],
    [-1n, '-1n'],
    [1.5, '1.5'],
    [2 ** 53, '9007199254740992'],
    [highest + 1n, '18446744073709551616n'],
    ['18446744073709551616', '18446744073709551616'],
    ['', '""'],
    ['-1', '"-1"'],
    ['0x10', '0x10'],
    ['1e3', '1e3'],
    [' 1', '" 1"'],
    ['1\n', '1'],
    ['1n', '1n'],
    ['٤٢', '٤٢'],
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, 'Infinity'],
    [undefined, 'undefined'],
    [null, 'null'],
    [true, 'true'],
    [{ id: 1n }, '1n'],
    [Symbol('here'), 'Symbol(here)'],
    ['042', '042'],
  ])('refuses %o as a sequence and says so', (value, named) => {
    expectInvalid(() => Offset.sequence(value as never), named);
  });

  it('takes a timestamp as a Date, milliseconds or ISO 8601', () => {
    const wanted = { kind: 'timestamp', value: new Date('2026-01-02T03:04:05.678Z') };
    expect(Offset.timestamp(new Date('2026-01-02T03:04:05.678Z'))).toEqual(wanted);
    expect(Offset.timestamp(1_767_323_045_678)).toEqual(wanted);
    expect(Offset.timestamp('2026-01-02T03:04:05.678Z')).toEqual(wanted);
    expect(Offset.timestamp('2026-01-02T05:04:05.678+02:00')).toEqual(wanted);
    expect(Offset.timestamp('2026-01-02T03:04:05.678912Z')).toEqual(wanted);
    expect(Offset.timestamp('2024-02-29')).toEqual(Offset.timestamp(Date.UTC(2024, 1, 29)));
    expect(Offset.timestamp('+275760-09-13T00:00Z')).toEqual(Offset.timestamp(8.64e15));
    expect(Offset.timestamp(-1)).toEqual({ kind: 'timestamp', value: new Date(-1) });
  });

  it.each<[unknown, string]>([
    ['', '""'],
    ['yesterday', 'yesterday'],
    ['order 12', 'order 12'],
    ['42', '"42"'],
    ['2026-02-30T00:00:00Z', '2026-02-30'],
    ['2026-13-01', '2026-13'],
    ['2026-01-02 03:04', '2026-01-02 03:04'],
    ['2026-01-02T25:04Z', '25:04'],
    [Number.NaN, 'NaN'],
    [8.64e15 + 1, '8640000000000001'],
    [new Date(Number.NaN), ''],
    [undefined, 'undefined'],
    [null, 'null'],
    [true, 'true'],
    [5n, '5n'],
    [Symbol('here'), 'Symbol(here)'],
    [{}, '{}'],
    [[], '[]'],
  ])('refuses %o as a timestamp and says so', (value, named) => {
    expectInvalid(() => Offset.timestamp(value as never), named);
  });

  it('keeps a time that the caller changes later', () => {
    const date = new Date(5);
    const offset = Offset.timestamp(date);
    date.setTime(6);
    expect(offset).toEqual({ kind: 'timestamp', value: new Date(5) });
  });

  it('takes any text as a custom offset', () => {
    expect(Offset.custom('0_17')).toEqual({ kind: 'custom', value: '0_17' });
    expect(Offset.custom('')).toEqual({ kind: 'custom', value: '' });
  });

  it.each<[unknown, string]>([
    [5, '5'],
    [5n, '5n'],
    [undefined, 'undefined'],
    [null, 'null'],
    [['a'], '["a"]'],
    [Object.assign(Object.create(null), { id: 1n }), ''],
  ])('refuses %o as a custom offset and says so', (value, named) => {
    expectInvalid(() => Offset.custom(value as never), named);
  });

  it.each([
    [() => Offset.sequence(-1), '-1 is not a sequence: give a whole number from 0 to 2^64 − 1, large ones as a bigint'],
    [() => Offset.timestamp('soon'), '"soon" is not a timestamp: give a Date, milliseconds or an ISO 8601 string'],
    [() => Offset.custom(5 as never), '5 is not a custom offset: give a string'],
    [() => Offset.parse('42'), `"42" is not an offset: give 'seq:…', 'ts:…', 'custom:…', 'earliest' or 'latest'`],
  ])('refuses with what to give instead', (call, message) => {
    expect(call).toThrow(message);
  });

  it('knows the sentinels', () => {
    expect(Offset.earliest).toEqual({ kind: 'earliest' });
    expect(Offset.latest).toEqual({ kind: 'latest' });
    expect([Offset.earliest, Offset.latest, Offset.sequence(0)].map(Offset.isEarliest)).toEqual([true, false, false]);
    expect([Offset.earliest, Offset.latest, Offset.sequence(0)].map(Offset.isLatest)).toEqual([false, true, false]);
  });

  it('gives an object that nobody can change, and that survives being sent to another thread', () => {
    fc.assert(
      fc.property(offsets, (offset) => {
        expect(Object.isFrozen(offset)).toBe(true);
        const copy = structuredClone(offset);
        expect(copy).toEqual(offset);
        expect(isOffset(copy)).toBe(true);
        expect(Offset.equals(copy, offset)).toBe(true);
      }),
    );
  });
});

describe('the next offset', () => {
  it('is one further in a sequence', () => {
    expect(Offset.increment(Offset.sequence(41))).toEqual(Offset.sequence(42));
    expect(Offset.increment(Offset.sequence(highest - 1n))).toEqual(Offset.sequence(highest));
  });

  it('is an error past 2^64 − 1, which names the number', () => {
    expectInvalid(() => Offset.increment(Offset.sequence(highest)), '18446744073709551616');
  });

  it('is unknown for any other kind', () => {
    for (const offset of [Offset.timestamp(0), Offset.custom('1'), Offset.earliest, Offset.latest]) {
      expect(Offset.increment(offset)).toBeUndefined();
    }
  });
});

describe('comparing offsets', () => {
  const low = [Offset.earliest, Offset.latest];

  it('orders sequences by number and timestamps by time', () => {
    fc.assert(
      fc.property(fc.oneof(fc.tuple(sequences, sequences), fc.tuple(timestamps, timestamps)), ([a, b]) => {
        const [x, y] = [Number(valueOf(a) > valueOf(b)), Number(valueOf(a) < valueOf(b))];
        expect(Math.sign(Offset.compare(a, b) ?? Number.NaN)).toBe(x - y);
      }),
    );
    expect(Offset.compare(Offset.sequence(2n ** 63n + 1n), Offset.sequence(2n ** 63n))).toBeGreaterThan(0);
  });

  it('puts earliest before latest, and both before any event', () => {
    expect(Offset.compare(Offset.earliest, Offset.latest)).toBeLessThan(0);
    for (const sentinel of low) {
      for (const offset of [Offset.sequence(0), Offset.timestamp(-1), Offset.custom('')]) {
        expect(Offset.compare(sentinel, offset)).toBeLessThan(0);
        expect(Offset.compare(offset, sentinel)).toBeGreaterThan(0);
      }
    }
  });

  it('has no answer for opaque customs that differ, and for kinds that do not mix', () => {
    expect(Offset.compare(Offset.custom('1'), Offset.custom('2'))).toBeUndefined();
    expect(Offset.compare(Offset.custom('1'), Offset.custom('1'))).toBe(0);
    expect(Offset.compare(Offset.custom('1'), Offset.sequence(1))).toBeUndefined();
    expect(Offset.compare(Offset.sequence(1), Offset.timestamp(1))).toBeUndefined();
  });

  it('is reflexive and antisymmetric, and agrees with equals', () => {
    fc.assert(
      fc.property(offsets, offsets, (a, b) => {
        expect(Offset.compare(a, a)).toBe(0);
        expect(Offset.equals(a, a)).toBe(true);
        const [there, back] = [Offset.compare(a, b), Offset.compare(b, a)];
        expect(there === undefined ? back : Math.sign(there)).toBe(
          back === undefined ? undefined : 0 - Math.sign(back),
        );
        expect(Offset.equals(a, b)).toBe(there === 0);
      }),
    );
  });
});

describe('offsets as text', () => {
  it('are readable', () => {
    expect(Offset.format(Offset.sequence(42))).toBe('seq:42');
    expect(Offset.format(Offset.timestamp(1_767_323_045_678))).toBe('ts:2026-01-02T03:04:05.678Z');
    expect(Offset.format(Offset.custom('0_17'))).toBe('custom:0_17');
    expect(Offset.format(Offset.custom('seq:1'))).toBe('custom:seq:1');
    expect(Offset.format(Offset.earliest)).toBe('earliest');
    expect(Offset.format(Offset.latest)).toBe('latest');
  });

  it('parse is the inverse of format, for every kind', () => {
    fc.assert(
      fc.property(offsets, (offset) => {
        expect(Offset.parse(Offset.format(offset))).toEqual(offset);
      }),
    );
  });

  it('format is the inverse of parse: what is not written so is refused', () => {
    const near = fc.oneof(
      fc.string(),
      fc
        .constantFrom('seq:', 'ts:', 'custom:', 'SEQ:1', ' latest')
        .chain((head) => fc.string().map((tail) => head + tail)),
    );
    fc.assert(
      fc.property(near, (text) => {
        let offset: Offset;
        try {
          offset = Offset.parse(text);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidOffsetError);
          return;
        }
        expect(Offset.format(offset)).toBe(text);
      }),
    );
  });

  it.each<[unknown, string]>([
    ['', '""'],
    ['42', '42'],
    ['seq:', '""'],
    ['seq:-1', '-1'],
    ['seq:007', '007'],
    ['seq:18446744073709551616', '18446744073709551616'],
    ['ts:soon', 'soon'],
    ['ts:2026', '2026'],
    ['ts:March 7', 'March 7'],
    ['Earliest', 'Earliest'],
    ['latest ', 'latest '],
    [undefined, 'undefined'],
    [42, '42'],
    [null, 'null'],
  ])('refuses %o and says so', (text, named) => {
    expectInvalid(() => Offset.parse(text as never), named);
  });
});

describe('what is an offset', () => {
  it('is told from garbage', () => {
    const garbage: unknown[] = [
      undefined,
      null,
      5,
      'latest',
      {},
      [],
      { kind: 'sequence' },
      { kind: 'sequence', value: 1 },
      { kind: 'sequence', value: -1n },
      { kind: 'sequence', value: highest + 1n },
      { kind: 'timestamp', value: new Date(Number.NaN) },
      { kind: 'timestamp', value: '2026-01-02T03:04:05.678Z' },
      { kind: 'custom', value: 1 },
      { kind: 'toString' },
    ];
    for (const value of garbage) expect(isOffset(value), String(value)).toBe(false);
  });
});

function valueOf(offset: Offset): bigint | Date | string {
  return 'value' in offset ? offset.value : offset.kind;
}

function expectInvalid(call: () => unknown, named: string): void {
  let thrown: unknown;
  try {
    thrown = `no error but ${String(call())}`;
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(InvalidOffsetError);
  expect(thrown).toMatchObject({ name: 'InvalidOffsetError', code: 'invalid-offset' });
  expect((thrown as InvalidOffsetError).message).toContain(named);
}
