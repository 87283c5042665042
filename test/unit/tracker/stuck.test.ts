import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Change, type ChangeResult, Offset, OffsetTracker } from '../../../src/index.ts';
import { TestStore } from './test-store.ts';

const { sequence } = Offset;

/** Waits for what an effect does, as databases do, and after it as long as a test says. */
class PatientStore extends TestStore {
  after: () => Promise<void> = async () => {};

  override async transact(source: string, change: Change, effect: () => unknown): Promise<ChangeResult> {
    await effect();
    await this.after();
    return super.transact(source, change, () => {});
  }
}

const never = (): Promise<never> => new Promise(() => {});
const second = (count: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, count * 1000));

/** What has become of promises by now. */
function outcomes(promises: readonly Promise<unknown>[]): unknown[] {
  const seen: unknown[] = promises.map(() => 'waits');
  promises.forEach((promise, i) => {
    promise.then(
      (value) => (seen[i] = value),
      (error: Error) => (seen[i] = error.message),
    );
  });
  return seen;
}

/** What becomes of an effect, and of a record that waits for it. */
async function beside(effect: () => unknown, store = new PatientStore()): Promise<unknown[]> {
  const tracker = new OffsetTracker(store);
  const reading = await tracker.read('orders');
  const applied = reading.transact(sequence(1), effect);
  await vi.advanceTimersByTimeAsync(0);
  return outcomes([applied, tracker.record('clicks', sequence(1))]);
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('work that others wait for', () => {
  it.each([
    ['runs', Date.now],
    ['stands still', () => 0],
  ])('is given up after 15 seconds, and said to be a Worker’s last: the clock %s', async (_, now) => {
    const store = new TestStore();
    const tracker = new OffsetTracker(store, { now, onError: () => {} });
    const reading = await tracker.read('orders');
    const { commit } = TestStore.prototype;
    store.commit = never;
    const first = reading.record(sequence(1));
    await vi.advanceTimersByTimeAsync(1000);
    store.commit = commit;
    const seen = outcomes([first, tracker.record('clicks', sequence(1))]);
    await vi.advanceTimersByTimeAsync(13_999);
    expect(seen).toEqual(['waits', 'waits']);
    await vi.advanceTimersByTimeAsync(1);
    await expect(first).rejects.toMatchObject({ name: 'StorageError', retryable: true });
    expect(seen).toEqual([
      expect.stringMatching(
        /^the store has not answered for 15000 ms, and others wait: .* left it behind: use one tracker an/,
      ),
      'committed',
    ]);
  });

  it.each([
    ['runs', async () => second(120)],
    ['fails', async () => second(120).then(() => Promise.reject(new Error('the effect is broken')))],
  ])('has all the time that an effect %s', async (_, effect) => {
    const seen = await beside(effect);
    await vi.advanceTimersByTimeAsync(119_000);
    expect(seen).toEqual(['waits', 'waits']);
    await vi.advanceTimersByTimeAsync(1000);
    expect(seen).toEqual([expect.stringMatching(/applied|broken/), 'committed']);
  });

  it('has 15 seconds again once an effect has ended', async () => {
    const store = new PatientStore();
    store.after = never;
    const seen = await beside(() => second(20), store);
    await vi.advanceTimersByTimeAsync(34_999);
    expect(seen).toEqual(['waits', 'waits']);
    await vi.advanceTimersByTimeAsync(1);
    expect(seen).toEqual([expect.stringContaining('has not answered for 15000 ms'), 'committed']);
  });

  it('is given up after 10 minutes where an effect never ends', async () => {
    const seen = await beside(never);
    await vi.advanceTimersByTimeAsync(599_999);
    expect(seen).toEqual(['waits', 'waits']);
    await vi.advanceTimersByTimeAsync(1);
    expect(seen).toEqual([expect.stringContaining('an effect has not ended for 600000 ms'), 'committed']);
  });
});
