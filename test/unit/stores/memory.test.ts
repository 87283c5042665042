import { describe, expect, it } from 'vitest';
import { InMemoryOffsetStore, InvalidOffsetError, Offset, OffsetTracker } from '../../../src/index.ts';
import { testOffsetStore } from '../../../src/testing/index.ts';

testOffsetStore('InMemoryOffsetStore', ({ compare }) => new InMemoryOffsetStore([], { compare }), {
  describe,
  it,
  expect,
});

describe('the memory store', () => {
  it('starts empty, or with what it is given', async () => {
    expect(await new InMemoryOffsetStore().getAll()).toEqual(new Map());
    const initial = new Map([
      ['orders', Offset.sequence(5)],
      ['__proto__', Offset.custom('x')],
      ['', Offset.latest],
    ]);
    const store = new InMemoryOffsetStore(initial);
    expect(await new OffsetTracker(store).getAllCommitted()).toEqual(initial);
    expect(await store.get('orders')).toEqual({ epoch: 0, rank: 0, offset: Offset.sequence(5), committedAt: 0 });
  });

  it('does not share what it was given', async () => {
    const initial: [string, Offset][] = [['orders', Offset.sequence(5)]];
    const store = new InMemoryOffsetStore(initial);
    initial.push(['late', Offset.sequence(1)]);
    expect([...(await store.getAll()).keys()]).toEqual(['orders']);
  });

  it('keeps its own of an offset that the caller changes later', async () => {
    const offset = { kind: 'sequence' as const, value: 5n };
    const store = new InMemoryOffsetStore([['orders', offset]]);
    offset.value = 9n;
    expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(5));
  });

  it('goes on from what it was given', async () => {
    const store = new InMemoryOffsetStore([['orders', Offset.sequence(5)]]);
    const tracker = new OffsetTracker(store);
    expect(await tracker.getOffset('orders')).toEqual(Offset.sequence(5));
    await tracker.record('orders', Offset.sequence(4));
    expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(5));
    await tracker.record('orders', Offset.sequence(6));
    expect((await store.get('orders'))?.offset).toEqual(Offset.sequence(6));
  });

  it('refuses to start with what is no offset, and names it', () => {
    const start = (): unknown => new InMemoryOffsetStore([['orders', { kind: 'sequence', value: 5 } as never]]);
    expect(start).toThrow(InvalidOffsetError);
    expect(start).toThrow(/"orders"/);
  });

  it('promises what it can: nothing outlives it, nobody shares it', () => {
    expect(new InMemoryOffsetStore().capabilities).toEqual({
      durability: 'none',
      transactional: true,
      consistency: 'strong',
      shared: 'none',
    });
  });

  it('orders customs as it is told', async () => {
    const store = new InMemoryOffsetStore([['orders', Offset.custom('10')]], {
      compare: (a, b) => Number(a) - Number(b),
    });
    const tracker = new OffsetTracker(store);
    await tracker.record('orders', Offset.custom('9'));
    expect(await tracker.getOffset('orders')).toEqual(Offset.custom('10'));
    await tracker.record('orders', Offset.custom('11'));
    expect(await tracker.getOffset('orders')).toEqual(Offset.custom('11'));
  });
});
