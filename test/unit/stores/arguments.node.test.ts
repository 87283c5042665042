import { CloudflareKVOffsetStore } from 'tidemark/cloudflare-kv';
import { FileOffsetStore } from 'tidemark/file';
import { expect, it } from 'vitest';

it.each([
  ['a KV store', CloudflareKVOffsetStore, 'undefined is no KV binding: give env.NAME, as kv_namespaces names it'],
  ['a file store', FileOffsetStore, 'undefined is no path: give a string or a file URL'],
])('%s of nothing says what to give, where it is made', (_, store, message) => {
  expect(() => Reflect.construct(store, [undefined])).toThrow(message);
});
