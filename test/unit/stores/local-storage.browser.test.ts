import { describe, expect, it } from 'vitest';
import { LocalStorageOffsetStore } from '../../../src/stores/local-storage.ts';
import { testOffsetStore } from '../../../src/testing/index.ts';

testOffsetStore('LocalStorageOffsetStore', ({ id, compare }) => new LocalStorageOffsetStore({ name: id, compare }), {
  describe,
  it,
  expect,
});
