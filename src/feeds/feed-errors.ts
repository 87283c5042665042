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

  /**
   * @param place how the server was told where to go on
   * @param feedId what the server says that its log is
   */
  expired(place: string, feedId?: string): FeedExpiredError {
    const message = `the events after ${quote(place)} are gone (410): give an onExpired`;
    return new FeedExpiredError(this.about(message), { source: this.#source, feedId });
  }

  about(message: string): string {
    return `${quote(this.#source)} from ${quote(bare(this.#url))}: ${withoutSecrets(message, this.#url)}`;
  }
}

/** What a fetch fails with, which may name the whole URL. */
export function withoutSecrets(text: string, url: string): string {
  return url === '' ? text : text.replaceAll(url, bare(url));
}

/** A URL without its query and its user, which may hold secrets. */
function bare(url: string): string {
  return url.replace(/[?#].*/s, '').replace(/\/\/[^/@]*@/, '//');
}
