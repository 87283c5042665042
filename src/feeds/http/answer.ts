import type { FeedExpiredError } from '../../errors.ts';
import type { Offset } from '../../offset.ts';
import type { FeedOpening } from '../feed.ts';
import type { FeedError } from '../feed-error.ts';
import type { FeedErrors } from '../feed-errors.ts';
import type { FeedResponse, LogOptions } from './options.ts';

/** The longest that a server is left alone because it says so, in ms. */
export const longestRetryAfterMs = 600_000;

/**
 * What an answer means that is none of the feed's. 408, 425, 429 and 5xx may pass. So may a 404 where the feed was open
 * before: while servers change over, nobody answers for a path.
 * @param place how the server was told where to go on
 * @param log says what the feed id of the answer is
 */
export function refusal(
  response: FeedResponse,
  errors: FeedErrors,
  { place, openedBefore, log }: { readonly place: string; readonly openedBefore: boolean; readonly log: LogOptions },
): FeedError | FeedExpiredError {
  const { status, statusText = '' } = response;
  if (status === 410)
    return errors.expired(
      place,
      told(errors, () => feedIdOf(response, log)),
    );
  return errors.error(`the server answered ${status} ${statusText}`.trimEnd(), {
    status,
    retryable: status >= 500 || [408, 425, 429].includes(status) || (status === 404 && openedBefore),
    retryAfterMs: retryAfterOf(response),
  });
}

/** Retry-After is a number of seconds or a date (RFC 9110, section 10.2.3), in ms. */
export function retryAfterOf({ headers }: FeedResponse): number | undefined {
  const text = headers.get('retry-after');
  if (text === null) return undefined;
  // By the server's own clock, since ours may be wrong.
  const now = Date.parse(headers.get('date') ?? '');
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - (Number.isNaN(now) ? Date.now() : now);
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), longestRetryAfterMs);
}

/**
 * What an answer tells of the log.
 * @param offsetOf makes an offset of what a header says
 */
export function openingOf(
  response: FeedResponse,
  log: LogOptions,
  { offsetOf, errors }: { readonly offsetOf: (text: string) => Offset | undefined; readonly errors: FeedErrors },
): FeedOpening {
  return told(errors, () => {
    const place = typeof log.head === 'function' ? log.head(response) : header(response, log.head);
    return { feedId: feedIdOf(response, log), head: typeof place === 'string' ? offsetOf(place) : place };
  });
}

function feedIdOf(response: FeedResponse, { feedId }: LogOptions): string | undefined {
  return typeof feedId === 'function' ? feedId(response) : header(response, feedId);
}

function header({ headers }: FeedResponse, name: string | undefined): string | undefined {
  return (name && headers.get(name)) || undefined;
}

function told<T>(errors: FeedErrors, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw errors.final(`what it says of its log cannot be read: ${cause}`, { cause });
  }
}
