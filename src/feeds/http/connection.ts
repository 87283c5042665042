import { OffsetError } from '../../errors.ts';
import type { FeedContext } from '../feed.ts';
import { FeedErrors } from '../feed-errors.ts';
import { inTime, Silence } from '../silence.ts';
import { ask, type Question } from './ask.ts';
import type { FeedResponse, HttpOptions } from './options.ts';

/** What one opening of a feed asks its server with. */
export class HttpConnection {
  readonly errors: FeedErrors;
  readonly #options: HttpOptions;
  readonly #context: FeedContext;
  readonly #timeoutMs: number;
  readonly #abort = new AbortController();

  /** @param timeoutMs how long the server may say nothing; 0: for ever */
  constructor(url: string, options: HttpOptions, context: FeedContext, timeoutMs: number) {
    this.errors = new FeedErrors(context.source, url);
    this.#options = options;
    this.#context = context;
    this.#timeoutMs = timeoutMs;
    if (context.signal.aborted) this.close();
    context.signal.addEventListener('abort', this.close);
  }

  /** Aborted when the connection is closed. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  ask(question: Omit<Question, 'signal'>): Promise<FeedResponse> {
    return this.inTime(() => ask(this.#options, { ...question, signal: this.signal }, this.errors));
  }

  /** Waits for the server: network errors and a silence that lasts too long may pass. */
  async inTime<T>(wait: () => Promise<T>): Promise<T> {
    try {
      return await inTime(this.#timeoutMs, this.close, wait);
    } catch (cause) {
      if (cause instanceof OffsetError) throw cause;
      throw this.errors.error(cause instanceof Silence ? cause.message : String(cause), { cause });
    }
  }

  readonly close = (): void => {
    this.#context.signal.removeEventListener('abort', this.close);
    this.#abort.abort();
  };
}
