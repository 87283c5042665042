import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { defaultIn } from '../../docs/site/api/doc.ts';
import { type Export, readEntries } from '../../docs/site/api/model.ts';
import { referenceOf } from '../../docs/site/api/reference.ts';

const entries = readEntries();
const exported = entries.flatMap(({ exports }) => exports);
const named = ({ path, name }: Export): string => `${name} of ${path}`;

test('docs/reference.md is what the types say: `npm run docs:reference` writes it', async () => {
  const file = join(import.meta.dirname, '../../docs/reference.md');
  await expect(referenceOf(entries)).toMatchFileSnapshot(file);
});

test('every exported name has a docstring', () => {
  expect(exported.filter(({ doc }) => doc.text === '').map(named)).toEqual([]);
});

test('every member has a docstring, but where an interface is nothing but a shape', () => {
  const members = exported
    .filter(({ isPlain }) => !isPlain)
    .flatMap((one) => one.members.map((member) => ({ ...member, of: named(one) })));
  expect(members.filter(({ doc }) => doc.text === '').map(({ name, of }) => `${name} in ${of}`)).toEqual([]);
});

describe('every option', () => {
  const options = exported
    .filter(({ kind }) => kind === 'options')
    .flatMap((one) => one.members.map((member) => ({ ...member, title: `${member.name} in ${named(one)}` })));
  const failing = (isRight: (option: (typeof options)[number]) => boolean): string[] =>
    options.filter((option) => !isRight(option)).map(({ title }) => title);

  test('is found', () => {
    expect(options.map(({ title }) => title)).toEqual(
      expect.arrayContaining(['strategy in TrackerOptions of tidemark', 'key in UseFeedOwnOptions of tidemark/react']),
    );
    expect(options.length).toBeGreaterThan(100);
  });

  test('has a docstring', () => {
    expect(failing(({ doc }) => doc.text !== '')).toEqual([]);
  });

  test('that may be left out states its default', () => {
    expect(failing(({ isOptional, doc }) => !isOptional || Boolean(defaultIn(doc.text)))).toEqual([]);
  });

  test('that is a duration or a size names its unit', () => {
    const units: Readonly<Record<string, RegExp>> = { Ms: /\bms\b|milliseconds/i, Bytes: /\bbytes\b/ };
    expect(
      failing(({ name, doc }) =>
        Object.entries(units).every(([ending, unit]) => !name.endsWith(ending) || unit.test(doc.text)),
      ),
    ).toEqual([]);
  });

  test('that is a time in numbers has its unit in its name', () => {
    expect(
      failing(({ name, type, doc }) => type !== 'number' || !/\bms\b/.test(doc.text) || name.endsWith('Ms')),
    ).toEqual([]);
  });
});
