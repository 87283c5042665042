import { FencedError, OffsetError } from '../errors.ts';
import { FeedError } from '../feeds/feed-error.ts';
import type { Feed, FeedEvent, FeedItem, FeedOpening } from '../feeds/feed.ts';
import type { Offset } from '../offset.ts';
import type { Turn } from '../tabs/turn.ts';
import type { OffsetTracker } from '../tracker/tracker.ts';
import type { Reading, RecordOutcome, Role } from '../tracker/types.ts';
import { type Backoff, backoffOf } from './backoff.ts';
import { Breather } from './breather.ts';
import { Connection } from './connection.ts';
import { beginReading } from './beginning.ts';
import { awaitEnd, formerLoops } from './endings.ts';
import type { Delivery } from './delivery.ts';
import { takeTurns } from './exclusive.ts';
import { Restart, isLost } from './expiry.ts';
import { StorePatience, endReading, isFinal, mayPass } from './failures.ts';
import { Filter } from './filter.ts';
import { checkIdentity, pinOf, whyLost } from './identity.ts';
import { Liveness } from './liveness.ts';
import { News } from './news.ts';
import type { FeedReason, FeedState, FeedStateDetail, ReaderOptions } from './options.ts';
import { deathOf, watchOver, whileAway } from './wake.ts';

/** Keeps a reading and a feed together: opens the feed where the reading is, again and again. */
export class Reader<E extends FeedEvent<unknown>> {
  readonly #tracker: OffsetTracker;
  readonly #source: string;
  readonly #options: ReaderOptions<E>;
  readonly #backoff: Backoff;
  readonly #patience: StorePatience;
  readonly #breather = new Breather();
  readonly news: News;
  #reading: Reading | undefined;
  /** The one before, until there is another. */
  #former: Reading | undefined;
  #life = new AbortController();
  /** A turn was lost: the reading is to be begun anew. */
  #stale = false;
  #filter: Filter | undefined;
  readonly #connection: Connection<E>;
  readonly #liveness: Liveness;
  #dead: Omit<FeedStateDetail, 'attempt'> | undefined;
  #restless = false;
  #held = false;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  readonly #restart: Restart;
  #wake: (() => void) | undefined;
  #watched: Promise<unknown> | undefined;
  #turn: Turn | undefined;
  #role: Role | undefined;
  #detach: (() => void) | undefined;
  #closing: Promise<void> | undefined;
  #stopped: (() => void) | undefined;

  constructor(tracker: OffsetTracker, source: string, feed: Feed<unknown, E>, options: ReaderOptions<E>) {
    this.#tracker = tracker;
    this.#source = source;
    this.#options = options;
    this.news = new News(tracker.runs, source);
    this.#backoff = backoffOf(options);
    this.#patience = new StorePatience(options, (error) => this.fail(error));
    this.#restart = new Restart(source, {
      isEnded: () => this.ended,
      until: (promise) => this.until(promise),
      wait: (error) => this.#wait(error),
      fail: (error) => this.fail(error),
      reset: (offset) => tracker.reset(source, offset),
      storeFails: (error) => this.#patience.fails(error),
    });
    this.#liveness = new Liveness(options);
    this.#connection = new Connection(feed, source, {
      liveness: this.#liveness,
      stands: () => {
        this.#backoff.opened();
        this.#state('open');
      },
      about: (opening) => this.#learn(opening),
      reopenAfter: (ms) => (this.#backoff.floorMs = ms),
      warn: this.news.warn,
      until: (promise) => this.until(promise),
    });
  }

  get ended(): boolean {
    return this.#ended || this.#failure !== undefined;
  }

  /** The next event, heartbeat or failure, at once where it is at hand; undefined at the end. Rejects with what ends the reading. */
  next(): Delivery<E> | Promise<Delivery<E> | undefined> {
    const rest = this.#breather.breathe();
    if (rest) return rest.then(() => this.#next());
    try {
      return this.#atHand() ?? this.#next();
    } catch (error) {
      return this.#recover(error).then(() => this.#next());
    }
  }

  /** One that nobody else has to be asked about. */
  #atHand(): Delivery<E> | Promise<Delivery<E> | undefined> | undefined {
    const reading = this.#reading;
    const item = this.ended || this.#held || !reading ? undefined : this.#connection.ready();
    if (!reading || !item || !this.#takes(item)) return undefined;
    const delivery = { item, reading, opening: this.#connection.signal, signal: this.#life.signal };
    const leads = this.isLeader();
    return leads === true ? delivery : this.#nextIf(leads, delivery);
  }

  async #nextIf(leads: boolean | Promise<boolean>, delivery: Delivery<E>): Promise<Delivery<E> | undefined> {
    return (await leads) ? delivery : this.#next();
  }

  async #next(): Promise<Delivery<E> | undefined> {
    this.#listen();
    for (;;) {
      if (this.#failure) throw this.#failure.error;
      if (this.#ended) return undefined;
      if (this.#held) {
        this.#state('queued');
        await this.until(new Promise(() => {}));
        continue;
      }
      try {
        const item = await this.#pull();
        const reading = this.#reading;
        if (item && reading && this.#takes(item) && (await this.isLeader())) {
          return { item, reading, opening: this.#connection.signal, signal: this.#life.signal };
        }
      } catch (error) {
        await this.#recover(error);
      }
    }
  }

  /** Heeds what becomes of a record. Commits run beside the reading; `next` rejects when they cannot. */
  watch(recorded: Promise<RecordOutcome>, offset: Offset): void {
    this.#connection.recorded(offset);
    // All records that one commit will answer share its promise: one handler is enough.
    if (recorded === this.#watched) return;
    this.#watched = recorded;
    // What a commit fails with is told to the run; here is what concerns the record alone.
    recorded.catch((error: unknown) => {
      if (!(error instanceof OffsetError && error.code === 'closed') && isFinal(error)) this.#patience.fails(error);
    });
  }

  /** Whether this tab is still the reader, where it takes turns. */
  isLeader(): boolean | Promise<boolean> {
    return this.#turn?.isLeader() ?? true;
  }

  /** Resolves with what the promise does, or with undefined once something has changed. */
  until<T>(promise: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      if (this.ended) resolve(undefined);
      this.#wake = () => resolve(undefined);
      promise.then(resolve, reject);
    });
  }

  /** Ends the reading with an error. */
  fail(error: unknown): void {
    if (this.#ended) return;
    this.#failure ??= { error };
    this.#interrupt();
  }

  /** Ends the reading: `next` answers undefined. */
  stop(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#life.abort();
    // One that has not begun has nothing that the next would repeat.
    const { closeTimeoutMs = 5000 } = this.#options;
    if (this.#detach) this.#stopped = awaitEnd(this.#tracker, this.#source, closeTimeoutMs);
    this.#interrupt();
  }

  /** Lets go of everything and commits; the first call rejects with what the commit fails with. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const began = this.#detach !== undefined;
    this.#ended = true;
    this.#life.abort();
    try {
      await Promise.all([endReading(this.#reading ?? this.#former, this.#patience), this.#connection.close()]);
    } finally {
      // Not before the commit, so that the next reader starts after it.
      this.#turn?.close();
      this.#patience.works();
      this.news.end();
      this.#detach?.();
      this.#stopped?.();
      if (began) this.#state('closed', this.#failure);
    }
  }

  async #pull(): Promise<FeedItem<unknown, E> | undefined> {
    await this.#breather.breathe();
    if (!this.#connection.isOpen) await this.#open();
    const item = await this.#connection.pull();
    if (item === undefined || item === 'end' || item === 'dropped') {
      await this.#connection.close();
      if (item === 'end') this.#ended = true;
      if (item === 'dropped') await this.#wait();
      else if (item === undefined) await this.#revive();
      return undefined;
    }
    return item;
  }

  #die(reason: FeedReason, ms: number): void {
    const dead = deathOf(reason, this.#source, ms);
    if (!dead.error && this.#restless) return this.#wake?.();
    if (this.#dead || !this.#connection.isOpen) return;
    this.#dead = dead;
    this.#interrupt();
  }

  #learn(opening: FeedOpening): void {
    const filter = this.#filter?.asked();
    if (!filter || this.#dead) return;
    const error = checkIdentity(opening, filter, this.#source, this.#tracker.runs);
    if (error) this.#dead = { error };
    if (error) return this.#interrupt();
    const pin = pinOf(filter, opening.head);
    if (pin && this.#reading) this.watch(this.#reading.record(pin, { heartbeat: true }), pin);
    if (opening.head) this.news.progress({ head: opening.head });
  }

  /** Goes on after the connection was taken for dead: at once where this side woke, else after a while. */
  async #revive(): Promise<void> {
    const dead = this.#dead;
    this.#dead = undefined;
    if (!dead || this.#held) return;
    if (isLost(dead.error)) await this.#restart.after(dead.error, this.#options);
    else if (dead.error) await this.#wait(dead.error, dead);
    else this.#state('retrying', { ...dead, retryInMs: 0 });
  }

  /** Whether an item is after the place. */
  #takes(item: FeedItem<unknown, E>): boolean {
    const takes = this.#filter?.takes(item) !== false;
    if (takes) this.#backoff.alive(); // What comes again is no sign that anything gets on.
    this.#restart.expiries = 0;
    this.news.heard(item, this.#filter?.place);
    return takes;
  }

  async #open(): Promise<void> {
    const signal = this.#connection.prepare();
    this.#state('connecting');
    if (this.#reading === undefined || this.#stale || this.#reading.signal.aborted) await this.#read(signal);
    const filter = this.#filter;
    if (signal.aborted || !filter) return;
    filter.opened();
    this.#connection.open(filter.place);
  }

  /** Begins a reading: after the loops before it have ended, and where the store is asked for as long as it takes. */
  async #read(signal: AbortSignal): Promise<void> {
    const tracker = this.#tracker;
    const source = this.#source;
    const before = formerLoops(tracker, source);
    this.#watched = undefined;
    if (before) await this.until(before);
    if (signal.aborted) return;
    const { exclusive = false, fence = exclusive } = this.#options;
    this.#former = this.#reading ?? this.#former;
    this.#reading = undefined;
    const until = this.until.bind(this);
    const reading = await beginReading(tracker, source, { fence, patience: this.#patience, signal, until });
    if (!reading || signal.aborted) return;
    this.#reading = reading;
    this.#former = undefined;
    this.#stale = false;
    this.#filter = new Filter(reading.from, source, tracker.store.compare, this.news.warn);
    const life = (this.#life = new AbortController());
    if (this.#ended) life.abort();
    const { signal: ended } = reading;
    const fenced = (): void => {
      life.abort(ended.reason);
      if (life === this.#life) this.#fenced(ended.reason);
    };
    if (ended.aborted) fenced();
    else ended.addEventListener('abort', fenced, { once: true });
  }

  /** The reading is void: it is begun anew where a reset says, or where this tab has its turn again. */
  #fenced(reason: unknown): void {
    if (this.#ended || this.#stale) return;
    const byReader = reason instanceof FencedError && reason.by === 'reader';
    if (byReader && !this.#turn) this.fail(reason);
    else if (byReader) this.#turn?.requeue();
    this.#interrupt();
  }

  /** Waits for another try where one may help; else rejects. */
  async #recover(error: unknown): Promise<void> {
    // What a connection that was let go ends with is of no interest.
    const meant = !this.#connection.signal.aborted;
    await this.#connection.close();
    if (!meant || this.ended) return;
    if (isLost(error)) await this.#restart.after(whyLost(error, this.#filter, this.#tracker.runs), this.#options);
    else if (mayPass(error, this.#backoff, this.#options)) await this.#wait(error);
    else this.fail(error);
  }

  async #wait(error?: unknown, dead?: Omit<FeedStateDetail, 'attempt'>): Promise<void> {
    if (this.ended) return;
    const retryAfterMs = error instanceof FeedError ? error.retryAfterMs : undefined;
    const retryInMs = this.#backoff.next(retryAfterMs);
    this.#state('retrying', { ...dead, ...(error !== undefined && { error }), retryInMs });
    this.#restless = retryAfterMs === undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    await this.until(new Promise<void>((resolve) => (timer = setTimeout(resolve, retryInMs))));
    clearTimeout(timer);
    this.#restless = false;
  }

  #state(state: FeedState, detail?: Omit<FeedStateDetail, 'attempt'>): void {
    if (this.#ended && state !== 'closed') return;
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

  /** Lets the connection go, until it may be opened again. */
  #hold(held: boolean): void {
    if (!held && !this.#held) return;
    this.#held = held;
    if (held) this.#connection.abort();
    this.#wake?.();
  }

  #setRole(role: Role | undefined): void {
    const before = this.#tracker.status(this.#source).role;
    this.#role = role;
    this.#tracker.runs.roleChanged(this.#source, before);
  }

  #listen(): void {
    if (this.#detach) return;
    const listening = new AbortController();
    const role = (): Role | undefined => this.#role;
    const detach = this.#tracker.runs.attach(this.#source, {
      get role() {
        return role();
      },
      closed: () => this.stop(),
      failed: (error) => this.#patience.fails(error),
      committed: () => this.#patience.works(),
    });
    watchOver(this.#liveness, listening.signal, (reason, ms) => this.#die(reason, ms));
    this.#detach = () => {
      listening.abort();
      detach();
    };
    const { signal } = this.#options;
    if (signal?.aborted) this.stop();
    signal?.addEventListener('abort', () => this.stop(), { signal: listening.signal });
    if (this.#options.exclusive) this.#takeTurns(this.#options.takeoverAfterMs ?? 10_000);
    else whileAway(listening.signal, (away) => this.#hold(away));
  }

  #takeTurns(takeoverAfterMs: number): void {
    this.#hold(true);
    try {
      this.#turn = takeTurns(this.#tracker.store, this.#source, takeoverAfterMs, {
        take: () => {
          this.#setRole('reader');
          this.#hold(false);
        },
        lose: () => {
          this.#stale = true;
          this.#life.abort();
          this.#hold(true);
          if (!this.#ended) this.#setRole('waiting');
        },
        fail: (error) => this.fail(error),
      });
      this.#setRole('waiting');
      this.#turn.start();
    } catch (error) {
      this.fail(error);
    }
  }
}
