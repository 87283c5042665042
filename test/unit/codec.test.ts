import fc from 'fast-check';
import superjson from 'superjson';
import { describe, expect, it } from 'vitest';
import { isCheckpoint } from '../../src/checkpoint.ts';
import { decode, encode } from '../../src/codec.ts';
import { Offset, SerializationError } from '../../src/index.ts';
import { checkpoints } from './arbitraries.ts';

describe('a checkpoint as text', () => {
  it('comes back as it was, whatever its kind', () => {
    fc.assert(
      fc.property(checkpoints, (checkpoint) => {
        const back = decode(encode(checkpoint), 'orders', 'the test');
        expect(back).toEqual(checkpoint);
        expect(Object.hasOwn(back, 'offset')).toBe(true);
      }),
    );
  });

  it('is what superjson makes of it, and both read it alike', () => {
    fc.assert(
      fc.property(checkpoints, (checkpoint) => {
        const { feed, ...others } = checkpoint;
        const text = superjson.stringify({ ...others, ...(feed !== undefined && { feed }) });
        expect(JSON.parse(encode(checkpoint))).toEqual(JSON.parse(text));
        expect(superjson.parse(encode(checkpoint))).toEqual(superjson.parse(text));
        expect(decode(text, 'orders', 'the test')).toEqual(checkpoint);
      }),
    );
  });

  it('is JSON that a person can read, of whole characters only', () => {
    const text = encode({ epoch: 0, rank: 1, offset: Offset.custom('\ud800'), committedAt: 2 });
    expect(JSON.parse(text)).toMatchObject({ json: { epoch: 0, rank: 1, committedAt: 2 } });
    expect(new TextDecoder().decode(new TextEncoder().encode(text))).toBe(text);
  });

  it('holds the checkpoint alone, not what else hangs on it', () => {
    const checkpoint = { epoch: 0, rank: 1, offset: Offset.sequence(1), committedAt: 2, secret: 'x' };
    expect(encode(checkpoint)).not.toContain('secret');
  });

  it.each([
    ['nothing', ''],
    ['half a record', encode({ epoch: 0, rank: 1, offset: Offset.sequence(1), committedAt: 2 }).slice(0, 30)],
    ['text', 'hello'],
    ['null', 'null'],
    ['a number', '42'],
    ['an empty object', '{}'],
    ['an array', '[]'],
    [
      'a checkpoint without its kinds',
      '{"json":{"epoch":0,"rank":1,"offset":{"kind":"sequence","value":"1"},"committedAt":2}}',
    ],
    ['a sentinel with a value', '{"json":{"epoch":0,"rank":1,"offset":{"kind":"latest","value":{}},"committedAt":2}}'],
    ['an unknown kind', '{"json":{"epoch":0,"rank":1,"offset":{"kind":"x"},"committedAt":2}}'],
    ['a bad number', '{"json":{"offset":{"value":"x"}},"meta":{"values":{"offset.value":["bigint"]}}}'],
    [
      'a checkpoint without an offset that does not say so',
      '{"json":{"epoch":0,"rank":1,"offset":null,"committedAt":2},"meta":{"values":{"offset":[]},"v":1}}',
    ],
    ['a checkpoint that has lost its offset, which is no tombstone', '{"json":{"epoch":0,"rank":1,"committedAt":2}}'],
    [
      'a sequence that has lost its digits, which is not 0',
      '{"json":{"epoch":0,"rank":1,"offset":{"kind":"sequence","value":""},"committedAt":2},"meta":{"values":{"offset.value":["bigint"]}}}',
    ],
    ['a reach for the prototype', '{"json":{"__proto__":{}},"meta":{"values":{"__proto__.x":["Date"]}}}'],
  ])('is refused where it is %s, with an error that names the source and the place', (_, text) => {
    let thrown: unknown;
    try {
      decode(text, 'orders', 'drawer 7');
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(SerializationError);
    expect(thrown).toMatchObject({ source: 'orders' });
    expect((thrown as Error).message).toMatch(/^drawer 7: .*"orders"/);
  });

  it('that is no JSON comes with what the parser says', () => {
    let thrown: unknown;
    try {
      decode('{"json":', 'orders', 'drawer 7');
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ message: expect.stringContaining('{\\"json\\":'), cause: expect.any(SyntaxError) });
  });

  it('holds no feed where there is none', () => {
    expect(encode({ epoch: 0, rank: 1, offset: Offset.sequence(1), committedAt: 2 })).not.toContain('feed');
    expect(encode({ epoch: 0, rank: 1, offset: Offset.custom('a'), feed: 'f', committedAt: 2 })).toContain(
      '"feed":"f"',
    );
  });

  it('is a checkpoint or a SerializationError, whatever the text', () => {
    const whole = encode({ epoch: 3, rank: 4, offset: Offset.sequence(5), committedAt: 6 });
    const mangled = fc
      .tuple(fc.nat({ max: whole.length }), fc.nat({ max: 5 }), fc.string({ maxLength: 5 }))
      .map(([at, drop, put]) => whole.slice(0, at) + put + whole.slice(at + drop));
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), mangled), (text) => {
        try {
          expect(isCheckpoint(decode(text, 'orders', 'x'))).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(SerializationError);
        }
      }),
      { numRuns: 300 },
    );
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });
});
