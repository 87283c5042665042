import type { FeedError } from '../feeds/feed-error.ts';
import type { Feed, FeedEvent } from '../feeds/feed.ts';
import type { HandlerOptions } from '../resume/handler.ts';
import type { FeedState } from '../resume/options.ts';
import { resume } from '../resume/resume.ts';
import type { OffsetTracker } from '../tracker/tracker.ts';

/** What a component was last given. */
export interface Latest {
  readonly feed: Feed<unknown>;
  readonly options: Omit<HandlerOptions<FeedEvent<unknown>>, 'signal'>;
}

/** The connection of a feed, as a component shows it. */
export interface Connection {
  readonly state: FeedState;
  readonly retryAt: number | undefined;
  readonly error: unknown;
}

/** The first render, on the server too. */
export const connecting: Connection = { state: 'connecting', retryAt: undefined, error: undefined };

/**
 * Starts a reading that calls what the component was last given, and never rejects: its end is told as 'closed'.
 *
 * @returns a function that ends it
 */
export function start(
  tracker: OffsetTracker,
  source: string,
  latest: () => Latest,
  show: (connection: Connection) => void,
): () => void {
  const life = new AbortController();
  let shown = connecting;
  const tell = (state: FeedState, error: unknown, retryInMs?: number): void => {
    // The error stays until the feed stands again, so that it does not flicker between two tries.
    const kept = state === 'open' || state === 'queued' ? undefined : (error ?? shown.error);
    shown = { state, error: kept, retryAt: retryInMs === undefined ? undefined : Date.now() + retryInMs };
    show(shown);
  };
  const reading = async (): Promise<void> => {
    const { signal } = life;
    await resume(tracker, source, (from, context) => latest().feed(from, context), {
      ...forward(latest),
      signal,
      onState: (state, detail) => {
        tell(state, detail.error, detail.retryInMs);
        latest().options.onState?.(state, detail);
      },
    });
  };
  // An error that has passed is not why the reading ends.
  const ended = (error?: unknown): void => {
    shown = connecting;
    tell('closed', error);
  };
  reading().then(() => ended(), ended);
  return () => life.abort();
}

/** The options, of which the functions are looked up as they are called. */
function forward(latest: () => Latest): Omit<HandlerOptions<FeedEvent<unknown>>, 'signal'> {
  const { options } = latest();
  const { onExpired, retry } = options;
  return {
    ...options,
    handler: (event, context) => latest().options.handler(event, context),
    onFailed: (error, event, attempt) => latest().options.onFailed?.(error, event, attempt) ?? 'stop',
    // Without these two `resume` decides by itself, so they are given only where there are some.
    ...(retry && { retry: (error: FeedError, attempt: number) => (latest().options.retry ?? retry)(error, attempt) }),
    ...(typeof onExpired === 'function' && {
      onExpired: (...args: Parameters<typeof onExpired>) => {
        const { onExpired: newest } = latest().options;
        return (typeof newest === 'function' ? newest : onExpired)(...args);
      },
    }),
  };
}
