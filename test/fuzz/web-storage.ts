import type { TextStorage } from '../../src/stores/local-storage/keys.ts';

/** A Storage on a map that the test can see and change. */
export function webStorage(kept: Map<string, string>): TextStorage {
  return {
    get length() {
      return kept.size;
    },
    key: (index) => [...kept.keys()][index] ?? null,
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
  };
}
