import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { comparisons as hotPath } from '../../../bench/hot-path.js';
import type { Comparison } from '../../../bench/lib/turns.js';
import { comparisons as tickets } from '../../../bench/tickets.js';

const root = resolve(import.meta.dirname, '../../..');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('npm run bench', () => {
  let code: unknown;
  let results: string;
  beforeAll(async () => {
    code = await run(['bench/run.js', '../test/unit/bench/counting', `--to=${folder}`]);
    results = await readFile(join(folder, 'RESULTS.md'), 'utf8');
  });

  it('tells of a comparison that fails, and runs the others', () => {
    expect(code).toBe(1);
    expect(results).toContain("- A side that fails: the side 'tidemark, broken' failed: Error: no such thing in …\n");
    expect(results).toContain('\n## Counting\n');
  });

  it('leaves out a peer that fails, and tells what with', () => {
    const [, section] = /\n## A peer that fails\n([^]*?)\n!/.exec(results) ?? [];
    expect(section).toContain('| tidemark | 30 | ×3.00 |');
    expect(section).not.toContain('| broken');
    for (const name of ['broken', 'broken from the start'])
      expect(section).toContain(`- Left out: ${name}, the side '${name}' failed: Error: no such thing in …\n`);
    expect(results).toContain('| A peer that fails | tidemark: 30 | peer: 10 | ×3.00 | at least ×3.00 | met |');
    expect(results).not.toContain('| A peer that fails | tidemark: 30 | broken');
  });

  it('writes each figure, its ratio and its spread', () => {
    expect(results).toContain(
      [
        '| | events a second | of peer | spread | depth, m |',
        '| --- | ---: | ---: | ---: | ---: |',
        '| peer | 10 | ×1.00 | 1.00–1.00 | 1.00 |',
        '| tidemark | 20 | ×2.00 | 2.00–2.00 | 2.00 |',
      ].join('\n'),
    );
  });

  it('says of each goal whether it is met, and why not', () => {
    expect(results).toContain('| Counting | tidemark: 20 | peer: 10 | ×2.00 | at least ×2.00 | met |');
    expect(results).toContain('| Counting | tidemark: 20 |  | 20.0 | at least 30.0 | **missed** |');
    expect(results).toContain(
      '| Counting | tidemark: 2.00 depth, m | peer: 1.00 depth, m | ×2.00 | at most ×1.00 | **missed** |',
    );
    expect(results).toContain('- Counting, tidemark: 20: It only counts to twenty.');
  });

  it('draws a chart of each comparison', async () => {
    const charts = await readdir(join(folder, 'charts'));
    expect(charts).toEqual(['counting-2.svg', 'counting-3.svg']);
    expect(results).toContain('(charts/counting-2.svg)');
    const chart = await readFile(join(folder, 'charts/counting-2.svg'), 'utf8');
    expect(chart).toMatch(/^<svg [^]*prefers-color-scheme:dark[^]*<rect[^]*<\/svg>\n$/);
  });

  it('tells what the machine is, and not its folders', () => {
    expect(results).not.toContain(root);
    expect(results).not.toContain(folder);
    const [, lines] = /\n\n(- \d{4}-[^]*?)\n\n/.exec(results) ?? [];
    expect(lines).toMatch(
      /^- [\d-]+, [^\n]+, \d+ cores, \d+ GiB of memory\n- \w+ \w+, Node [\d.]+, V8 [\w.-]+\n- [^/]+\n- /,
    );
  });
});

const inNode = (comparisons: readonly Comparison[]) => comparisons.filter(({ title }) => !title.includes('Chromium'));

describe.each([...inNode(hotPath), ...tickets])('$title', ({ sides, baseline }) => {
  it('can be measured on every side', async () => {
    const counts = new Map<string, number>();
    for (const [name, side] of Object.entries(sides)) {
      const round = await side({ count: 1000 });
      counts.set(name, Number(await round()));
    }
    expect(counts.get(baseline)).toBe(1000);
    expect(Math.min(...counts.values())).toBeGreaterThanOrEqual(100);
  });
});

function run(args: readonly string[]): Promise<unknown> {
  return new Promise((ended) => {
    execFile(process.execPath, args, { cwd: root }, (error) => ended(error?.code ?? 0));
  });
}
