import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import manifest from '../../package.json' with { type: 'json' };

const root = join(import.meta.dirname, '../..');
/** Inside the project, so that imports and types resolve as anywhere in it; git-ignored. */
const folder = join(import.meta.dirname, '.blocks');

/**
 * A fenced code block of the README or of a page in docs. Its info string says what it is written in and where it runs:
 * - `ts browser`, `tsx browser`: in a page, with `show` and the feed of the demo's server. It goes on after a reload.
 * - `ts app`: in a page of its own, with the server in the block `js server` of the same page of the manual.
 * - `ts module-worker`, `js service-worker`: in such a worker of a page, which shows what the worker posts.
 * - `ts node`, `tsx node`: a program that ends by itself; one with FEED_URL reads, and goes on after a kill.
 * - `ts sqlite`, `ts postgres`: the same, run twice; the second time changes nothing.
 * - `ts worker`, `ts worker-fetch`: in workerd, on a schedule or by requests.
 * - `ts vitest`: tests, which are run.
 * - `html page`: a page without a bundler, over the packed package (test/consumers).
 * - `js lanes`: what docs/why.md measures, one lane after another (why.test.ts).
 * - `sh`, `json`: commands whose scripts exist, and valid JSON.
 */
export interface Block {
  readonly language: string;
  readonly place: string;
  readonly code: string;
  /** The page, from the project's root, and the heading it stands under. */
  readonly page: string;
  readonly heading: string;
  readonly file: string;
}

/** All blocks. Test files run at the same time, so a file that is there already is not written again. */
export function readBlocks(): Block[] {
  mkdirSync(folder, { recursive: true });
  const blocks = pages().flatMap(blocksOf);
  const files = new Set(blocks.map(({ file }) => file));
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    if (/\.(tsx?|js|html)$/.test(name) && !files.has(file)) rmSync(file, { force: true });
  }
  return blocks;
}

/** The README, and each page in docs, so that a new one is run from its first day. */
export function pages(): string[] {
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' });
  // The reference's blocks are signatures.
  const found = docs
    .filter((file) => file.endsWith('.md') && file !== 'reference.md')
    .map((file) => `docs/${file.replaceAll('\\', '/')}`);
  return ['README.md', ...found.sort()];
}

function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  let heading = '';
  const text = readFileSync(join(root, page), 'utf8');
  // The README's blocks have no prefix.
  const prefix = page === 'README.md' ? '' : `${slug(page.replace(/\.md$/, ''))}-`;
  for (const match of text.matchAll(/^#+ (?<heading>.*)$|^```(?<info>.+)\n(?<code>[^]*?)^```$/gm)) {
    const { info, code = '' } = match.groups ?? {};
    heading = match.groups?.heading ?? heading;
    if (info === undefined) continue;
    const [language = '', place = ''] = info.split(' ');
    const file = join(folder, `${prefix}${blocks.length}-${slug(heading)}.${language}`);
    // A block without imports is a module too: each stands for itself.
    keep(file, language.startsWith('ts') ? `${code}\nexport {};\n` : code);
    blocks.push({ language, place, code, page, heading, file });
  }
  return blocks;
}

/** Whoever reads the file meanwhile finds all of it. */
function keep(file: string, text: string): void {
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return;
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, text);
  renameSync(draft, file);
}

function slug(text: string): string {
  return text.replace(/\W+/g, '-').toLowerCase();
}

/** One file of JavaScript that runs in a browser, a Worker or Node. */
export async function bundle(file: string, platform: 'browser' | 'node'): Promise<string> {
  const external = [/^(node|cloudflare):/, 'better-sqlite3', 'pg'];
  const build = await rolldown({
    input: file,
    platform,
    resolve: { alias: sources() },
    external,
    // Frameworks ask for it, and a page has no process.
    ...(platform === 'browser' && { transform: { define: { 'process.env.NODE_ENV': '"production"' } } }),
  });
  const { output } = await build.generate({ format: 'esm', codeSplitting: false });
  return output[0].code;
}

function sources(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(manifest.exports).flatMap(([subpath, target]) => {
      if (typeof target === 'string') return [];
      const source = target.default.replace('./dist/', './src/').replace(/\.js$/, '.ts');
      return [[`tidemark${subpath.slice(1)}$`, join(root, source)]];
    }),
  );
}
