import { DurableObject } from 'cloudflare:workers';
import { Offset, OffsetTracker, resume, sse } from 'tidemark';
import { DurableObjectOffsetStore } from 'tidemark/durable-object';
import type { Env } from './env.ts';

/** What the feed of prices tells. */
interface Price {
  readonly n: number;
}

/**
 * Reads an SSE feed by alarms, each for a while. What an event does and its offset are stored in the object's own SQLite
 * together: the loop records an event as it asks for the next, and nothing from outside is awaited between the two.
 */
export class Prices extends DurableObject<Env> {
  readonly #tracker = new OffsetTracker(new DurableObjectOffsetStore(this.ctx.storage));
  readonly #feed = sse('https://api.example/prices', {
    fetch: (url, init) => this.env.API.fetch(url, init),
    parse: (data): Price => JSON.parse(data),
    offset: (id) => Offset.sequence(id),
    idleTimeoutMs: 30_000,
  });

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec('CREATE TABLE IF NOT EXISTS totals (id INTEGER PRIMARY KEY, count INTEGER, sum INTEGER)');
    ctx.storage.sql.exec('INSERT OR IGNORE INTO totals VALUES (1, 0, 0)');
  }

  async start(): Promise<void> {
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now());
  }

  async state(): Promise<{ readonly place: string; readonly count: number; readonly sum: number }> {
    const [totals] = this.ctx.storage.sql.exec('SELECT count, sum FROM totals');
    const offset = this.#tracker.status('prices').committed ?? (await this.#tracker.getAllCommitted()).get('prices');
    return {
      place: offset ? Offset.format(offset) : 'nothing yet',
      count: Number(totals?.count),
      sum: Number(totals?.sum),
    };
  }

  async alarm(): Promise<void> {
    try {
      const signal = AbortSignal.timeout(this.env.RUN_MS);
      for await (const { data } of resume(this.#tracker, 'prices', this.#feed, { signal, minDelayMs: 100 })) {
        // Counted, not set: an event that is applied twice would show.
        this.ctx.storage.sql.exec('UPDATE totals SET count = count + 1, sum = sum + ?', data.n);
      }
    } finally {
      await this.ctx.storage.setAlarm(Date.now() + 1000);
    }
  }
}
