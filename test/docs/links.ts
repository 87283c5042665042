import { posix } from 'node:path';
import type { SiteFile } from '../../docs/site/site.ts';

/** What a page of the site refers to, and what can be referred to in it. */
export interface References {
  readonly ids: readonly string[];
  readonly urls: readonly string[];
}

/** Read from the page's own text: its generator escapes quotes everywhere but around attributes. */
export function referencesIn({ body }: SiteFile): References {
  const html = String(body);
  const values = (attribute: string): string[] =>
    [...html.matchAll(new RegExp(`<[^>]*\\s(?:${attribute})="([^"]*)"`, 'g'))].map(([, value = '']) => unescape(value));
  return { ids: values('id'), urls: values('href|src') };
}

/** The links of pages that lead to no file of the site, or to no heading of the page. @param others addresses beside the manual */
export function deadLinks(files: ReadonlyMap<string, SiteFile>, others: readonly string[]): string[] {
  const pages = [...files.values()].filter(({ path }) => path.endsWith('.html'));
  const references = new Map(pages.map((page) => [page.path, referencesIn(page)]));
  return pages.flatMap(({ path }) =>
    (references.get(path)?.urls ?? [])
      .filter((url) => !/^[a-z]+:/.test(url))
      .filter((url) => {
        const { pathname, hash } = new URL(url, new URL(path, 'http://site/'));
        const target = posix.join(pathname.slice(1), pathname.endsWith('/') ? 'index.html' : '');
        if (others.includes(target)) return false;
        if (!files.has(target)) return true;
        return hash !== '' && !references.get(target)?.ids.includes(decodeURIComponent(hash.slice(1)));
      })
      .map((url) => `${url} in ${path}`),
  );
}

function unescape(text: string): string {
  return text.replaceAll('&quot;', '"').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}
