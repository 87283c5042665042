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

/** The contents of the manual: the lists of links in docs/index.md, under the headings that they have there. */
export function readContents(repository: Repository): Item[] {
  const contents: { label: string; page: undefined; items: Item[] }[] = [{ label: '', page: undefined, items: [] }];
  for (const token of lexer(repository.text(index))) {
    if (token.type === 'heading' && (token as Tokens.Heading).depth > 1) {
      contents.push({ label: plain(token.tokens ?? []), page: undefined, items: [] });
    }
    if (token.type === 'list') contents.at(-1)?.items.push(...itemsOf(token as Tokens.List, repository));
  }
  return contents.filter(({ items }) => items.length > 0);
}

function itemsOf(list: Tokens.List, repository: Repository): Item[] {
  return list.items.flatMap(({ tokens }): Item[] => {
    const own = tokens.filter(({ type }) => type !== 'list');
    const items = tokens
      .filter(({ type }) => type === 'list')
      .flatMap((inner) => itemsOf(inner as Tokens.List, repository));
    const link = firstLink(own);
    const page = link && linkOf(link.href, index, repository).page;
    if (page === undefined && items.length === 0) return [];
    return [{ label: plain(link?.tokens ?? own), page, items }];
  });
}

function firstLink(tokens: readonly Token[]): Tokens.Link | undefined {
  for (const token of tokens) {
    if (token.type === 'link') return token as Tokens.Link;
    const inner = 'tokens' in token && token.tokens ? firstLink(token.tokens) : undefined;
    if (inner) return inner;
  }
  return undefined;
}

/** The pages in the order in which they are read. */
export function pagesOf(items: readonly Item[]): string[] {
  return [...new Set(items.flatMap(({ page, items: inner }) => [...(page ? [page] : []), ...pagesOf(inner)]))];
}
