import { expect, it } from 'vitest';
import { allOrders } from './local-storage.ts';
import { check } from './check.ts';
import { plans } from './plans.ts';
import { mulberry32 } from '../random.ts';
import { enumerate, sample } from './programs.ts';

// What `npm run model` does at length. On a busy machine it stops early, with what is most likely to find something first.
it.each(plans.map(({ name }) => name))('every schedule of small programs keeps what is promised: %s', async (name) => {
  const lines: string[] = [];
  const tally = await check({ operations: 3, samples: 0, states: 0, plan: name, ms: 3000 }, (line) => lines.push(line));
  console.log(lines[0]);
  expect(tally.programs).toBeGreaterThan(0);
  expect(tally.schedules).toBeGreaterThan(tally.programs);
});

it('loses nothing of what real localStorage stores wrote, whatever is folded and however late it arrives', async () => {
  const { programs, schedules } = await allOrders(4, performance.now() + 3000);
  console.log(`${programs} programs, ${schedules} schedules`);
  expect(schedules).toBeGreaterThan(programs);
});

it('names each program once, and tabs that could change places in one order', () => {
  const shown = Array.from(enumerate(2, 4, false, true), ({ programs, salts }) => JSON.stringify([programs, salts]));
  expect(new Set(shown).size).toBe(shown.length);
  const count = (...tabs: string[]): number =>
    shown.filter((each) => each.includes(JSON.stringify(tabs.map((tab) => tab.split(' '))))).length;
  expect(count('read record', 'read fence')).toBe(1);
  expect(count('read fence', 'read record')).toBe(0);
  expect(count('read fence', 'read clear')).toBe(2);
  expect(count('read clear', 'read fence')).toBe(0);
});

it('draws programs of the size that it is asked for, the same for the same seed', () => {
  const draw = () => [...sample(3, 8, false, 20, mulberry32(7))];
  for (const { programs } of draw()) expect(programs.flat()).toHaveLength(8);
  expect(draw()).toEqual(draw());
});
