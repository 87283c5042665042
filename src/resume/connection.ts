import { UnsupportedError, quote } from '../errors.ts';
import {
  type Feed,
  type FeedContext,
  type FeedEvent,
  type FeedItem,
  type FeedIterator,
  type FeedOpening,
  isHeartbeat,
} from '../feeds/feed.ts';
import type { Offset } from '../offset.ts';
import type { Liveness } from './liveness.ts';

/** How long a feed that is let go may take to end before the next one is opened without waiting for it, in ms. */
const lettingGoMs = 1000;

/** What a connection tells whoever reads it. */
export interface ConnectionHooks {
  readonly liveness: Liveness;
  /** The feed stands, for the first time since it was opened. */
  stands(): void;
  about(opening: FeedOpening): void;
  reopenAfter(ms: number): void;
  warn(code: string, message: string): void;
  /** Resolves with what the promise does, or with undefined once something has changed. */
  until<T>(promise: Promise<T>): Promise<T | undefined>;
}

/** A feed that is opened, read and let go, again and again. */
export class Connection<E extends FeedEvent<unknown>> {
  readonly #feed: Feed<unknown, E>;
  readonly #source: string;
  readonly #hooks: ConnectionHooks;
  #abort = new AbortController();
  #items: FeedIterator<FeedItem<unknown, E>> | undefined;
  #stands = false;
  #stoodBefore = false;
  #onRecorded: ((offset: Offset) => void) | undefined;

  constructor(feed: Feed<unknown, E>, source: string, hooks: ConnectionHooks) {
    this.#feed = feed;
    this.#source = source;
    this.#hooks = hooks;
  }

  get isOpen(): boolean {
    return this.#items !== undefined;
  }

  /** Aborted when the connection is let go. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The connection is about to be opened. */
  prepare(): AbortSignal {
    this.#abort = new AbortController();
    return this.signal;
  }

  /** @throws UnsupportedError where what was given as a feed is none */
  open(from: Offset): void {
    const source = this.#source;
    this.#hooks.liveness.begin();
    const items = this.#feed(from, this.#context(this.signal));
    if (typeof items?.[Symbol.asyncIterator] !== 'function') {
      throw new UnsupportedError(
        `${quote(items)} is no feed of ${quote(source)}: a feed returns an async iterable, for example an async generator`,
        { source },
      );
    }
    this.#items = items[Symbol.asyncIterator]();
  }

  /** The next item where it is at hand. */
  ready(): FeedItem<unknown, E> | undefined {
    const item = this.#items?.ready?.();
    if (!item || this.signal.aborted) return undefined;
    this.#isAlive();
    return item;
  }

  /** The next item; 'end' for good, 'dropped'; undefined where something changed meanwhile. */
  async pull(): Promise<FeedItem<unknown, E> | 'end' | 'dropped' | undefined> {
    const items = this.#items;
    const { signal } = this;
    if (!items || signal.aborted) return undefined;
    const atHand = this.ready();
    if (atHand) return atHand;
    const result = await this.#wait(items);
    if (result === undefined || signal.aborted) return undefined;
    if (result.done) return result.value === 'end' ? 'end' : 'dropped';
    this.#isAlive();
    return result.value;
  }

  async #wait(items: FeedIterator<FeedItem<unknown, E>>) {
    const { liveness, until } = this.#hooks;
    liveness.waits();
    const result = await until(items.next());
    liveness.done();
    if (!result || result.done) return result;
    if (Object(result.value) !== result.value) {
      const what = `the feed of ${quote(this.#source)} yielded ${quote(result.value)}`;
      throw new UnsupportedError(`${what}: a feed yields events, as { offset, data }`, { source: this.#source });
    }
    liveness.heard(isHeartbeat(result.value));
    return result;
  }

  /** A position that was read is recorded. */
  recorded(offset: Offset): void {
    this.#onRecorded?.(offset);
  }

  abort(): void {
    this.#abort.abort();
  }

  /** Ends the iteration; what it ends with is of no interest. */
  async close(): Promise<void> {
    const items = this.#items;
    this.#items = this.#onRecorded = undefined;
    this.#stands = false;
    this.abort();
    if (items?.return === undefined) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, lettingGoMs);
    });
    try {
      await Promise.race([items.return(), late]);
    } catch {
      // It was to end, and has.
    }
    clearTimeout(timer);
  }

  #isAlive(): void {
    if (this.#stands) return;
    this.#stands = this.#stoodBefore = true;
    this.#hooks.liveness.stands();
    this.#hooks.stands();
  }

  #context(signal: AbortSignal): FeedContext {
    return {
      source: this.#source,
      signal,
      openedBefore: this.#stoodBefore,
      opened: (about = {}) => {
        if (signal.aborted) return;
        this.#isAlive();
        this.#hooks.about(about);
      },
      opening: () => this.#hooks.liveness.opening(),
      alive: () => signal.aborted || this.#hooks.liveness.heard(true),
      deadAfter: (ms) => this.#hooks.liveness.limit(ms),
      reopenAfter: (ms) => this.#hooks.reopenAfter(ms),
      onRecorded: (listener) => {
        this.#onRecorded = listener;
      },
      warn: (code, message) => this.#hooks.warn(code, message),
    };
  }
}
