import { FeedExpiredError, quote } from '../errors.ts';
import { FeedError, type FeedErrorOptions } from './feed-error.ts';

/** Makes the errors of a feed: each names the source and where it is read from. */
export class FeedErrors {
  readonly #source: string;
  readonly #url: string;

  constructor(source: string, url: string) {
    this.#source = source;
    this.#url = url;
  }

  /** What may pass. */
  error(message: string, options?: FeedErrorOptions): FeedError {
    return new FeedError(this.about(message), { ...options, source: this.#source });
  }

  /** What cannot pass by itself. */
  final(message: string, options?: FeedErrorOptions): FeedError {
    return this.error(message, { ...options, retryable: false });
  }

  /** @param place how the server was told where to go on */
  expired(place: string): FeedExpiredError {
    const message = `the events after ${quote(place)} are gone (410): give an onExpired`;
    return new FeedExpiredError(this.about(message), { source: this.#source });
  }

  about(message: string): string {
    // Without the query, which may hold a secret.
    return `${quote(this.#source)} from ${quote(this.#url.replace(/[?#].*/, ''))}: ${message}`;
  }
}
