import { longestTimeout } from '../feeds/pause.ts';
import type { ReaderOptions } from './options.ts';

/** What {@link Backoff} goes by; times in ms. */
export interface BackoffOptions {
  /** The most that the first reopening waits, beside what the server asks for; doubled at each further one. */
  readonly minDelayMs: number;
  /** Where the doubling ends. */
  readonly maxDelayMs: number;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly now: () => number;
}

/** By the options of a reading, and their defaults. */
export function backoffOf({
  minDelayMs = 1000,
  maxDelayMs = 30_000,
  random = Math.random,
}: ReaderOptions<never>): Backoff {
  return new Backoff({ minDelayMs, maxDelayMs, random, now: Date.now });
}

/**
 * How long to wait before a feed is reopened: what the server asks for, and upon it a random part of a span that doubles
 * each time ("full jitter"), so that the readers of a server that restarted do not all come back at once.
 */
export class Backoff {
  /** What the server asks to be left alone for at each reopening, in ms. */
  floorMs = 0;
  /** Reopenings since the feed last showed life. */
  attempt = 0;
  /** Refusals since then that the application was asked about. */
  refusals = 0;
  readonly #options: BackoffOptions;
  #openedAt = Infinity;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** The feed shows life. */
  alive(): void {
    this.attempt = this.refusals = 0;
  }

  opened(): void {
    this.#openedAt = this.#options.now();
  }

  /** @param retryAfterMs what the server asks for this time */
  next(retryAfterMs = 0): number {
    const { minDelayMs, maxDelayMs, random, now } = this.#options;
    const span = (): number => Math.min(maxDelayMs, minDelayMs * 2 ** this.attempt);
    // A quiet feed shows no life, but a connection that stood for so long is no sign of trouble.
    if (now() - this.#openedAt >= span()) this.attempt = 0;
    this.#openedAt = Infinity;
    const delay = Math.max(this.floorMs, retryAfterMs) + random() * span();
    this.attempt++;
    return Math.min(delay, longestTimeout);
  }
}
