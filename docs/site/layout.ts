import { escape } from './markdown.ts';
import type { Rendered, Section } from './markdown.ts';
import type { Item } from './navigation.ts';
import { addressOf, relative } from './repository.ts';

/** A page of the site, beside what its author wrote. */
export interface Frame {
  /** The file in the repository. */
  readonly file: string;
  readonly contents: readonly Item[];
  readonly previous: Neighbour | undefined;
  readonly next: Neighbour | undefined;
}

export interface Neighbour {
  readonly file: string;
  readonly title: string;
}

/** A whole HTML page. */
export function pageOf(rendered: Rendered, frame: Frame): string {
  const at = addressOf(frame.file);
  const to = (address: string): string => relative(at, address);
  const title = titleOf(rendered);
  const description = escape(descriptionOf(rendered.summary));
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta name="color-scheme" content="light dark" />
    <title>${escape(title)}</title>
    <meta name="description" content="${description}" />
    <meta property="og:title" content="${escape(title)}" />
    <meta property="og:description" content="${description}" />
    <link rel="icon" href="${to('docs/tidemark.svg')}" type="image/svg+xml" />
    <link rel="stylesheet" href="${to('docs/site.css')}" />
    <script defer src="${to('docs/site.js')}" data-docs="${to('docs/')}"></script>
  </head>
  <body>
    <a class="skip" href="#content">Skip to the text</a>
    <header class="top">
      <a class="brand" href="${to('docs/')}"><img src="${to('docs/tidemark.svg')}" alt="" width="26" height="26" />tidemark</a>
      <button type="button" class="menu" popovertarget="contents">Contents</button>
      <search class="search" hidden>
        <label class="unseen" for="search">Search the manual</label>
        <input id="search" type="search" placeholder="Search" autocomplete="off" spellcheck="false" />
        <p class="unseen" role="status" id="found"></p>
        <ol id="results" hidden></ol>
      </search>
      <nav class="places" aria-label="Site">
        <a href="${to('docs/')}"${frame.file === 'docs/index.md' ? ' aria-current="page"' : ''}>Manual</a>
        <a href="${to('')}">Demo</a>
      </nav>
    </header>
    <div class="columns">
      <nav class="contents" id="contents" popover aria-label="Manual">
${listOf(frame.contents, frame.file, to)}
      </nav>
      <main id="content" tabindex="-1">
        <article>
${rendered.html}
        </article>
${neighboursOf(frame, to)}
      </main>
${tableOf(rendered.sections)}
    </div>
  </body>
</html>
`;
}

function titleOf({ title, summary }: Rendered): string {
  if (title === 'tidemark') return `tidemark: ${cut(sentences(summary)[0] ?? '', 90).replace(/\.$/, '')}`;
  return title.includes('tidemark') ? title : `${title} | tidemark`;
}

/** As many of the first sentences as a search engine shows. */
function descriptionOf(summary: string): string {
  let text = '';
  for (const sentence of sentences(summary)) {
    if (text && `${text} ${sentence}`.length > shown) break;
    text = text ? `${text} ${sentence}` : sentence;
  }
  return cut(text, shown);
}

const shown = 158;

function sentences(text: string): string[] {
  return text.trim().split(/(?<=[.!?])\s+(?=[A-Z‘“'"`])/);
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length).replace(/\s+\S*$/, '')}…`;
}

function listOf(items: readonly Item[], current: string, to: (address: string) => string): string {
  const lines = items.map(({ label, page, items: inner }) => {
    const mark = page === current ? ' aria-current="page"' : '';
    const text = page
      ? `<a href="${to(addressOf(page))}"${mark}>${escape(label)}</a>`
      : label && `<p>${escape(label)}</p>`;
    return `<li>${text}${inner.length > 0 ? listOf(inner, current, to) : ''}</li>`;
  });
  return `<ul>${lines.join('\n')}</ul>`;
}

function neighboursOf({ previous, next }: Frame, to: (address: string) => string): string {
  const link = (page: Neighbour | undefined, rel: string, word: string): string =>
    page ? `<a rel="${rel}" href="${to(addressOf(page.file))}"><span>${word}</span> ${escape(page.title)}</a>` : '';
  if (!previous && !next) return '';
  return `<nav class="neighbours" aria-label="Pages before and after">${link(previous, 'prev', 'Before')}${link(next, 'next', 'Next')}</nav>`;
}

/** The headings of a page, where it has several. */
function tableOf(sections: readonly Section[]): string {
  const shownHere = sections.filter(({ depth }) => depth === 2 || depth === 3);
  if (shownHere.length < 3) return '';
  const lines = shownHere.map(
    ({ id, depth, heading }) => `<li class="depth-${depth}"><a href="#${id}">${escape(heading)}</a></li>`,
  );
  return `<nav class="headings" aria-labelledby="on-this-page"><p id="on-this-page">On this page</p><ul>${lines.join('\n')}</ul></nav>`;
}
