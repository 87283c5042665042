import { FeedExpiredError, OffsetError } from '../errors.ts';
import { type Offset, isConcrete } from '../offset.ts';
import type { TrackerEvent } from '../tracker/types.ts';
import { Backoff } from './backoff.ts';
import { Turn } from '../tabs/turn.ts';
import { type Feed, type FeedEvent, type FeedHeartbeat, type FeedItem, isFailure } from '../feeds/feed.ts';
import { FeedError } from '../feeds/feed-error.ts';
import type { FeedState, FeedStateDetail, FeedTracker, ReaderOptions } from './options.ts';

/** After so many failures of the store in a row the reading ends with the last one. */
const patience = 5;
/** How long a feed that is let go may take to end before the next one is opened without waiting for it, in ms. */
const lettingGoMs = 1000;

type Items<E extends FeedEvent<unknown>> = AsyncIterator<FeedItem<unknown, E>, 'end' | void, void>;

/** Keeps a feed open at the position that was read last, and says what of it may still be recorded. */
export class Reader<E extends FeedEvent<unknown>> {
  /** Counts resets and fences: what was read in an earlier life must not be recorded. */
  life = 0;
  /** The life in which the last item was read. */
  itemLife = 0;
  readonly #tracker: FeedTracker;
  readonly #source: string;
  readonly #feed: Feed<unknown, E>;
  readonly #options: ReaderOptions;
  readonly #backoff: Backoff;
  /** Where to open the feed; undefined: where the tracker says. */
  #position: Offset | undefined;
  #items: Items<E> | undefined;
  #connection = new AbortController();
  #life = new AbortController();
  #opened = false;
  #held = false;
  #ended = false;
  #flushed = false;
  #failure: { readonly error: unknown } | undefined;
  /** Failures of the store since its last success. */
  #failures = 0;
  /** Expiries since the last event. */
  #expiries = 0;
  #wake: (() => void) | undefined;
  #watched: Promise<unknown> | undefined;
  #turn: Turn | undefined;
  #stopListening: (() => void) | undefined;

  constructor(tracker: FeedTracker, source: string, feed: Feed<unknown, E>, options: ReaderOptions) {
    this.#tracker = tracker;
    this.#source = source;
    this.#feed = feed;
    this.#options = options;
    const { minDelayMs = 1000, maxDelayMs = 30_000, random = Math.random } = options;
    this.#backoff = new Backoff({ minDelayMs, maxDelayMs, random, now: Date.now });
  }

  /** Aborted when what is being read is void, or nobody wants it any more. */
  get signal(): AbortSignal {
    return this.#life.signal;
  }

  /** Whether what was read in a life may still be begun. */
  alive(life: number): boolean {
    return life === this.life && !this.#ended && !this.#failure;
  }

  /** The next event or heartbeat; undefined at the end. Rejects with what ends the reading. */
  async next(): Promise<E | FeedHeartbeat | undefined> {
    this.#listen();
    for (;;) {
      if (this.#failure) throw this.#failure.error;
      if (this.#ended) return undefined;
      if (this.#held) {
        this.#state('waiting');
        await this.until(new Promise(() => {}));
        continue;
      }
      try {
        const item = await this.#pull();
        if (item && (await this.sure())) return item;
      } catch (error) {
        await this.#recover(error);
      }
    }
  }

  /** Whether nobody else can have begun to read meanwhile. */
  sure(): boolean | Promise<boolean> {
    return this.#turn?.sure() ?? true;
  }

  /** Records a position that was read in this life. Commits run beside the reading; `next` rejects when they cannot. */
  record(offset: Offset): void {
    if (isConcrete(offset)) this.watch(this.#tracker.record(this.#source, offset));
  }

  /** Heeds what becomes of a record. */
  watch(recorded: Promise<'pending' | 'committed' | 'fenced'>): void {
    // All records that one commit will answer share its promise: one handler is enough.
    if (recorded === this.#watched) return;
    this.#watched = recorded;
    const { life } = this;
    recorded.then(
      (outcome) => outcome === 'fenced' && life === this.life && this.fence(),
      // What may pass by itself is counted where the tracker tells of it, once a commit.
      (error: unknown) => isFinal(error) && this.fail(error),
    );
  }

  /** Resolves with what the promise does, or with undefined once something has changed. */
  until<T>(promise: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#ended || this.#failure) resolve(undefined);
      this.#wake = () => resolve(undefined);
      promise.then(resolve, reject);
    });
  }

  /** What was read is void; reading starts again where the tracker says. */
  fence(): void {
    this.life++;
    this.#position = undefined;
    this.#watched = undefined;
    this.#life.abort();
    this.#life = new AbortController();
    this.#interrupt();
  }

  /** Lets go of the connection until `go`. */
  hold(): void {
    this.#held = true;
    this.#interrupt();
  }

  go(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#wake?.();
  }

  /** Ends the reading with an error. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#interrupt();
  }

  /** Ends the reading: `next` answers undefined. */
  stop(): void {
    this.#ended = true;
    this.#life.abort();
    this.#interrupt();
  }

  /** Lets go of everything and flushes; the first call rejects with what the flush fails with. */
  async close(): Promise<void> {
    if (this.#flushed) return;
    this.#flushed = true;
    this.#ended = true;
    this.#stopListening?.();
    const flushed = this.#tracker.commit(this.#source).catch((error: unknown) => {
      // A tracker that was closed has flushed already.
      if (!(error instanceof OffsetError && error.code === 'closed')) throw error;
    });
    try {
      await Promise.all([flushed, this.#letGo()]);
    } finally {
      // Not before the flush, so that the next reader starts after it.
      this.#turn?.close();
      this.#state('closed', this.#failure);
    }
  }

  async #pull(): Promise<E | FeedHeartbeat | undefined> {
    if (this.#items && this.#connection.signal.aborted) return this.#letGo();
    const items = (this.#items ??= await this.#open());
    const { signal } = this.#connection;
    const result = items && !signal.aborted ? await this.until(items.next()) : undefined;
    if (result === undefined || signal.aborted) return this.#letGo();
    if (result.done) {
      await this.#letGo();
      if (result.value === 'end') this.#ended = true;
      else await this.#wait();
      return undefined;
    }
    this.#live();
    this.#backoff.attempt = 0;
    this.#expiries = 0;
    const item = result.value;
    if (isFailure(item)) throw item.failed;
    this.#position = item.offset ?? this.#position;
    this.itemLife = this.life;
    return item;
  }

  /** @returns undefined where something changed meanwhile */
  async #open(): Promise<Items<E> | undefined> {
    this.#connection = new AbortController();
    const { signal } = this.#connection;
    this.#state('connecting');
    if (this.#position === undefined) {
      const position = await this.#ask();
      if (signal.aborted) return undefined;
      this.#position = position;
    }
    const context = {
      source: this.#source,
      signal,
      openedBefore: false,
      opened: () => {
        if (!signal.aborted) this.#live();
      },
      alive: () => {},
      deadAfter: () => {},
      onRecorded: () => {},
      warn: () => {},
      reopenAfter: (ms: number) => {
        this.#backoff.floorMs = ms;
      },
    };
    return this.#feed(this.#position, context)[Symbol.asyncIterator]();
  }

  async #ask(): Promise<Offset> {
    try {
      const offset = await this.#tracker.getOffset(this.#source);
      this.#failures = 0;
      return offset;
    } catch (error) {
      this.#storeFailed(error);
      throw error;
    }
  }

  /** Waits for another try where one may help; else rejects. */
  async #recover(error: unknown): Promise<void> {
    // What a connection that was let go ends with is of no interest.
    const meant = !this.#connection.signal.aborted;
    await this.#letGo();
    if (!meant) return;
    if (error instanceof FeedExpiredError) await this.#expired(error);
    else if (isFinal(error)) this.fail(error);
    else await this.#wait(error);
  }

  async #expired(error: FeedExpiredError): Promise<void> {
    const { onExpired = 'none' } = this.#options;
    const asks = typeof onExpired === 'function';
    // A policy gives the same answer again; a callback may have found a better one.
    if (onExpired === 'none' || this.#expiries >= (asks ? patience : 1)) return this.fail(error);
    if (this.#expiries++ > 0) await this.#wait(error);
    try {
      const offset = asks ? await onExpired(this.#source, error) : { kind: onExpired };
      // The tracker's event makes this a new life.
      if (!this.#ended) await this.#tracker.reset(this.#source, offset);
    } catch (failure) {
      this.fail(failure);
    }
  }

  async #wait(error?: unknown): Promise<void> {
    if (this.#ended || this.#failure) return;
    const retryAfterMs = error instanceof FeedError ? error.retryAfterMs : undefined;
    const retryInMs = this.#backoff.next(retryAfterMs);
    this.#state('waiting', { ...(error !== undefined && { error }), retryInMs });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const passed = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, retryInMs);
    });
    // Only pages and their workers know this property, and are told when the network is back.
    const listens = retryAfterMs === undefined && typeof globalThis.navigator?.onLine === 'boolean';
    const online = (): void => this.#wake?.();
    if (listens) addEventListener('online', online);
    await this.until(passed);
    clearTimeout(timer);
    if (listens) removeEventListener('online', online);
  }

  async #letGo(): Promise<undefined> {
    const items = this.#items;
    this.#items = undefined;
    this.#opened = false;
    this.#connection.abort();
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

  #live(): void {
    if (this.#opened) return;
    this.#opened = true;
    this.#backoff.opened();
    this.#state('open');
  }

  #state(state: FeedState, detail?: Omit<FeedStateDetail, 'attempt'>): void {
    try {
      this.#options.onState?.(state, { attempt: this.#backoff.attempt, ...detail });
    } catch (error) {
      this.fail(error);
    }
  }

  #interrupt(): void {
    this.#connection.abort();
    this.#wake?.();
  }

  #storeFailed(error: unknown): void {
    if (isFinal(error) || ++this.#failures >= patience) this.fail(error);
  }

  #heard({ type, source, error }: TrackerEvent): void {
    if (source !== this.#source) return;
    if (type === 'reset' || type === 'cleared') this.fence();
    else if (type === 'committed') this.#failures = 0;
    else if (type === 'error') this.#storeFailed(error);
  }

  #listen(): void {
    if (this.#stopListening) return;
    const listening = new AbortController();
    const unsubscribe = this.#tracker.subscribe((event) => this.#heard(event));
    const { signal } = this.#options;
    if (signal?.aborted) this.stop();
    signal?.addEventListener('abort', () => this.stop(), { signal: listening.signal });
    const { exclusive = false, takeoverAfterMs = 10_000 } = this.#options;
    if (exclusive) {
      this.#takeTurns(takeoverAfterMs);
    } else if (typeof document !== 'undefined') {
      // An open connection keeps a page out of the back/forward cache.
      addEventListener('pagehide', () => this.hold(), { signal: listening.signal });
      addEventListener('pageshow', () => this.go(), { signal: listening.signal });
    }
    this.#stopListening = () => {
      unsubscribe();
      listening.abort();
    };
  }

  #takeTurns(takeoverAfterMs: number): void {
    this.hold();
    try {
      this.#turn = new Turn(this.#tracker, this.#source, takeoverAfterMs, {
        take: () => this.go(),
        lose: () => {
          this.hold();
          this.fence();
        },
        fail: (error) => this.fail(error),
      });
      this.#turn.start();
    } catch (error) {
      this.fail(error);
    }
  }
}

/** Whether trying again is of no use. What others throw, like a network error, may pass. */
function isFinal(error: unknown): boolean {
  return error instanceof OffsetError && !('retryable' in error && error.retryable);
}
