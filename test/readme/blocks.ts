import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import manifest from '../../package.json' with { type: 'json' };

const root = join(import.meta.dirname, '../..');
/** Inside the project, so that imports and types resolve as anywhere in it; git-ignored. */
const folder = join(import.meta.dirname, '.blocks');

/** A fenced code block of the README. Its info string says what it is written in and where it runs: "ts browser". */
export interface Block {
  readonly language: string;
  readonly place: string;
  readonly code: string;
  /** The heading it stands under. */
  readonly heading: string;
  readonly file: string;
}

export function readBlocks(): Block[] {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const blocks: Block[] = [];
  let heading = '';
  const text = readFileSync(join(root, 'README.md'), 'utf8');
  for (const match of text.matchAll(/^#+ (?<heading>.*)$|^```(?<info>.+)\n(?<code>[^]*?)^```$/gm)) {
    const { info, code = '' } = match.groups ?? {};
    heading = match.groups?.heading ?? heading;
    if (info === undefined) continue;
    const [language = '', place = ''] = info.split(' ');
    const file = join(folder, `${blocks.length}-${heading.replace(/\W+/g, '-').toLowerCase()}.${language}`);
    // A block without imports is a module too: each stands for itself.
    writeFileSync(file, language === 'ts' ? `${code}\nexport {};\n` : code);
    blocks.push({ language, place, code, heading, file });
  }
  return blocks;
}

/** One file of JavaScript that runs in a browser, a Worker or Node. */
export async function bundle(file: string, platform: 'browser' | 'node'): Promise<string> {
  const external = [/^(node|cloudflare):/, 'better-sqlite3', 'pg'];
  const build = await rolldown({ input: file, platform, resolve: { alias: sources() }, external });
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
