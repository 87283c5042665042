import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join, posix } from 'node:path';

/** The files that the manual is made of, by their paths from the project's root, with `/`. */
export class Repository {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** The pages of the manual. */
  documents(): string[] {
    const found = readdirSync(join(this.#root, 'docs'), { recursive: true, encoding: 'utf8' });
    const pages = found.filter((file) => file.endsWith('.md'));
    return pages.map((file) => `docs/${file.replaceAll('\\', '/')}`).sort();
  }

  text(file: string): string {
    return readFileSync(join(this.#root, file), 'utf8');
  }

  bytes(file: string): Uint8Array {
    return readFileSync(join(this.#root, file));
  }

  exists(path: string): boolean {
    return existsSync(join(this.#root, path));
  }

  isFile(path: string): boolean {
    return existsSync(join(this.#root, path)) && statSync(join(this.#root, path)).isFile();
  }
}

/** Where a page stands on the site, from its root: `docs/guides/react.md` at `docs/guides/react/`. */
export function addressOf(file: string): string {
  const path = file.startsWith('docs/') ? file : `docs/${file.toLowerCase()}`;
  const bare = path.replace(/\.md$/i, '').replace(/\/index$/, '');
  return `${file.includes('/') && !file.startsWith('docs/') ? bare.replace(/\/readme$/, '') : bare}/`;
}

/** Where a picture or another file stands on the site. */
export function assetOf(file: string): string {
  return file.startsWith('docs/') ? file : `docs/files/${file}`;
}

/** One address as it is written in a page at another, so that the site works in whatever folder it is put. */
export function relative(from: string, to: string): string {
  const path = posix.relative(`/${from}`, `/${to}`);
  if (path === '') return './';
  return to === '' || to.endsWith('/') ? `${path}/` : path;
}
