import { describe, expect, it } from 'vitest';
import { Offset, OffsetTracker } from '../../../src/index.ts';
import { TestStore } from './test-store.ts';

const { sequence } = Offset;

describe('clearAll', () => {
  it.each([true, false])('counts for a reading that has asked the store before: source known %s', async (known) => {
    const store = new TestStore([['orders', sequence(100)]]);
    const tracker = new OffsetTracker(store);
    if (known) await tracker.record('orders', sequence(101));
    const late = lateGet(store);
    const asked = tracker.read('orders');
    await late.found;
    await tracker.clearAll();
    late.answer();
    const reading = await asked;
    expect([reading.from, tracker.status('orders').committed]).toEqual([Offset.earliest, undefined]);
    expect(await reading.record(sequence(1))).toBe('committed');
    expect((await store.inner.get('orders'))?.offset).toEqual(sequence(1));
  });
});

/** Has the next `get` answer late with what it found early. */
function lateGet(store: TestStore): { readonly found: Promise<void>; readonly answer: () => void } {
  let answer = (): void => {};
  const answered = new Promise<void>((resolve) => (answer = resolve));
  const found = new Promise<void>((resolve) => {
    store.get = async (source) => {
      Reflect.deleteProperty(store, 'get');
      const checkpoint = await store.get(source);
      resolve();
      await answered;
      return checkpoint;
    };
  });
  return { found, answer };
}
