import {
  Offset,
  type Feed,
  type FeedContext,
  type FeedEvent,
  type FeedItem,
  type FeedOpening,
  type FeedWarning,
  isFailure,
  isHeartbeat,
} from 'tidemark';

/** What a feed does in one opening, without a tracker. */
export interface Opening<E extends FeedEvent<unknown>> {
  readonly items: FeedItem<unknown, E>[];
  readonly events: E[];
  /** Where each item stands, as text; '-' where it has no offset. */
  readonly places: string[];
  readonly told: FeedOpening[];
  readonly warnings: FeedWarning[];
  readonly messages: string[];
  readonly delays: number[];
  /** How often something was heard that is no item. */
  alive: number;
  ended: 'end' | void;
  error: unknown;
}

export interface OpeningOptions {
  readonly from?: Offset;
  readonly openedBefore?: boolean;
  /** Leaves after so many items. */
  readonly count?: number;
  readonly signal?: AbortSignal;
  /** What is told as recorded after each item; default: its offset. */
  readonly onItem?: (count: number) => void;
}

/** What a feed is given by somebody who heeds nothing of what it tells. */
export function quietContext(openedBefore: boolean): FeedContext {
  return {
    source: 'orders',
    signal: new AbortController().signal,
    openedBefore,
    opened() {},
    alive() {},
    deadAfter() {},
    reopenAfter() {},
    onRecorded() {},
    warn() {},
  };
}

/** Opens a feed once and reads it to where it ends, drops or fails. */
export async function openOnce<E extends FeedEvent<unknown>>(
  feed: Feed<unknown, E>,
  { from = Offset.earliest, openedBefore = false, count = Infinity, signal, onItem }: OpeningOptions = {},
): Promise<Opening<E>> {
  const stop = new AbortController();
  if (signal?.aborted) stop.abort();
  signal?.addEventListener('abort', () => stop.abort());
  const opening: Opening<E> = {
    items: [],
    events: [],
    places: [],
    told: [],
    warnings: [],
    messages: [],
    delays: [],
    alive: 0,
    ended: undefined,
    error: undefined,
  };
  let recorded: (offset: Offset) => void = () => {};
  const items = feed(from, {
    source: 'orders',
    signal: stop.signal,
    openedBefore,
    opened: (about = {}) => void opening.told.push(about),
    alive: () => void opening.alive++,
    deadAfter: () => {},
    reopenAfter: (ms) => void opening.delays.push(ms),
    onRecorded: (listener) => void (recorded = listener),
    warn: (code, message) => {
      opening.warnings.push(code);
      opening.messages.push(message);
    },
  })[Symbol.asyncIterator]();
  try {
    while (opening.items.length < count) {
      const { done, value } = await items.next();
      if (done) {
        opening.ended = value;
        return opening;
      }
      opening.items.push(value);
      if (!isHeartbeat(value) && !isFailure(value)) opening.events.push(value);
      opening.places.push(value.offset ? Offset.format(value.offset) : '-');
      if (value.offset) recorded(value.offset);
      onItem?.(opening.items.length);
    }
  } catch (error) {
    opening.error = error;
  } finally {
    stop.abort();
    await items.return?.();
  }
  return opening;
}
