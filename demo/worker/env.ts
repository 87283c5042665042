import type { CloudflareKVBinding } from 'tidemark/cloudflare-kv';
import type { Prices } from './prices.ts';

/** What the Worker is bound to. */
export interface Env {
  readonly OFFSETS: CloudflareKVBinding;
  readonly DB: D1Database;
  readonly ORDERS: { send(order: { readonly n: number }): Promise<void> };
  readonly PRICES: DurableObjectNamespace<Pick<Prices, 'start' | 'state'>>;
  /** The API whose feeds are read. */
  readonly API: { fetch(url: string, init?: RequestInit): Promise<Response> };
  /** How long an invocation reads, in ms. */
  readonly RUN_MS: number;
}

/** A page of a feed. */
export interface Page {
  readonly items: readonly { readonly id: string; readonly cursor: string }[];
  readonly isLast: boolean;
}

const table = 'CREATE TABLE IF NOT EXISTS saved (source TEXT, id TEXT, PRIMARY KEY (source, id))';

/** Saves an item, once however often it is called. */
export async function save(env: Env, source: string, id: string): Promise<void> {
  await env.DB.batch([
    env.DB.prepare(table),
    env.DB.prepare('INSERT OR IGNORE INTO saved VALUES (?, ?)').bind(source, id),
  ]);
}

/** How many items of a feed are saved. */
export async function saved(env: Env, source: string): Promise<number> {
  const [, counted] = await env.DB.batch([
    env.DB.prepare(table),
    env.DB.prepare('SELECT COUNT(*) AS saved FROM saved WHERE source = ?').bind(source),
  ]);
  return Number((counted?.results[0] as { saved: number } | undefined)?.saved);
}
