/// <reference types="@cloudflare/workers-types" />
// A Worker, by the types that Cloudflare publishes.
import { Offset, OffsetTracker } from 'tidemark';
import { CloudflareKVOffsetStore } from 'tidemark/cloudflare-kv';

interface Env {
  readonly OFFSETS: KVNamespace;
}

export default {
  async scheduled(_controller, env) {
    const tracker = new OffsetTracker(new CloudflareKVOffsetStore(env.OFFSETS), { strategy: 'manual' });
    await tracker.record('invoices', Offset.custom('0_17'));
    await tracker.close();
  },
} satisfies ExportedHandler<Env>;
