import { describe, expect, it } from 'vitest';
import {
  FeedChangedError,
  FeedExpiredError,
  InvalidOffsetError,
  LockError,
  OffsetError,
  SerializationError,
  SourceNotFoundError,
  StorageError,
  UnsupportedError,
  quote,
} from '../../src/errors.ts';

describe('errors', () => {
  it.each([
    ['StorageError', 'storage', new StorageError('m')],
    ['SerializationError', 'serialization', new SerializationError('m')],
    ['SourceNotFoundError', 'source-not-found', new SourceNotFoundError('orders')],
    ['LockError', 'lock', new LockError('m')],
    ['InvalidOffsetError', 'invalid-offset', new InvalidOffsetError('m')],
    ['UnsupportedError', 'unsupported', new UnsupportedError('m')],
    ['FeedExpiredError', 'feed-expired', new FeedExpiredError('m')],
    ['FeedChangedError', 'feed-changed', new FeedChangedError('m')],
    ['OffsetError', 'closed', new OffsetError('closed', 'm')],
  ])('a %s can be told by class, name and code', (name, code, error) => {
    expect(error).toBeInstanceOf(OffsetError);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name, code });
    expect(String(error)).toMatch(new RegExp(`^${name}: `));
    expect(error.stack).toContain('errors.test');
  });

  it('carry the source and what the platform threw', () => {
    const cause = new Error('disk');
    const error = new StorageError('m', { source: 'orders', cause, retryable: true });
    expect(error).toMatchObject({ source: 'orders', retryable: true });
    expect(error.cause).toBe(cause);
    expect(new StorageError('m')).toMatchObject({ source: undefined, retryable: false });
    expect('cause' in new StorageError('m')).toBe(false);
  });

  it('of a changed feed say which log was left and which was found', () => {
    const error = new FeedChangedError('m', { source: 'orders', expected: 'a1', found: 'b2' });
    expect(error).toMatchObject({ source: 'orders', expected: 'a1', found: 'b2' });
    expect(new FeedChangedError('m')).toMatchObject({ expected: undefined, found: undefined });
  });

  it('a source of which nothing is committed is named, with what to do', () => {
    const error = new SourceNotFoundError('orders "eu"');
    expect(error.source).toBe('orders "eu"');
    expect(error.message).toContain('"orders \\"eu\\""');
    expect(error.message).toContain('reset');
  });
});

describe('a value in a message', () => {
  it.each<[unknown, string]>([
    ['a\n"b"', '"a\\n\\"b\\""'],
    [42n, '42n'],
    [undefined, 'undefined'],
    [null, 'null'],
    [Number.NaN, 'NaN'],
    [{ kind: 'sequence', value: -1n }, '-1n'],
    [[1, { deep: 2n }], '2n'],
    [Symbol('x'), 'Symbol(x)'],
  ])('%o is shown as what it is', (value, shown) => {
    expect(quote(value)).toContain(shown);
  });

  it('has a length that fits a log line', () => {
    expect(quote('x'.repeat(5000))).toHaveLength(80);
    expect(quote('x'.repeat(5000)).endsWith('…')).toBe(true);
    expect(quote('x'.repeat(78))).toHaveLength(80);
  });

  it('never throws, whatever it is', () => {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    const bare: unknown = Object.assign(Object.create(null), { id: 1n });
    const throwing = {
      get x(): never {
        throw new Error('no');
      },
    };
    for (const value of [circle, bare, throwing, { toJSON: () => 1n }]) expect(typeof quote(value)).toBe('string');
  });
});
