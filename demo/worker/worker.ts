import { Offset, type OffsetStore, OffsetTracker } from 'tidemark';
import { CloudflareKVOffsetStore } from 'tidemark/cloudflare-kv';
import { D1OffsetStore } from 'tidemark/d1';
import { type Env, type Page, save, saved } from './env.ts';

export { Prices } from './prices.ts';

interface Order {
  readonly body: { readonly n: number };
  ack(): void;
  retry(): void;
}

export default {
  /** On a schedule: drains a paged feed, for as long as an invocation may take. KV keeps the place. */
  async scheduled(_controller: unknown, env: Env): Promise<void> {
    const store = new CloudflareKVOffsetStore(env.OFFSETS);
    // One tracker an invocation: a promise that is pending when a request ends never settles.
    await drain('invoices', new OffsetTracker(store, { strategy: 'manual' }), env);
  },

  /** POST /refresh answers at once, and drains another feed after that. POST /orders fills the queue. GET / shows it all. */
  async fetch(request: Request, env: Env, ctx: { waitUntil(work: Promise<unknown>): void }): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const prices = env.PRICES.get(env.PRICES.idFromName('all'));
    switch (`${request.method} ${pathname}`) {
      case 'POST /refresh': {
        const tracker = new OffsetTracker(new D1OffsetStore(env.DB), { strategy: 'manual' });
        ctx.waitUntil(drain('rates', tracker, env));
        return new Response('refreshing\n', { status: 202 });
      }
      case 'POST /orders': {
        const last = Number(searchParams.get('last'));
        for (let n = Number(searchParams.get('first')); n <= last; n++) await env.ORDERS.send({ n });
        return new Response('ordered\n', { status: 202 });
      }
      case 'POST /prices':
        await prices.start();
        return new Response('reading\n', { status: 202 });
      case 'GET /':
        return Response.json({
          invoices: {
            place: await place(new CloudflareKVOffsetStore(env.OFFSETS), 'invoices'),
            saved: await saved(env, 'invoices'),
          },
          rates: { place: await place(new D1OffsetStore(env.DB), 'rates'), saved: await saved(env, 'rates') },
          orders: { place: await place(new D1OffsetStore(env.DB), 'orders'), saved: await saved(env, 'orders') },
          prices: await prices.state(),
        });
      default:
        return new Response('not here\n', { status: 404 });
    }
  },

  /**
   * A batch of a queue, side by side. A message is acknowledged where its own ticket is done and its place is committed;
   * all others are tried again. Queues deliver at least once and in any order, so shipping twice must change nothing.
   */
  async queue({ messages }: { readonly messages: readonly Order[] }, env: Env): Promise<void> {
    const tracker = new OffsetTracker(new D1OffsetStore(env.DB), { strategy: 'manual' });
    await tracker.getOffset('orders');
    const inOrder = [...messages].sort((a, b) => a.body.n - b.body.n);
    const done = new Set<Order>();
    await Promise.all(
      inOrder.map(async (order) => {
        const ticket = await tracker.begin('orders', Offset.sequence(order.body.n));
        const response = await env.API.fetch(`https://api.example/ship?n=${order.body.n}`, { method: 'POST' });
        if (!response.ok) return ticket.abandon();
        await save(env, 'orders', String(order.body.n));
        await ticket.done();
        done.add(order);
      }),
    );
    await tracker.close();
    const { committed } = tracker.status('orders');
    for (const order of inOrder) {
      const isCommitted = committed && (Offset.compare(Offset.sequence(order.body.n), committed) ?? 1) <= 0;
      if (done.has(order) && isCommitted) order.ack();
      else order.retry();
    }
  },
};

/** Reads pages until the feed has no more, or the time is up; the next invocation goes on from there. */
async function drain(source: string, tracker: OffsetTracker, env: Env): Promise<void> {
  const deadline = Date.now() + env.RUN_MS;
  try {
    const from = await tracker.getOffset(source);
    let cursor = from.kind === 'custom' ? from.value : '';
    do {
      const response = await env.API.fetch(`https://api.example/${source}?after=${encodeURIComponent(cursor)}`);
      if (!response.ok) throw new Error(`the feed of ${source} answered ${response.status}`);
      const page = (await response.json()) as Page;
      for (const { id, cursor: next } of page.items) {
        // Saving an item again changes nothing: what was saved and not committed is saved again.
        await save(env, source, id);
        await tracker.record(source, Offset.custom(next));
        cursor = next;
      }
      if (page.isLast) return;
    } while (Date.now() < deadline);
  } finally {
    // Commits what was recorded, also where something failed.
    await tracker.close();
  }
}

async function place(store: OffsetStore, source: string): Promise<string> {
  const checkpoint = await store.get(source);
  return checkpoint?.offset ? Offset.format(checkpoint.offset) : 'nothing yet';
}
