import { databaseName } from '../database.ts';
import type { Settings } from '../settings.ts';
import type { Way } from './tidemark.ts';

/** The files that run the lanes, as text. */
const files = import.meta.glob<string>(
  ['./alone.ts', './at-least-once.ts', './choices.ts', './event-source.ts', './exactly-once.ts'],
  { query: '?raw', import: 'default', eager: true },
);
const [choices = '', eventSource = ''] = [files['./choices.ts'], files['./event-source.ts']];

const ways: Readonly<Record<Way, string>> = {
  'at least once': files['./at-least-once.ts'] ?? '',
  'exactly once': files['./exactly-once.ts'] ?? '',
  alone: files['./alone.ts'] ?? '',
};

/** The lines that run the lane without tidemark, from the file that runs it. */
export function plainCode(url: string): string {
  return shown(eventSource).replace('(url)', `(${quote(url)})`);
}

/** The lines that run the lane with tidemark, from the files that run it. */
export function tidemarkCode({ store, strategy, feed }: Settings, way: Way, url: string): string {
  const expression = lineOf(
    choices,
    way === 'exactly once' ? /^export const ownStore = \(\) => (.*);$/m : choice(store),
  );
  const [, name = ''] = /^new (\w+)/.exec(expression) ?? [];
  const [, from = ''] = new RegExp(`^import .*\\b${name}\\b.* from '(.*)';$`, 'm').exec(choices) ?? [];
  const core = from === 'tidemark' ? `, ${name}` : '';
  const imports = [`import { OffsetTracker, resume, sse${core} } from 'tidemark';`];
  if (!core) imports.push(`import { ${name} } from '${from}';`);
  const options = way === 'exactly once' ? '' : `, {\n  strategy: ${lineOf(choices, choice(strategy))},\n}`;
  const made = expression.replace('databaseName', quote(databaseName));
  const tracker = `const store = ${made};\nconst tracker = new OffsetTracker(store${options});`;
  const given = `const source = ${quote(feed)};\nconst url = ${quote(url)};`;
  return [imports.join('\n'), `${tracker}\n${given}`, shown(ways[way])].join('\n\n');
}

/** The lines between the marks of a file, without their indent. */
function shown(file: string): string {
  const [, lines = ''] = /\/\/ #region shown\n(.*?)\n *\/\/ #endregion/s.exec(file) ?? [];
  return lines.replace(/^ {2}/gm, '');
}

function lineOf(file: string, pattern: RegExp): string {
  const [, line = ''] = pattern.exec(file) ?? [];
  return line;
}

function choice(name: string): RegExp {
  return new RegExp(`^ {2}${name}: (?:\\(\\) => )?(.*),$`, 'm');
}

function quote(text: string): string {
  return `'${text}'`;
}
