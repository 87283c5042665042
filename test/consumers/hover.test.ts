import { join } from 'node:path';
import ts from 'typescript-5.6';
import { expect, inject, test } from 'vitest';

/** What people write, with the name that they point at last. */
const withExample = [
  'Offset.sequence',
  'Offset.timestamp',
  'Offset.custom',
  'Offset.isEarliest',
  'Offset.isLatest',
  'Offset.increment',
  'Offset.equals',
  'Offset.compare',
  'Offset.format',
  'Offset.parse',
  'new InMemoryOffsetStore',
  'new StorageError',
  'new SerializationError',
  'new OffsetError',
  'new OffsetTracker',
  'tracker.read',
  'tracker.record',
  'tracker.begin',
  'tracker.commit',
  'tracker.reset',
  'tracker.getOffset',
  'tracker.status',
  'tracker.subscribe',
  'reading.record',
  'reading.begin',
  'resume',
  'sse',
];
const withText = [
  'Offset.earliest',
  'Offset.latest',
  'new InvalidOffsetError',
  'new UnsupportedError',
  'new LockError',
];

const editor = open([...withExample, ...withText]);

test.each(withExample)('an editor shows what %s does, and an example', (name) => {
  expect(editor.show(name)).toEqual({ text: expect.stringMatching(/\w{3}/), example: expect.stringMatching(/\w{3}/) });
});

test.each(withExample.filter((name) => name.startsWith('Offset.')))(
  'a list of suggestions says what %s does',
  (name) => {
    expect(editor.suggest(name)).toMatch(/\w{3}/);
  },
);

test.each(withText)('an editor shows what %s is', (name) => {
  expect(editor.show(name).text).toMatch(/\w{3}/);
});

/** An editor on a file that says each of these; its language service is that of TypeScript 5.6, for 7 has none for Node. */
function open(expressions: readonly string[]) {
  const file = join(inject('installed'), 'hover.ts');
  const names = expressions.map((expression) => /\w+/.exec(expression.replace('new ', ''))?.[0]);
  const calls = expressions.map((expression) => `${expression}();`);
  const imported = [...new Set([...names, 'OffsetTracker', 'Reading'])].filter(
    (name) => !/^(tracker|reading)$/.test(name ?? ''),
  );
  const declared = 'declare const tracker: OffsetTracker;\ndeclare const reading: Reading;';
  const text = [`import { ${imported.join(', ')} } from 'tidemark';`, declared, ...calls].join('\n');
  const service = ts.createLanguageService({
    getCompilationSettings: () => ({ module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2022, types: ['node'] }),
    getScriptFileNames: () => [file],
    getScriptVersion: () => '1',
    getScriptSnapshot: (name) => {
      const found = name === file ? text : ts.sys.readFile(name);
      return found === undefined ? undefined : ts.ScriptSnapshot.fromString(found);
    },
    getCurrentDirectory: () => inject('installed'),
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: (name) => name === file || ts.sys.fileExists(name),
    readFile: ts.sys.readFile,
    directoryExists: ts.sys.directoryExists,
    getDirectories: ts.sys.getDirectories,
  });
  const endOf = (expression: string): number => text.indexOf(`\n${expression}();`) + expression.length;
  const show = (expression: string) => {
    const info = service.getQuickInfoAtPosition(file, endOf(expression));
    const example = info?.tags?.find((tag) => tag.name === 'example');
    return { text: ts.displayPartsToString(info?.documentation), example: ts.displayPartsToString(example?.text) };
  };
  const suggest = (expression: string): string => {
    const name = expression.replace('Offset.', '');
    const details = service.getCompletionEntryDetails(file, endOf(expression), name, {}, undefined, {}, undefined);
    return ts.displayPartsToString(details?.documentation);
  };
  return { show, suggest };
}
