import { describe, expect, it } from 'vitest';
import { IndexedDBOffsetStore } from '../../../src/stores/indexeddb.ts';
import { testOffsetStore } from '../../../src/testing/index.ts';

testOffsetStore('IndexedDBOffsetStore', ({ id, compare }) => new IndexedDBOffsetStore({ name: id, compare }), {
  describe,
  it,
  expect,
});
