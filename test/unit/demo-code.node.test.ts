import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { plainCode, tidemarkCode } from '../../demo/lanes/code.ts';
import { strategies, stores } from '../../demo/settings.ts';

const lanes = join(import.meta.dirname, '../../demo/lanes');

type Store = keyof typeof stores;
type Strategy = keyof typeof strategies;

/** All that can be chosen: "exactly once" is IndexedDB's alone. */
const choices = Object.keys(stores).flatMap((store) =>
  Object.keys(strategies)
    .filter((strategy) => strategy !== 'once' || store === 'indexeddb')
    .map((strategy) => ({ store: store as Store, strategy: strategy as Strategy })),
);

function wayOf(store: Store, strategy: Strategy) {
  if (strategy === 'once') return 'exactly once';
  return store === 'memory' ? 'alone' : 'at least once';
}

function codeOf({ store, strategy }: { store: Store; strategy: Strategy }): string {
  return tidemarkCode({ feed: 'demo', store, strategy, rate: undefined }, wayOf(store, strategy), '/feed?feed=demo');
}

test('the code that the demo shows compiles, whatever is chosen', async () => {
  const folder = await mkdtemp(join(import.meta.dirname, '.demo-code-'));
  try {
    for (const [i, choice] of choices.entries()) {
      const lines = choice.strategy === 'once' ? 'LinesInOne' : 'Lines';
      const given = ['signal', 'viewFrom', 'keep', 'show', 'showState'].map(
        (name) => `declare const ${name}: import('../../../demo/lanes/lines.ts').${lines}['${name}'];`,
      );
      const database = "declare const openLanes: typeof import('../../../demo/database.ts').openLanes;";
      await writeFile(join(folder, `${i}.ts`), [...given, database, codeOf(choice)].join('\n'));
    }
    const keep = "declare const keep: import('../../../demo/lanes/event-source.ts').PlainLines['keep'];";
    await writeFile(join(folder, 'plain.ts'), `${keep}\n${plainCode('/feed?feed=demo')}\nexport {};`);
    const options = { extends: '../../../tsconfig.json', include: ['*.ts'], exclude: [] };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(options));
    const compiler = join(import.meta.dirname, '../../node_modules/typescript/bin/tsc');
    const checked = promisify(execFile)(process.execPath, [compiler, '-p', folder]);
    await expect(checked.catch((error: { stdout: string }) => error.stdout)).resolves.toMatchObject({ stdout: '' });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('the code that the demo shows is the code that runs', async () => {
  const files = { 'at least once': 'at-least-once.ts', 'exactly once': 'exactly-once.ts', alone: 'alone.ts' };
  const made = await readFile(join(lanes, 'choices.ts'), 'utf8');
  for (const choice of choices) {
    const code = codeOf(choice);
    const running = await readFile(join(lanes, files[wayOf(choice.store, choice.strategy)]), 'utf8');
    const shown = code.slice(code.indexOf('const feed ='));
    expect(shown).toMatch(/^const feed = sse\(.*^await resume\(tracker, source, feed, \{.*^\}\);$/ms);
    expect(running).toContain(shown.replace(/^(?=.)/gm, '  '));
    const [, store = 'none'] = /^const store = (.*);$/m.exec(code) ?? [];
    expect(made).toContain(store.replace("'tidemark-demo-lanes'", 'databaseName'));
    const [, strategy] = /new OffsetTracker\(store, \{\n {2}strategy: (.*),\n\}\);$/m.exec(code) ?? [];
    if (choice.strategy !== 'once') expect(made).toContain(`${choice.strategy}: ${strategy},`);
  }
});
