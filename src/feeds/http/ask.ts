import { type FeedErrors, withoutSecrets } from '../feed-errors.ts';
import type { FeedHeaders, FeedRequest, FeedResponse, HttpOptions } from './options.ts';

/** One question to a server. */
export interface Question {
  readonly url: string;
  /** The type that is wanted. */
  readonly accept: string;
  readonly method?: string | undefined;
  readonly body?: string | undefined;
  /** Headers of the feed's own, which replace the application's. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/**
 * Asks a server; a 401 once more, where a function may have fresh headers.
 * @throws FeedError that is not retryable for what no fetch can send; else what the fetch rejects with
 */
export async function ask(options: HttpOptions, question: Question, errors: FeedErrors): Promise<FeedResponse> {
  const { headers } = options;
  if (typeof headers !== 'function') return send(options, question, headers, errors);
  const response = await send(options, question, await headers(), errors);
  if (response.status !== 401) return response;
  // What nobody reads would hold its connection.
  void Promise.resolve(response)
    .then((refused) => refused.text())
    .catch(() => {});
  return send(options, question, await headers(), errors);
}

async function send(
  { credentials, fetch }: HttpOptions,
  { url, accept, method = 'GET', body, headers: own, signal }: Question,
  given: FeedHeaders | undefined,
  errors: FeedErrors,
): Promise<FeedResponse> {
  let request: Request | undefined;
  let init: FeedRequest;
  try {
    const headers = new Headers(given as HeadersInit | undefined);
    if (!headers.has('accept')) headers.set('accept', accept);
    for (const [name, value] of Object.entries(own ?? {})) headers.set(name, value);
    init = {
      method,
      headers,
      signal,
      ...(body !== undefined && { body }),
      ...(credentials && { credentials }),
      // Some Workers refuse the property.
      ...('cache' in Request.prototype && { cache: 'no-store' }),
    };
    if (!fetch) request = new Request(url, init);
  } catch (cause) {
    // Without the cause, whose message may hold secrets.
    throw errors.final(withoutSecrets(`it cannot be asked for: ${cause}`, url));
  }
  return request ? globalThis.fetch(request) : await (fetch ?? globalThis.fetch)(url, init);
}
