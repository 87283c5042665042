import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { pages } from './blocks.ts';

const root = join(import.meta.dirname, '../..');
const manual = [...pages(), 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'];

/** A link of a page to another file of the repository, or to a part of it. */
interface Link {
  readonly page: string;
  readonly target: string;
}

/** The text of a page without its code, in which brackets are no links. */
function prose(page: string): string {
  return readFileSync(join(root, page), 'utf8')
    .replace(/^```[^]*?^```$/gm, '')
    .replace(/`[^`\n]+`/g, (code) => '·'.repeat(code.length));
}

function linksOf(page: string): Link[] {
  const found = prose(page).matchAll(/\]\((?<target>[^)\s]+)\)|(?:href|src)="(?<attribute>[^"]+)"/g);
  return [...found]
    .map(({ groups }) => ({ page, target: groups?.target ?? groups?.attribute ?? '' }))
    .filter(({ target }) => !/^[a-z]+:/.test(target));
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(page: string): Set<string> {
  const text = readFileSync(join(root, page), 'utf8').replace(/^```[^]*?^```$/gm, '');
  const anchors = new Set<string>();
  for (const [, heading = ''] of text.matchAll(/^#{1,6} (.*)$/gm)) {
    const words = heading.replace(/\[(?<text>[^\]]*)\]\([^)]*\)/g, '$<text>').toLowerCase();
    const slug = words.replace(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-');
    let anchor = slug;
    for (let n = 1; anchors.has(anchor); n++) anchor = `${slug}-${n}`;
    anchors.add(anchor);
  }
  return anchors;
}

const links = manual.flatMap(linksOf);

test('the manual has links to look at', () => {
  expect(links.length).toBeGreaterThan(50);
});

test('every relative link of the manual leads to a file, and to a heading where it names one', () => {
  const broken = links.filter(({ page, target }) => {
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? join(root, page) : resolve(root, dirname(page), path);
    if (!existsSync(file)) return true;
    return anchor !== undefined && !anchorsOf(relative(root, file)).has(anchor);
  });
  expect(broken).toEqual([]);
});

test('every page of the docs can be reached from the table of contents', () => {
  const contents = new Set(linksOf('docs/index.md').map(({ target }) => `docs/${target.replace(/#.*/, '')}`));
  const all = pages().filter((page) => page.startsWith('docs/') && page !== 'docs/index.md');
  expect(all.filter((page) => !contents.has(page))).toEqual([]);
});

test('every page of the docs begins with one title and a sentence that sums it up', () => {
  for (const page of pages()) {
    const text = prose(page);
    expect(text, page).toMatch(/^# \S.*\n\n[A-Z·]/);
    expect(text.match(/^# /gm), page).toHaveLength(1);
  }
});

test('no line of prose is longer than 120 columns', () => {
  const long = pages().flatMap((page) =>
    readFileSync(join(root, page), 'utf8')
      .replace(/^```[^]*?^```$/gm, '')
      .split('\n')
      .filter((line) => line.length > 120 && !/^(\||!\[)/.test(line))
      .map((line) => `${page}: ${line}`),
  );
  expect(long).toEqual([]);
});
