/// <reference types="@cloudflare/workers-types" />
// A Worker, by the types that Cloudflare publishes.
import { Offset, OffsetTracker } from 'tidemark';
import { DurableObject } from 'cloudflare:workers';
import { CloudflareKVOffsetStore } from 'tidemark/cloudflare-kv';
import { D1OffsetStore } from 'tidemark/d1';
import { DurableObjectOffsetStore, OffsetsObject, RemoteOffsetStore } from 'tidemark/durable-object';

export class Places extends OffsetsObject(DurableObject) {}

export class Prices extends DurableObject<Env> {
  readonly store = new DurableObjectOffsetStore(this.ctx.storage);
}

interface Env {
  readonly OFFSETS: KVNamespace;
  readonly DB: D1Database;
  readonly PLACES: DurableObjectNamespace<Places>;
}

export default {
  async scheduled(_controller, env) {
    const tracker = new OffsetTracker(new CloudflareKVOffsetStore(env.OFFSETS), { strategy: 'manual' });
    await tracker.record('invoices', Offset.custom('0_17'));
    await tracker.close();
    const remote = new RemoteOffsetStore(env.PLACES.get(env.PLACES.idFromName('all')));
    await Promise.all([remote.getAll(), new D1OffsetStore(env.DB).getAll()]);
  },
} satisfies ExportedHandler<Env>;
