import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Strategy } from '../../../src/index.ts';
import { isNode } from '../runtime.ts';
import { Tab } from './tab.ts';
import { type Fate, World, numberedFeed, opaqueFeed } from './world.ts';

/** `npm run nightly` asks for more. */
const asked = isNode ? Number(process.env.SCHEDULES ?? 0) : 0;
const numRuns = asked || (isNode ? 1500 : 150);

type Command = (tab: Tab, world: World) => void;

const pick = fc.nat({ max: 5 });
const source = fc.constantFrom('a', 'b');
const fate = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Fate>('ok') },
  { weight: 2, arbitrary: fc.constantFrom<Fate>('before', 'after', 'guilty') },
);
const strategy = fc.constantFrom<Strategy>('auto', 'manual', { every: 2 }, { every: 3 });

/** A command as it is shown when a test fails. */
function command(name: string, args: readonly unknown[], run: Command): Command {
  return Object.assign(run, { toString: () => `${name}(${args.join(', ')})` });
}

const commands: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.tuple(pick, fate).map(([p, f]) => command('step', [p, f], (_, world) => world.step(p, f))),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(pick, fc.boolean())
      .map(([p, keep]) => command('deliver', [p, keep], (_, world) => world.deliver(p, keep))),
  },
  { weight: 1, arbitrary: pick.map((p) => command('lose', [p], (_, world) => world.lose(p))) },
  { weight: 10, arbitrary: source.map((s) => command('record', [s], (tab) => tab.record(s))) },
  { weight: 2, arbitrary: source.map((s) => command('repeat', [s], (tab) => tab.repeat(s))) },
  { weight: 6, arbitrary: source.map((s) => command('begin', [s], (tab) => tab.begin(s))) },
  { weight: 6, arbitrary: pick.map((p) => command('done', [p], (tab) => tab.done(p))) },
  { weight: 1, arbitrary: pick.map((p) => command('abandon', [p], (tab) => tab.abandon(p))) },
  { weight: 6, arbitrary: source.map((s) => command('read', [s], (tab) => tab.read(s))) },
  { weight: 2, arbitrary: source.map((s) => command('fence', [s], (tab) => tab.read(s, true))) },
  { weight: 1, arbitrary: source.map((s) => command('close', [s], (tab) => tab.close(s))) },
  { weight: 1, arbitrary: source.map((s) => command('blind', [s], (tab) => tab.blind(s))) },
  { weight: 2, arbitrary: source.map((s) => command('commit', [s], (tab) => tab.commit(s))) },
  { weight: 2, arbitrary: fc.constant(command('commitAll', [], (tab) => void tab.commitAll())) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(source, fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }))
      .map(([s, place]) => command('reset', [s, place], (tab) => tab.reset(s, place))),
  },
  { weight: 1, arbitrary: fc.constant(command('crash', [], (tab) => tab.crash())) },
  { weight: 2, arbitrary: fc.constant(command('hide', [], (tab) => tab.hide())) },
  { weight: 3, arbitrary: fc.constant(command('show', [], (tab) => tab.show())) },
);

afterEach(() => {
  vi.restoreAllMocks();
});

describe.each([
  ['sequences', numberedFeed],
  ['opaque cursors', opaqueFeed],
])('two tabs on one failing store, with %s,', (_, feed) => {
  it('commit only what was processed, never go back, tell the truth, and commit everything in the end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(strategy, strategy),
        fc.boolean(),
        fc.array(fc.tuple(fc.nat({ max: 1 }), commands), { minLength: 20, maxLength: 150, size: 'max' }),
        async (strategies, atomic, script) => {
          repeatRandom();
          const world = new World(feed, atomic);
          const tabs = strategies.map((each) => new Tab(world, each));
          const look = async (): Promise<void> => {
            await settle();
            for (const tab of tabs) tab.check();
            if (world.wrong) throw world.wrong;
          };
          // Everybody reads from the start on, or most scripts would do nothing for long.
          for (const tab of tabs) for (const name of ['a', 'b']) tab.read(name);
          for (const [index, run] of script) {
            const tab = tabs[index];
            if (tab) run(tab, world);
            await look();
          }
          const calm = async (): Promise<void> => {
            await look();
            for (let steps = 0; world.calls.length > 0 || world.messages.length > 0; steps++) {
              expect(steps, 'the store comes to rest').toBeLessThan(5000);
              world.step(0, 'ok');
              if (steps % 2) world.deliver(0, false);
              await look();
            }
          };
          await calm();
          for (const tab of tabs) void tab.commitAll();
          await calm();
          for (const tab of tabs) tab.checkEnd();
          await Promise.all(tabs.map((tab) => tab.tracker.close()));
          expect(world.calls, 'close has nothing left to write').toEqual([]);
        },
      ),
      { numRuns, ...(asked ? {} : { interruptAfterTimeLimit: 8_000 }) },
    );
  });
});

/** Epochs are random in part: the same script makes the same ones, so that it can be shrunk and run again. */
function repeatRandom(): void {
  let state = 1;
  vi.spyOn(Math, 'random').mockImplementation(() => (state = (state * 16807) % (2 ** 31 - 1)) / (2 ** 31 - 1));
}

/** Until nothing moves but for the store: no chain of promises in a tracker is nearly as long. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 60; turn++) await undefined;
}
