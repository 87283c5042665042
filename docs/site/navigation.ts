import { type Token, type Tokens, lexer } from 'marked';
import { linkOf } from './links.ts';
import { plain } from './markdown.ts';
import type { Repository } from './repository.ts';

/** A line of the manual's contents. */
export interface Item {
  readonly label: string;
  /** The page's file; undefined for a heading over others. */
  readonly page: string | undefined;
  readonly items: readonly Item[];
}

export const index = 'docs/index.md';

/**
 * The contents of the manual: the links in the lists and tables of docs/index.md, under the headings that they have there.
 * What else an entry of a list links to stands under its first link, and a column of a table under its heading.
 */
export function readContents(repository: Repository): Item[] {
  const contents: { label: string; page: undefined; items: Item[] }[] = [{ label: '', page: undefined, items: [] }];
  for (const token of lexer(repository.text(index))) {
    if (token.type === 'heading' && (token as Tokens.Heading).depth > 1) {
      contents.push({ label: plain(token.tokens ?? []), page: undefined, items: [] });
    }
    if (token.type === 'list') contents.at(-1)?.items.push(...itemsOf(token as Tokens.List, repository));
    if (token.type === 'table') contents.at(-1)?.items.push(...columnsOf(token as Tokens.Table, repository));
  }
  return contents.filter(({ items }) => items.length > 0);
}

function itemsOf(list: Tokens.List, repository: Repository): Item[] {
  return list.items.flatMap(({ tokens }): Item[] => {
    const own = tokens.filter(({ type }) => type !== 'list');
    const lists = tokens.filter(({ type }) => type === 'list');
    const [first, ...others] = linksIn(own, repository);
    const items = [...others, ...lists.flatMap((inner) => itemsOf(inner as Tokens.List, repository))];
    if (!first && items.length === 0) return [];
    return [{ label: first?.label ?? plain(own), page: first?.page, items }];
  });
}

function columnsOf({ header, rows }: Tokens.Table, repository: Repository): Item[] {
  const columns = header.map((cell, i) => {
    const items = rows.flatMap((row) => linksIn(row[i]?.tokens ?? [], repository));
    return { label: plain(cell.tokens), page: undefined, items };
  });
  return columns.filter(({ items }) => items.length > 0);
}

/** The links to pages, in order. */
function linksIn(tokens: readonly Token[], repository: Repository): Item[] {
  return tokens.flatMap((token): Item[] => {
    if (token.type !== 'link') return 'tokens' in token && token.tokens ? linksIn(token.tokens, repository) : [];
    const { href, tokens: label } = token as Tokens.Link;
    const { page } = linkOf(href, index, repository);
    return page === undefined ? [] : [{ label: plain(label), page, items: [] }];
  });
}

/** The pages in the order in which they are read. */
export function pagesOf(items: readonly Item[]): string[] {
  return [...new Set(items.flatMap(({ page, items: inner }) => [...(page ? [page] : []), ...pagesOf(inner)]))];
}
