import { readFileSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';
import { type Neighbour, pageOf } from './layout.ts';
import { linkOf } from './links.ts';
import { type Rendered, type Size, render } from './markdown.ts';
import { index, pagesOf, readContents } from './navigation.ts';
import { Repository, addressOf, assetOf } from './repository.ts';

/** A file of the site; `path` is from its root: 'docs/guides/react/index.html'. */
export interface SiteFile {
  readonly path: string;
  readonly type: string;
  readonly body: string | Uint8Array;
}

/** The manual as a part of the site. */
export interface Site {
  readonly files: ReadonlyMap<string, SiteFile>;
  /** Links to files that are not there. */
  readonly broken: readonly { readonly file: string; readonly href: string }[];
  /** Documents that the contents in docs/index.md do not list. */
  readonly unlisted: readonly string[];
}

/** What the stylesheet is made of, in this order. */
const styles = ['base', 'header', 'navigation', 'article', 'highlight', 'screens'];

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.gif': 'image/gif',
  '.webp': 'image/webp',
  '.avif': 'image/avif',
};

/** Makes the manual's part of the site: the documents, whatever page of the repository they link to, and their pictures. */
export function buildSite(root: string = resolve(import.meta.dirname, '../..')): Site {
  const repository = new Repository(root);
  const contents = readContents(repository);
  const listed = [index, ...pagesOf(contents).filter((page) => page !== index)];
  const { pages, assets, broken } = readPages(repository, [...listed, ...repository.documents()]);

  const files = new Map<string, SiteFile>();
  const add = (path: string, body: string | Uint8Array): void => {
    files.set(path, { path, body, type: types[extname(path)] ?? 'application/octet-stream' });
  };
  const neighbour = (file: string | undefined): Neighbour | undefined =>
    file === undefined ? undefined : { file, title: pages.get(file)?.title ?? file };
  for (const [file, rendered] of pages) {
    const place = listed.indexOf(file);
    const previous = place > 0 ? neighbour(listed[place - 1]) : undefined;
    const next = place >= 0 ? neighbour(listed[place + 1]) : undefined;
    add(`${addressOf(file)}index.html`, pageOf(rendered, { file, contents, previous, next }));
  }
  for (const file of assets) add(assetOf(file), repository.bytes(file));
  add('docs/tidemark.svg', repository.bytes('demo/tidemark.svg'));
  const own = (file: string): string => readFileSync(join(import.meta.dirname, file), 'utf8');
  add('docs/site.js', own('site.js'));
  add('docs/site.css', styles.map((name) => own(`style/${name}.css`)).join('\n'));
  add('docs/search.json', JSON.stringify(entriesOf(pages)));
  return { files, broken, unlisted: repository.documents().filter((file) => !listed.includes(file)) };
}

/** Renders documents, and those that they link to. */
function readPages(repository: Repository, documents: readonly string[]) {
  const pages = new Map<string, Rendered>();
  const assets = new Set<string>();
  const broken: { file: string; href: string }[] = [];
  const waiting = [...new Set(documents)];
  for (const file of waiting) {
    const rendered = render(repository.text(file), (href) => {
      const link = linkOf(href, file, repository);
      if (link.page && !waiting.includes(link.page)) waiting.push(link.page);
      if (link.asset) assets.add(link.asset);
      if (link.isBroken) broken.push({ file, href });
      return { href: link.href, size: link.asset?.endsWith('.png') ? sizeOf(repository.bytes(link.asset)) : undefined };
    });
    pages.set(file, rendered);
  }
  return { pages, assets, broken };
}

/** Of a PNG, so that the page does not jump when the picture arrives. */
function sizeOf(png: Uint8Array): Size {
  const view = new DataView(png.buffer, png.byteOffset);
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

/** What is searched: each section of each page. */
function entriesOf(pages: ReadonlyMap<string, Rendered>) {
  return [...pages].flatMap(([file, { title, sections }]) =>
    sections.map(({ id, depth, heading, text }) => ({
      href: `${addressOf(file).slice('docs/'.length)}${depth === 1 ? '' : `#${id}`}`,
      page: title,
      heading,
      // The reference's lists of names say nothing of them.
      text: text.replace(/(?:With those of|See also) [^.]*\./g, '').trim(),
    })),
  );
}
