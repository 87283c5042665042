import { useCallback, useEffect, useInsertionEffect, useMemo, useRef, useState } from 'react';
import type { Feed, FeedEvent, FeedItem } from '../feeds/feed.ts';
import type { BatchOptions, TransactBatchOptions, TransactOptions, TransactScope } from '../resume/effect-options.ts';
import type { HandlerOptions } from '../resume/handler.ts';
import type { FeedState } from '../resume/options.ts';
import type { EventOf, FeedOf } from '../resume/resume.ts';
import type { ViewOptions } from '../resume/view-options.ts';
import type { OffsetStore } from '../store.ts';
import type { OffsetTracker } from '../tracker/tracker.ts';
import type { Role } from '../tracker/types.ts';
import { type Connection, connecting, type Latest, type Viewed, start } from './loop.ts';
import { useOf } from './offset.ts';

export { useOffset } from './offset.ts';

/** What {@link useFeed} takes beside the options of `resume`. */
export interface UseFeedOwnOptions {
  /** Another key starts the reading anew, as another tracker or source does. Default: none. */
  readonly key?: string | number | undefined;
  /** Not taken: the reading ends with the component. Default: none. */
  readonly signal?: undefined;
}

/**
 * Options of {@link useFeed}: those of `resume` with a handler or a view. Functions may be given inline: the newest is called,
 * and the reading goes on. The others are those of the render in which the reading starts; change `key` to apply new ones.
 */
export type UseFeedOptions<E extends FeedEvent<unknown>> = (HandlerOptions<E> | ViewOptions<E>) & UseFeedOwnOptions;

/** What {@link useFeed} shows. The same object until something in it changes. */
export interface FeedView {
  /** See {@link FeedState}; 'connecting' until the component is mounted, and while the server renders. */
  readonly state: FeedState;
  /** Under `exclusive`: whether this tab reads the source, or waits for the one that does. */
  readonly role: Role | undefined;
  /** When the feed is tried again, in ms since the Unix epoch. */
  readonly retryAt: number | undefined;
  /** Why the feed is tried again, or what ended the reading; undefined once the feed stands. */
  readonly error: unknown;
  /** How far the recorded offset is behind the feed, as `tracker.status` says it. */
  readonly lag: number | undefined;
  /** Whether all that the feed had when it last said so is recorded. */
  readonly caughtUp: boolean | undefined;
  /** Whether `pause` was called, and `resume` not yet. */
  readonly paused: boolean;
  /** Ends the reading, and commits. It stays ended, for other sources too, until `resume`. */
  readonly pause: () => void;
  /** Reads on, after a pause, an error or the end of the feed; changes nothing while the feed is read. */
  readonly resume: () => void;
}

const nothing = (): undefined => undefined;

/**
 * Reads a source while the component is mounted: `resume` with a handler. What ends the reading is in `error`, and the
 * component stays; nothing is thrown. The feed is read anew when `tracker`, `source` or `key` is another, and not when
 * `feed` or a function is: those are looked up as they are called, `feed` at each opening. Make the tracker once, outside
 * of the component. A component that is mounted again waits for the reading before it, so no event is processed twice; a `view` goes on after
 * the last event that this component was shown.
 *
 * @example
 * const { state, lag, error } = useFeed(tracker, 'orders', sse('/feed'), { handler: (event) => save(event.data) });
 */
export function useFeed<I extends FeedItem<unknown>>(
  tracker: OffsetTracker,
  source: string,
  feed: FeedOf<I>,
  options: UseFeedOptions<EventOf<I>>,
): FeedView;
export function useFeed<I extends FeedItem<unknown>, P = undefined>(
  tracker: OffsetTracker,
  source: string,
  feed: FeedOf<I>,
  options: BatchOptions<EventOf<I>, P> & UseFeedOwnOptions,
): FeedView;
export function useFeed<
  I extends FeedItem<unknown>,
  S extends OffsetStore,
  const Scope extends TransactScope<S>,
  P = undefined,
>(
  tracker: OffsetTracker<S>,
  source: string,
  feed: FeedOf<I>,
  options: TransactBatchOptions<EventOf<I>, S, Scope, P> & UseFeedOwnOptions,
): FeedView;
export function useFeed<
  I extends FeedItem<unknown>,
  S extends OffsetStore,
  const Scope extends TransactScope<S>,
  P = undefined,
>(
  tracker: OffsetTracker<S>,
  source: string,
  feed: FeedOf<I>,
  options: TransactOptions<EventOf<I>, S, Scope, P> & UseFeedOwnOptions,
): FeedView;
export function useFeed(
  tracker: OffsetTracker,
  source: string,
  feed: Feed<unknown>,
  options: Latest['options'] & UseFeedOwnOptions,
): FeedView {
  const { key } = options;
  const viewed = useRef<Viewed>({ tracker, source, offset: undefined });
  const latest = useRef<Latest>({ feed, options });
  // Before any other effect, and not at all on the server.
  useInsertionEffect(() => {
    latest.current = { feed, options };
  });

  const [run, setRun] = useState({ paused: false, number: 0 });
  const isOver = useRef(false);
  const [shown, show] = useState<Shown>({ tracker, source, key, connection: connecting });
  useEffect(() => {
    if (run.paused) return;
    let isCurrent = true;
    isOver.current = false;
    const of = { tracker, source, key };
    show({ ...of, connection: connecting });
    if (viewed.current.tracker !== tracker || viewed.current.source !== source)
      viewed.current = { tracker, source, offset: undefined };
    const end = start(
      viewed.current,
      () => latest.current,
      (connection) => {
        if (!isCurrent) return;
        isOver.current = connection.state === 'closed';
        show({ ...of, connection });
      },
    );
    return () => {
      isCurrent = false;
      end();
    };
  }, [tracker, source, key, run]);

  const pause = useCallback(() => setRun((now) => (now.paused ? now : { paused: true, number: now.number })), []);
  const resume = useCallback(() => {
    const again = isOver.current;
    setRun((now) => (now.paused || again ? { paused: false, number: now.number + 1 } : now));
  }, []);

  const role = useOf(tracker, () => tracker.status(source).role, nothing);
  const lag = useOf(tracker, () => tracker.status(source).lag, nothing);
  const caughtUp = useOf(tracker, () => tracker.status(source).caughtUp, nothing);
  const { paused } = run;
  // What is shown of another source is not of this one.
  const isSame = shown.tracker === tracker && shown.source === source && shown.key === key;
  const connection = isSame ? shown.connection : connecting;
  return useMemo(
    () => ({ ...(paused ? closed : connection), role, lag, caughtUp, paused, pause, resume }),
    [connection, role, lag, caughtUp, paused, pause, resume],
  );
}

const closed: Connection = { state: 'closed', retryAt: undefined, error: undefined };

/** A connection, and what it is of. */
interface Shown {
  readonly tracker: OffsetTracker;
  readonly source: string;
  readonly key: string | number | undefined;
  readonly connection: Connection;
}
