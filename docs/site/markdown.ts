import hljs from 'highlight.js/lib/common';
import { Marked, type Token, type Tokens } from 'marked';
import { slugger } from './slug.ts';

/** A page as its author wrote it, in HTML. */
export interface Rendered {
  /** The first heading, as text. */
  readonly title: string;
  /** The first sentences, as text. */
  readonly summary: string;
  readonly html: string;
  readonly sections: readonly Section[];
}

/** A heading with the text under it. */
export interface Section {
  readonly id: string;
  readonly depth: number;
  readonly heading: string;
  readonly text: string;
}

/** What becomes of an address in the text; undefined: the link is left out, its text stays. */
export type Resolve = (href: string) => { readonly href: string | undefined; readonly size?: Size | undefined };

export interface Size {
  readonly width: number;
  readonly height: number;
}

export function render(source: string, resolve: Resolve): Rendered {
  const slug = slugger();
  const marked = new Marked({ gfm: true });
  const tokens = marked.lexer(source);
  const sections: { id: string; depth: number; heading: string; text: string }[] = [];
  marked.walkTokens(tokens, (token) => {
    if (token.type !== 'heading') return;
    const heading = plain(token.tokens ?? []);
    sections.push({ id: slug(heading), depth: (token as Tokens.Heading).depth, heading, text: '' });
  });
  let current = -1;
  for (const token of tokens) {
    if (token.type === 'heading') current += 1;
    const section = sections[current];
    if (section && token.type !== 'heading') section.text += `${plain([token])} `;
  }

  const headings = sections.values();
  marked.use({
    renderer: {
      heading({ tokens: inner, depth }) {
        const { id = '' } = headings.next().value ?? {};
        const html = this.parser.parseInline(inner);
        const hasLink = inner.some(({ type }) => type === 'link');
        const text = depth === 1 || hasLink ? html : `<a href="#${id}">${html}</a>`;
        return `<h${depth} id="${id}">${text}</h${depth}>\n`;
      },
      code({ text, lang = '' }) {
        const [language = ''] = lang.split(' ');
        return `<pre tabindex="0"><code>${highlight(text, language)}</code></pre>\n`;
      },
      table(token) {
        const cells = (row: Tokens.TableCell[], open: (column: number) => string, close: string): string =>
          row.map(({ tokens: inner }, i) => `${open(i)}${this.parser.parseInline(inner)}${close}`).join('');
        const widths = widthsOf(token);
        const head = cells(token.header, (column) => `<th scope="col"${widths[column]}>`, '</th>');
        const body = token.rows.map((row) => `<tr>${cells(row, () => '<td>', '</td>')}</tr>`).join('\n');
        // A table that is wider than the page scrolls by itself, also by the keyboard.
        return `<div class="table" tabindex="0"><table><thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table></div>\n`;
      },
      codespan({ text }) {
        return `<code${text.length <= 24 ? ' class="short"' : ''}>${escape(text)}</code>`;
      },
      link({ href, tokens: inner }) {
        const html = this.parser.parseInline(inner);
        const { href: target } = resolve(href);
        return target === undefined ? html : `<a href="${escape(target)}">${html}</a>`;
      },
      image({ href, text }) {
        const { href: target = href, size } = resolve(href);
        const box = size ? ` width="${size.width}" height="${size.height}"` : '';
        return `<img src="${escape(target)}" alt="${escape(text)}"${box} />`;
      },
      html({ text }) {
        return text.replace(/\b(href|src|srcset)="([^"]*)"/g, (whole, name: string, href: string) => {
          const { href: target } = resolve(href);
          return target === undefined ? whole : `${name}="${escape(target)}"`;
        });
      },
    },
  });
  return {
    title: sections.find(({ depth }) => depth === 1)?.heading ?? '',
    summary: plain(tokens.filter(({ type }) => type === 'paragraph').slice(0, 1)),
    html: marked.parser(tokens),
    sections,
  };
}

/** How wide each column has to be at least: by its longest text, and one of them may be wider than the others. */
function widthsOf({ header, rows }: Tokens.Table): string[] {
  const longest = header.map((_, i) => Math.max(0, ...rows.map((row) => plain(row[i]?.tokens ?? []).length)));
  const most = Math.max(...longest);
  return longest.map((length) => (length <= 30 ? '' : length === most ? ' class="long"' : ' class="middle"'));
}

const languages: Readonly<Record<string, string>> = { tsx: 'typescript', jsx: 'javascript', sh: 'bash', html: 'xml' };

function highlight(code: string, name: string): string {
  const language = languages[name] ?? name;
  return hljs.getLanguage(language) ? hljs.highlight(code, { language }).value : escape(code);
}

/** The text that a reader sees. */
export function plain(tokens: readonly Token[]): string {
  return tokens
    .map((token): string => {
      if (token.type === 'html' || token.type === 'space') return '';
      if (token.type === 'br') return ' ';
      if (token.type === 'table') {
        const { header, rows } = token as Tokens.Table;
        return [header, ...rows].flatMap((row) => row.map((cell) => plain(cell.tokens))).join(' ');
      }
      if (token.type === 'list') return (token as Tokens.List).items.map((item) => plain(item.tokens)).join(' ');
      if ('tokens' in token && token.tokens) return plain(token.tokens);
      return 'text' in token ? unescape(String(token.text)) : '';
    })
    .join('')
    .replace(/\s+/g, ' ');
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };

function unescape(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => entities[name] ?? '');
}

export function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
