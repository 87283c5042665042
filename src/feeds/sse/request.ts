import { quote } from '../../errors.ts';
import type { Offset } from '../../offset.ts';
import type { FeedContext } from '../feed.ts';
import type { FeedErrors } from '../feed-errors.ts';
import { refusal } from '../http/answer.ts';
import { ask, type Question } from '../http/ask.ts';
import type { FeedResponse, LogOptions } from '../http/options.ts';
import { inHeader, withQuery, wordOf } from '../http/place.ts';
import type { SseOptions } from './options.ts';

/** The id to send for an offset; undefined where there is none to say it by. */
export function idOf(from: Offset, options: SseOptions<unknown>): string | undefined {
  return options.id?.(from) ?? wordOf(from, options);
}

export function questionOf(
  url: string,
  options: SseOptions<unknown>,
  { from, id, errors }: { readonly from: Offset; readonly id: string; readonly errors: FeedErrors },
): Omit<Question, 'signal'> {
  const { lastEventId = 'header', method, body } = options;
  const inQuery = id !== '' && lastEventId !== 'header';
  return {
    url: inQuery ? withQuery(url, lastEventId.query, id) : url,
    accept: 'text/event-stream',
    method,
    body: typeof body === 'function' ? body(from) : body,
    ...(id !== '' && !inQuery && { headers: { 'last-event-id': inHeader(id, errors) } }),
  };
}

/** Rejects with what an answer means that is no event stream, and no 204. */
export function check(
  response: FeedResponse,
  errors: FeedErrors,
  id: string,
  { openedBefore }: FeedContext,
  log: LogOptions,
): void {
  const { status } = response;
  if (status === 204) return;
  if (status !== 200) throw refusal(response, errors, { place: id, openedBefore, log });
  const type = response.headers.get('content-type') ?? 'no content type';
  if (/^text\/event-stream *(;|$)/i.test(type)) return;
  // Where the feed was open before, it may be the page of a network that wants a login first.
  throw errors.error(`found ${type} where text/event-stream is needed`, { status, retryable: openedBefore });
}

/**
 * What to say of a failed request where a server of another origin answers without `Last-Event-ID`, which it was sent, and
 * not with it: `fetch` tells no reason.
 */
export async function corsAdvice(
  question: Question,
  options: SseOptions<unknown>,
  errors: FeedErrors,
): Promise<string | undefined> {
  const { location } = globalThis as { readonly location?: { readonly href?: string; readonly origin?: string } };
  if (question.signal.aborted || (question.method ?? 'GET') !== 'GET' || !location?.href?.startsWith('http'))
    return undefined;
  const { origin } = new URL(question.url, location.href);
  if (origin === location.origin) return undefined;
  const stop = new AbortController();
  const end = (): void => stop.abort();
  question.signal.addEventListener('abort', end);
  try {
    await ask(options, { ...question, headers: {}, signal: stop.signal }, errors);
    return (
      `${quote(origin)} answers without the header Last-Event-ID and not with it: its answer to the preflight has to name ` +
      'it in Access-Control-Allow-Headers; or have it sent as a query parameter, by the option `lastEventId`'
    );
  } catch {
    return undefined;
  } finally {
    question.signal.removeEventListener('abort', end);
    end();
  }
}
