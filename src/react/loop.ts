import type { Feed, FeedEvent } from '../feeds/feed.ts';
import type { Offset } from '../offset.ts';
import type { EffectOptions } from '../resume/effect-options.ts';
import type { HandlerOptions } from '../resume/handler.ts';
import type { FeedState, FeedStateDetail, ReaderOptions } from '../resume/options.ts';
import { resume } from '../resume/resume.ts';
import type { ViewOptions } from '../resume/view-options.ts';
import type { OffsetTracker } from '../tracker/tracker.ts';

/** What a component was last given. */
export interface Latest {
  readonly feed: Feed<unknown>;
  readonly options: Options;
}

type Event = FeedEvent<unknown>;
type Options = HandlerOptions<Event> | ViewOptions<Event> | EffectOptions<Event>;

/** What a component reads, and the offset of the event that it was shown last. */
export interface Viewed {
  readonly tracker: OffsetTracker;
  readonly source: string;
  offset: Offset | undefined;
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
export function start(viewed: Viewed, latest: () => Latest, show: (connection: Connection) => void): () => void {
  const { tracker, source } = viewed;
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
    const options = {
      ...forward(latest, viewed),
      signal,
      onState: (state: FeedState, detail: FeedStateDetail) => {
        tell(state, detail.error, detail.retryInMs);
        latest().options.onState?.(state, detail);
      },
    };
    await resume(tracker, source, (from, context) => latest().feed(from, context), options as HandlerOptions<Event>);
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
function forward(latest: () => Latest, viewed: Viewed): Options {
  const { options } = latest();
  const onFailed: NonNullable<ReaderOptions<Event>['onFailed']> = (...args) =>
    latest().options.onFailed?.(...args) ?? 'stop';
  return {
    ...options,
    ...following(latest),
    // One that a later render gives is heeded, too. With one, a batch that fails is applied an event at a time.
    ...((options.onFailed || !options.batch) && { onFailed }),
    ...(options.view && viewing(latest, viewed)),
  } as Options;
}

type Callback = (...args: readonly unknown[]) => unknown;

/** Each function among the options, as one that calls the newest of its name. `resume` decides by itself where there is none. */
function following(latest: () => Latest): Record<string, Callback> {
  const optionOf = (name: string): unknown => Reflect.get(latest().options, name);
  const functions = Object.entries(latest().options).filter(([, option]) => typeof option === 'function');
  return Object.fromEntries(
    functions.map(([name, first]) => {
      const follow: Callback = (...args) => {
        const newest = optionOf(name);
        return ((typeof newest === 'function' ? newest : first) as Callback)(...args);
      };
      return [name, follow];
    }),
  );
}

/** A view that goes on after the event that this component was shown last. */
function viewing(latest: () => Latest, viewed: Viewed): Pick<ViewOptions<Event>, 'view' | 'viewFrom'> {
  const { options } = latest();
  return {
    viewFrom: viewed.offset ?? ('viewFrom' in options ? options.viewFrom : undefined),
    view: async (event, about) => {
      await latest().options.view?.(event, about);
      viewed.offset = event.offset ?? viewed.offset;
    },
  };
}
