import { describe, expect, test } from 'vitest';
import { Backoff } from '../../../src/resume/backoff.ts';

describe('the time before a feed is reopened', () => {
  function backoff({ random = 1 } = {}) {
    const clock = { ms: 0 };
    const options = { minDelayMs: 100, maxDelayMs: 1000, random: () => random, now: () => clock.ms };
    return Object.assign(new Backoff(options), { clock });
  }

  test('doubles up to a limit while the feed shows no life', () => {
    const waits = backoff();
    expect(Array.from({ length: 6 }, () => waits.next())).toEqual([100, 200, 400, 800, 1000, 1000]);
  });

  test('is random within that span, down to nothing', () => {
    expect(backoff({ random: 0 }).next()).toBe(0);
    expect(backoff({ random: 0.25 }).next()).toBe(25);
  });

  test('is never below what the server asks for, whether for once or for always', () => {
    const waits = backoff({ random: 0 });
    expect(waits.next(5000)).toBe(5000);
    waits.floorMs = 3000;
    expect([waits.next(), waits.next(100), waits.next(9000)]).toEqual([3000, 3000, 9000]);
  });

  test('starts anew after a connection that stood for that long, though it showed no life', () => {
    const waits = backoff();
    for (let i = 0; i < 3; i++) waits.next();
    waits.opened();
    waits.clock.ms += 799;
    expect(waits.next()).toBe(800);
    waits.opened();
    waits.clock.ms += 1000;
    expect(waits.next()).toBe(100);
  });

  test('is no longer than a timer can be', () => {
    expect(backoff().next(1e15)).toBe(2 ** 31 - 1);
  });
});
