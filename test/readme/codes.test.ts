import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };

const root = join(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => read(join('src', file)));
const troubleshooting = read('docs/troubleshooting.md');

/** The members of a union of string literals. */
function membersOf(type: string): string[] {
  const union = sources.map((text) => new RegExp(`type ${type} =(?<members>[^;]+);`).exec(text)).find(Boolean);
  return [...(union?.groups?.members ?? '').matchAll(/'(?<word>[^']+)'/g)].map(({ groups }) => groups?.word ?? '');
}

test('troubleshooting names every code of an error, and its class', () => {
  const codes = membersOf('OffsetErrorCode');
  expect(codes.length).toBeGreaterThan(10);
  expect(codes.filter((code) => !troubleshooting.includes(`'${code}'`))).toEqual([]);
  const classes = sources.flatMap((text) =>
    [...text.matchAll(/export class (?<name>\w+Error)\b/g)].map(({ groups }) => groups?.name ?? ''),
  );
  expect(classes).toContain('FencedError');
  expect(classes.filter((name) => !troubleshooting.includes(name))).toEqual([]);
});

test('troubleshooting names every code of a warning', () => {
  const told = sources.flatMap((text) =>
    [...text.matchAll(/\bwarn\(\s*['`](?<code>[^'`]+)['`]/g)].map(({ groups }) => groups?.code ?? ''),
  );
  const codes = [...new Set([...membersOf('FeedWarning'), ...told.filter((code) => !code.includes('$'))])];
  expect(codes).toEqual(expect.arrayContaining(['no-ids', 'handler-let-go', 'view-gap', 'not-cloneable']));
  expect(codes.filter((code) => !troubleshooting.includes(`'${code}'`))).toEqual([]);
});

test('the README says that a dedicated worker gets no notice, and that each user needs a store', () => {
  const readme = read('README.md').replaceAll(/\s+/g, ' ');
  expect(readme).toMatch(/\bdedicated worker\b\S*,? which gets no notice/);
  expect(readme).toMatch(/\bstore, for each user\b/);
});

test('troubleshooting names every reason for which a connection is taken for dead', () => {
  const reasons = membersOf('FeedReason');
  expect(reasons).toContain('asleep');
  expect(reasons.filter((reason) => !troubleshooting.includes(`'${reason}'`))).toEqual([]);
});

test('the page of the stores names each, with its import', () => {
  const stores = read('docs/stores.md');
  const others = new Set(['.', './react', './serve', './testing', './package.json']);
  const subpaths = Object.keys(manifest.exports).filter((subpath) => !others.has(subpath));
  expect(subpaths.filter((subpath) => !stores.includes(`\`tidemark${subpath.slice(1)}\``))).toEqual([]);
});

test('the sizes in the manual are those that the limits hold', () => {
  const limits: { readonly name: string; readonly limit: string }[] = JSON.parse(read('.size-limit.json'));
  const told = new Map(
    [...read('docs/measured.md').matchAll(/^\| (?<name>.*?) +\| (?<kB>\d+\.\d) +\|$/gm)].map(({ groups }) => [
      groups?.name,
      Number(groups?.kB),
    ]),
  );
  const wrong = limits.filter(({ name, limit }) => {
    const kB = told.get(name);
    const most = Number(limit.replace(' kB', ''));
    return kB === undefined || kB > most || kB < most - 0.3;
  });
  expect(wrong).toEqual([]);
});
