import { expect, test } from 'vitest';
import {
  type Change,
  type ChangeResult,
  InMemoryOffsetStore,
  Offset,
  OffsetTracker,
  StorageError,
} from '../../../src/index.ts';
import type { Applies } from '../../../src/tracker/transacting.ts';

/** Fails at one call of `transact`. */
class FailingStore extends InMemoryOffsetStore {
  failsAt = 0;
  #calls = 0;

  override async transact(source: string, change: Change, effect: () => unknown): Promise<ChangeResult> {
    if (++this.#calls === this.failsAt) throw new StorageError('the server is gone', { source, retryable: true });
    return super.transact(source, change, effect);
  }
}

test('a batch that is tried again leaves out what somebody else had applied before the failure', async () => {
  const store = new FailingStore();
  const mine = await new OffsetTracker(store).read('count');
  const theirs = await new OffsetTracker(store).read('count');
  const applied: number[] = [];
  const offsets = [1, 2, 3, 4].map((n) => Offset.sequence(n));
  const effect = (from: number) => [() => void applied.push(...[1, 2, 3, 4].slice(from))];
  await theirs.transact(Offset.sequence(2), () => void applied.push(1, 2));
  // The first call finds what they have applied; the second is cut off.
  store.failsAt = 3;
  const apply = () => (mine as unknown as Applies).apply({ offsets, effect, divisible: true });
  await expect(apply()).rejects.toThrow('the server is gone');
  expect(await apply()).toBe('applied');
  expect(applied).toEqual([1, 2, 3, 4]);
  expect(await apply()).toBe('duplicate');
});
