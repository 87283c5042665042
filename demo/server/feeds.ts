import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Feed, type FeedState, beginning } from './feed.ts';

/** Options of the feeds that nobody has configured by name. */
export interface FeedsOptions {
  /** Events a second; default 20. */
  readonly rate?: number;
  /** Events held, counted from the newest; default 20,000. */
  readonly retention?: number;
  /** Milliseconds since the Unix epoch; default Date.now. */
  readonly now?: () => number;
  /** Where feeds are kept so that a server started again goes on with them; default: they end with the server. */
  readonly folder?: string | undefined;
}

/** A feed that was not used for an hour begins anew. */
const forgetAfterMs = 3_600_000;
const touchEveryMs = 30_000;
const maxFeeds = 200;

/** Feeds by name, made when they are first asked for, so that readers and tests do not disturb each other. */
export class Feeds {
  #feeds = new Map<string, Feed>();
  #saved = new Map<string, number>();
  #options: FeedsOptions;
  #now: () => number;

  constructor(options: FeedsOptions = {}) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** @param initial the rate and retention of a feed that does not exist yet */
  get(name: string, initial: Partial<Pick<FeedState, 'rate' | 'retention'>> = {}): Feed {
    const feed = this.#feeds.get(name) ?? this.#make(name, initial);
    // Re-inserted, so that the one evicted below is the one that was not used for longest.
    this.#feeds.delete(name);
    this.#feeds.set(name, feed);
    const [oldest] = this.#feeds.keys();
    if (this.#feeds.size > maxFeeds && oldest !== undefined) this.#feeds.delete(oldest);
    if (this.#now() - (this.#saved.get(name) ?? 0) > touchEveryMs) this.save(feed);
    return feed;
  }

  /** Keeps a feed over a restart of the server; to be called when it was changed. */
  save(feed: Feed): void {
    const { folder } = this.#options;
    if (folder === undefined) return;
    this.#saved.set(feed.name, this.#now());
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `${feed.name}.json`);
    writeFileSync(`${file}.new`, JSON.stringify({ ...feed.state, usedAt: this.#now() }));
    renameSync(`${file}.new`, file);
  }

  #make(name: string, initial: Partial<FeedState>): Feed {
    const { rate = 20, retention = 20_000 } = this.#options;
    const state = this.#load(name) ?? { rate, retention, ...initial, ...beginning(this.#now()) };
    return new Feed(name, state, this.#now);
  }

  #load(name: string): FeedState | undefined {
    const { folder } = this.#options;
    if (folder === undefined) return undefined;
    try {
      const kept: unknown = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'));
      return isKept(kept) && this.#now() - kept.usedAt < forgetAfterMs ? kept : undefined;
    } catch {
      return undefined; // Not there, or cut short: the feed begins anew.
    }
  }
}

function isKept(value: unknown): value is FeedState & { usedAt: number } {
  if (typeof value !== 'object' || value === null) return false;
  const kept = value as Partial<Record<keyof FeedState | 'usedAt', unknown>>;
  const numbers = [kept.rate, kept.retention, kept.position, kept.since, kept.usedAt];
  const { generation, broken } = kept;
  return typeof generation === 'string' && numbers.every(Number.isFinite) && Array.isArray(broken);
}
