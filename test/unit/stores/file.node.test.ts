import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FileOffsetStore } from '../../../src/stores/file.ts';
import { testOffsetStore } from '../../../src/testing/index.ts';

const folder = await mkdtemp(join(tmpdir(), 'tidemark-file-'));
afterAll(() => rm(folder, { recursive: true }));

testOffsetStore('FileOffsetStore', ({ id, compare }) => new FileOffsetStore(join(folder, id), { compare }), {
  describe,
  it,
  expect,
});
