import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const script = resolve(import.meta.dirname, '../../.ci/release.js');
const ready = { version: '1.2.3', repository: 'github:somebody/tidemark', changelog: '## [1.2.3] - 2026-01-02' };
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-release-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a release', () => {
  test('is made of the version that is tagged and described', () => {
    expect(check('v1.2.3', ready)).toEqual({ status: 0, said: '' });
  });

  test.each([
    ['a tag of another version', 'v1.2.4', {}, 'the tag is v1.2.4'],
    ['a tag without its v', '1.2.3', {}, 'the tag is 1.2.3'],
    ['a changelog that does not know the version', 'v1.2.3', { changelog: '## [1.2.30] - 2026-01-02' }, '## [1.2.3]'],
    ['changes that are still unreleased', 'v1.2.3', { changelog: '## [Unreleased]' }, '## [1.2.3]'],
    ['a heading without its day', 'v1.2.3', { changelog: '## [1.2.3]' }, '## [1.2.3]'],
    ['no repository', 'v1.2.3', { repository: undefined }, 'names no repository'],
  ])('is refused for %s', (_, tag, change, sentence) => {
    const { status, said } = check(tag, { ...ready, ...change });
    expect(status).toBe(1);
    expect(said).toContain(sentence);
    expect(said.trim().split('\n')).toHaveLength(1);
  });
});

function check(
  tag: string,
  { changelog, ...manifest }: { changelog: string; version: string; repository?: string | undefined },
) {
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(folder, 'CHANGELOG.md'), `# Changelog\n\n${changelog}\n`);
  const { status, stderr } = spawnSync(process.execPath, [script, tag], { cwd: folder, encoding: 'utf8' });
  return { status, said: stderr };
}
