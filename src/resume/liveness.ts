/** A sign of life sooner after the last one is no heartbeat of its own, in ms. */
const leastHeartbeatMs = 250;
/** How many heartbeats make an interval known. */
const enoughHeartbeats = 2;
/** How many steady arrivals make a rhythm known. */
const enoughArrivals = 8;
/** A gap of so many times the mean is none of a steady rhythm. */
const steady = 4;
/** How many times the longest silence makes a connection dead. */
const patience = 3;
/** The least that a feed with heartbeats, and one with a rhythm alone, may be silent, in ms. */
const leastSilenceMs = 2000;
const leastQuietMs = 15_000;

/** What {@link Liveness} goes by; times in ms. */
export interface LivenessOptions {
  /** 0: for ever. */
  readonly openTimeoutMs?: number;
  /** 0: for ever; undefined: it is learned. */
  readonly idleTimeoutMs?: number;
}

/**
 * Whether a connection is dead, by its silence. Three times the longest silence is too long, once the feed has shown that
 * it does not keep silent: by two heartbeats, or by events in a steady rhythm. A feed that is merely quiet shows neither.
 */
export class Liveness {
  readonly #options: LivenessOptions;
  /** What the feed says itself. */
  #ownLimitMs: number | undefined;
  #opensAt: number | undefined;
  #heardAt = 0;
  /** Since when somebody waits for the feed; silence counts only then. */
  #waitsSince: number | undefined;
  #heartbeats = 0;
  #arrivals = 0;
  #longestArrivalMs = 0;
  #firstArrivalAt = 0;
  /** The longest silence that ended by itself. */
  #longestMs = 0;

  constructor(options: LivenessOptions) {
    this.#options = options;
  }

  /** A connection begins to be opened. What was learned counts again once the feed shows it again. */
  begin(): void {
    this.#heardAt = Date.now();
    this.#ownLimitMs = this.#opensAt = this.#waitsSince = undefined;
    this.#heartbeats = this.#arrivals = this.#longestArrivalMs = 0;
  }

  /** The feed tells when it stands. */
  opening(): void {
    this.#opensAt = Date.now();
  }

  stands(): void {
    this.#opensAt = undefined;
    this.#heardAt = Date.now();
  }

  limit(ms: number): void {
    this.#ownLimitMs = ms;
  }

  waits(): void {
    this.#waitsSince ??= Date.now();
  }

  /** Something came. */
  heard(heartbeat: boolean): void {
    const now = Date.now();
    const gap = Math.max(0, now - this.#heardAt);
    this.#heardAt = now;
    this.#longestMs = Math.max(this.#longestMs, gap);
    if (!heartbeat) this.#arrived(now, gap);
    else if (gap >= leastHeartbeatMs) this.#heartbeats++;
  }

  /** Nobody waits any more. */
  done(): void {
    this.#waitsSince = undefined;
  }

  /** How long the feed has been silent while somebody waited for it, in ms. */
  get silenceMs(): number {
    if (this.#waitsSince === undefined) return 0;
    return Date.now() - Math.max(this.#heardAt, this.#waitsSince);
  }

  /** Whether a silence that nobody watched is longer than is usual. */
  get unusual(): boolean {
    return Date.now() - this.#heardAt > Math.max(leastQuietMs, 2 * this.#longestMs);
  }

  /** How long the connection may be silent, in ms; undefined: for ever. */
  get limitMs(): number | undefined {
    const { openTimeoutMs = 10_000, idleTimeoutMs } = this.#options;
    if (this.#opensAt !== undefined) return openTimeoutMs || undefined;
    if (this.#ownLimitMs === 0) return undefined;
    const limit = idleTimeoutMs ?? this.#ownLimitMs ?? this.#learned();
    return limit || undefined;
  }

  /** Why the connection is dead; undefined while it is not. */
  verdict(): { readonly opening: boolean; readonly ms: number } | undefined {
    const limit = this.limitMs;
    if (limit === undefined) return undefined;
    const opening = this.#opensAt !== undefined;
    const ms = this.#opensAt === undefined ? this.silenceMs : Date.now() - this.#opensAt;
    return ms >= limit ? { opening, ms: limit } : undefined;
  }

  #learned(): number | undefined {
    const longest = patience * this.#longestMs;
    if (this.#heartbeats >= enoughHeartbeats) return Math.max(leastSilenceMs, longest);
    const mean = (this.#heardAt - this.#firstArrivalAt) / this.#arrivals;
    const isSteady = this.#arrivals >= enoughArrivals && mean > 0 && this.#longestArrivalMs <= steady * mean;
    return isSteady ? Math.max(leastQuietMs, longest) : undefined;
  }

  #arrived(now: number, gap: number): void {
    if (this.#arrivals === 0) this.#firstArrivalAt = now;
    else this.#longestArrivalMs = Math.max(this.#longestArrivalMs, gap);
    this.#arrivals++;
  }
}
