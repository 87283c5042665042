import type { Offset } from '../../offset.ts';

/** Headers of a request: an object, pairs, or a `Headers`. */
export type FeedHeaders =
  | Readonly<Record<string, string>>
  | Iterable<readonly [string, string]>
  // A `Headers` is no iterable in a project whose `lib` has "DOM" or "WebWorker" alone.
  | { forEach(callback: (value: string, name: string) => void): void };

/** What a feed's `fetch` is called with: part of what the global one takes. */
export interface FeedRequest {
  readonly method: string;
  readonly headers: Headers;
  readonly signal: AbortSignal;
  body?: string;
  credentials?: FeedCredentials;
  cache?: 'no-store';
}

/** Whether cookies are sent, as `fetch` has it. */
export type FeedCredentials = 'omit' | 'same-origin' | 'include';

/** What a feed reads of an answer: part of a `Response`. */
export interface FeedResponse {
  /** The HTTP status. */
  readonly status: number;
  /** What the server calls that status, for messages of errors. */
  readonly statusText?: string;
  /** The answer's headers, by any case of their names. */
  readonly headers: { get(name: string): string | null };
  /** A ReadableStream of bytes, or an async iterable of them, as Node's streams are. */
  readonly body: unknown;
  /** The whole body as text. */
  text(): Promise<string>;
}

/** How a feed asks its server over HTTP. */
export interface HttpOptions {
  /**
   * Headers of the request. A function is called for each request, for example for a fresh token, and once more where the
   * server answers 401. Default: none beside those of the feed itself.
   */
  readonly headers?: FeedHeaders | (() => FeedHeaders | Promise<FeedHeaders>);
  /** Whether cookies are sent, as `fetch` has it. Default: what `fetch` does, 'same-origin'. */
  readonly credentials?: FeedCredentials;
  /** What sends the requests. Default: the global `fetch`. */
  readonly fetch?: (url: string, request: FeedRequest) => Promise<FeedResponse>;
}

/** What a feed tells of its log, in a header or as a function has it. */
export interface LogOptions {
  /**
   * Which log the server's offsets belong to: the name of a header of its answers, or a function of the answer. To another
   * origin, the server's `Access-Control-Expose-Headers` has to name the header. Default: none, and another log under the
   * same address is not noticed.
   */
  readonly feedId?: string | ((response: FeedResponse) => string | undefined);
  /**
   * The position of the newest event: the name of a header of the answers, or a function of the answer. Default: none, and
   * `status().lag` is not known.
   */
  readonly head?: string | ((response: FeedResponse) => Offset | undefined);
}

/** What a server calls the ends of its log. */
export interface WordOptions {
  /**
   * The word for the start, sent in the place of an id; '' where a request without one starts there. Default: none is
   * sent, so the server decides where to start.
   */
  readonly earliest?: string;
  /**
   * The word for the end, sent in the place of an id; '' where a request without one starts there. Default: none is sent,
   * so the server decides where to start.
   */
  readonly latest?: string;
}
