import { posix } from 'node:path';
import { type Repository, addressOf, assetOf, relative } from './repository.ts';

/** A link of a page, as the site has it. */
export interface Link {
  /** Undefined for what the site does not have: a source, a licence. */
  readonly href: string | undefined;
  /** The page that it leads to, if it is one of Markdown. */
  readonly page?: string;
  /** The file that has to be there beside the pages. */
  readonly asset?: string;
  /** Nothing in the repository has this path. */
  readonly isBroken?: boolean;
}

const pictures = /\.(?:svg|png|jpe?g|gif|webp|avif)$/;

/** What a link of a page leads to on the site. */
export function linkOf(href: string, file: string, repository: Repository): Link {
  if (href.startsWith('#') || /^(?:[a-z][a-z\d+.-]*:|\/\/)/i.test(href)) return { href };
  const [path = '', anchor] = href.split('#');
  const at = addressOf(file);
  const hash = anchor === undefined ? '' : `#${anchor}`;
  // From the root of the site: a page of the demo.
  if (path.startsWith('/')) return { href: `${relative(at, path.slice(1))}${hash}` };
  const target = posix.normalize(posix.join(posix.dirname(file), decodeURIComponent(path))).replace(/\/$/, '');
  if (target.endsWith('.md') && repository.isFile(target)) {
    return { href: `${relative(at, addressOf(target))}${hash}`, page: target };
  }
  if (pictures.test(target) && repository.isFile(target)) {
    return { href: relative(at, assetOf(target)), asset: target };
  }
  const page = target.replace(/\/index\.html$/, '');
  if (/^demo(?:\/|$)/.test(page) && repository.isFile(`${page}/index.html`)) {
    return { href: `${relative(at, `${page}/`.replace('demo/', ''))}${hash}` };
  }
  return { href: undefined, isBroken: !repository.exists(target) };
}
