// A service in Node that knows no DOM: no type here is one of a browser.
import type { OffsetStore } from 'tidemark';
import { CloudflareKVOffsetStore } from 'tidemark/cloudflare-kv';
import { FileOffsetStore } from 'tidemark/file';
import { LocalStorageOffsetStore } from 'tidemark/local-storage';

const rows = new Map<string, string>();

export const stores: readonly OffsetStore[] = [
  new FileOffsetStore('state/offsets.json', { lockTimeoutMs: 500, compare: (a, b) => a.length - b.length }),
  new LocalStorageOffsetStore({
    storage: {
      length: rows.size,
      key: (index) => [...rows.keys()][index] ?? null,
      getItem: (key) => rows.get(key) ?? null,
      setItem: (key, value) => void rows.set(key, value),
      removeItem: (key) => void rows.delete(key),
    },
  }),
  new CloudflareKVOffsetStore({
    get: async (key) => rows.get(key) ?? null,
    put: async (key, value) => void rows.set(key, value),
    delete: async (key) => void rows.delete(key),
    list: async () => ({ keys: [...rows.keys()].map((name) => ({ name })), list_complete: true }),
  }),
];
