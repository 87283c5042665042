import { OffsetError, UnsupportedError, quote } from '../errors.ts';
import type { Feed, FeedEvent } from '../feeds/feed.ts';
import { type Offset, asOffset } from '../offset.ts';
import { type Item, type Life, type Place, type RelayMessage, TabRelay } from '../tabs/relay.ts';
import type { OffsetTracker } from '../tracker/tracker.ts';
import type { Reading, TrackerEvent } from '../tracker/types.ts';
import { catchUp, eventOf } from './catch-up.ts';
import type { Delivery } from './delivery.ts';
import type { EffectOptions } from './effect-options.ts';
import { applyAll, isApplied } from './effects.ts';
import { isFinal } from './failures.ts';
import { handleAll } from './handler.ts';
import type { FeedState, FeedStateDetail } from './options.ts';
import { Placer } from './place.ts';
import { Reader } from './reader.ts';
import { sleep } from './sleep.ts';
import type { View, ViewOptions } from './view-options.ts';
import { type Origin, Viewer } from './viewer.ts';

/** How long until the store is asked again where to begin, in ms. */
const retryMs = 1000;

type Viewed<E extends FeedEvent<unknown>> = ViewOptions<E> | (EffectOptions<E> & { readonly view: View<E> });

/** Reads a source in one tab, and shows it in all. */
export async function viewAll<E extends FeedEvent<unknown>>(
  tracker: OffsetTracker,
  source: string,
  feed: Feed<unknown, E>,
  options: Viewed<E>,
): Promise<void> {
  if (!options.exclusive) {
    throw new UnsupportedError(`${quote(source)} cannot be viewed without \`exclusive: true\`: one tab reads for all`, {
      source,
    });
  }
  if (options.viewFrom) asOffset(options.viewFrom, source);
  const tab = new ViewingTab(tracker, source, feed, options);
  try {
    await tab.begin();
    if (isApplied<E>(options)) return await applyAll(tab.reader, tracker.store, source, options);
    const handler = options.handler ?? ((event: E) => tab.shown(event));
    await handleAll(tab.reader, { ...options, view: undefined, handler });
  } finally {
    tab.end();
  }
}

/** One tab of those that view a source. */
class ViewingTab<E extends FeedEvent<unknown>> {
  readonly reader: ViewedReader<E>;
  readonly #tracker: OffsetTracker;
  readonly #source: string;
  readonly #options: Viewed<E>;
  readonly #viewer: Viewer;
  readonly #relay: TabRelay;
  readonly #ending = new AbortController();
  /** What this tab reads, where it reads. */
  #stream: { readonly reading: Reading; readonly placer: Placer; readonly epoch: number } | undefined;
  readonly #known = new WeakSet<object>();
  #state: Extract<RelayMessage, { type: 'state' }> | undefined;

  constructor(tracker: OffsetTracker, source: string, feed: Feed<unknown, E>, options: Viewed<E>) {
    this.#tracker = tracker;
    this.#source = source;
    this.#options = options;
    const { store } = tracker;
    const name = `tidemark-view/1/${JSON.stringify([store.id, source])}`;
    const onState = (state: FeedState, detail: FeedStateDetail): void => this.#tellState(state, detail);
    this.reader = new ViewedReader(tracker, source, feed, { ...options, onState }, (delivery) => this.#read(delivery));
    const { news } = this.reader;
    const how = { feed, source, compare: store.compare, options, lock: `${name}/reading`, warn: news.warn };
    this.#relay = new TabRelay(name, (message) => this.#hear(message));
    this.#viewer = new Viewer(
      {
        source,
        compare: store.compare,
        id: crypto.randomUUID(),
        view: (event, origin: Origin) => options.view(event as E, { origin }),
        fail: (error) => this.reader.fail(error),
        reader: () => this.#reader(),
        hasBegun: async (epoch) => ((await store.get(source))?.epoch ?? 0) >= epoch,
        read: (from, signal, take) => catchUp(how, from, signal, take),
        lost: (error) =>
          news.warn(
            'view-gap',
            `some events of ${quote(source)} are not shown: they cannot be read any more (${error})`,
          ),
      },
      this.#relay,
    );
  }

  /** Finds out where to begin, and listens from then on. */
  async begin(): Promise<void> {
    const { signal } = this.#ending;
    const { signal: stop, viewFrom } = this.#options;
    const on = (type: string, listener: () => void): void =>
      globalThis.addEventListener?.(type, listener, { capture: true, signal });
    on('pagehide', () => this.#viewer.leave());
    on('freeze', () => this.#viewer.leave());
    on('pageshow', () => this.#viewer.return());
    on('resume', () => this.#viewer.return());
    const unsubscribe = this.#tracker.subscribe((event) => this.#follow(event));
    signal.addEventListener('abort', unsubscribe);
    this.#relay.wake();
    for (let attempt = 0; !stop?.aborted; attempt++) {
      try {
        const checkpoint = await this.#tracker.store.get(this.#source);
        const offset = viewFrom ?? checkpoint?.offset ?? (await this.#tracker.getOffset(this.#source));
        return this.#viewer.begin(offset, checkpoint?.epoch ?? 0);
      } catch (error) {
        if (this.#isBlind(error, attempt)) return this.#viewer.begin(viewFrom ?? { kind: 'latest' }, 0);
        await sleep(retryMs, stop ?? signal);
      }
    }
  }

  /**
   * Whether to begin without the store, at whatever comes next.
   * @throws the error, where another attempt is of no use and that is not wanted
   */
  #isBlind(error: unknown, attempt: number): boolean {
    const { onStoreFailure, storeTimeoutMs = 30_000 } = this.#options;
    if (!isFinal(error) && attempt * retryMs < storeTimeoutMs) return false;
    const ofStore = !(error instanceof OffsetError) || error.code === 'storage';
    if (onStoreFailure !== 'continue' || !ofStore) throw error;
    return true;
  }

  end(): void {
    this.#ending.abort();
    this.#viewer.close();
  }

  /** Resolves once an event of this tab's reading has been shown. */
  shown(event: E): unknown {
    // One that could only be read at another attempt has not been relayed.
    return this.#known.has(event) ? this.#viewer.shown(event) : this.#options.view(event, { origin: 'local' });
  }

  get #isReader(): boolean {
    return this.#tracker.status(this.#source).role === 'reader';
  }

  #reader(): { readonly at: Place | undefined; readonly life: Life } | undefined {
    if (!this.#isReader) return undefined;
    const { recorded, epoch } = this.#tracker.status(this.#source);
    const at = this.#stream?.placer.place ?? (recorded && { offset: recorded, index: 0 });
    return { at, life: { epoch: this.#stream?.epoch ?? epoch, ...this.#viewer.life } };
  }

  /** Relays what this tab has read, and shows it. */
  #read({ item, reading }: Delivery<E>): Promise<void> | undefined {
    if (this.#stream?.reading !== reading) {
      const { epoch } = this.#tracker.status(this.#source);
      this.#stream = { reading, placer: new Placer(reading.from), epoch };
    }
    const { placer, epoch } = this.#stream;
    const event = eventOf(item);
    if (event) this.#known.add(event);
    const read: Item = event ? { ...placer.next(item.offset), event } : placer.next(item.offset);
    const lost = !this.#post({ type: 'item', epoch, ...this.#viewer.life, ...read });
    if (lost) this.#post({ type: 'item', epoch, ...this.#viewer.life, ...read, event: undefined, lost });
    this.#viewer.read(lost ? { ...read, lost } : read);
    return this.#viewer.room();
  }

  #hear(message: RelayMessage): void {
    if (message.type === 'state') this.#showState(message);
    else if (message.type === 'progress') this.#showProgress(message);
    else this.#viewer.hear(message);
    if (message.type === 'ask' && this.#isReader && this.#state) this.#post(this.#state);
  }

  /** @returns false where it cannot be cloned */
  #post(message: RelayMessage): boolean {
    try {
      this.#relay.post(message);
    } catch (error) {
      this.reader.news.warn(
        'not-cloneable',
        `an event of ${quote(this.#source)} cannot be cloned, so each tab reads it over a connection of its own (${error})`,
      );
      return false;
    }
    return true;
  }

  #follow({ type, source, offset, origin }: TrackerEvent): void {
    if (source !== this.#source) return;
    const { epoch, head, caughtUp } = this.#tracker.status(source);
    switch (type) {
      case 'reset':
        this.#stream = undefined;
        if (offset) this.#viewer.resetTo(offset, epoch);
        break;
      case 'cleared':
        this.#stream = undefined;
        void this.#restart(epoch);
        break;
      case 'role':
        this.#stream = undefined;
        this.#viewer.readerChanged();
        break;
      case 'progress':
        if (origin === 'local' && this.#isReader) this.#post({ type: 'progress', head, upToDate: caughtUp === true });
    }
  }

  /** The source was forgotten: viewing begins where the reset policy says. */
  async #restart(epoch: number): Promise<void> {
    try {
      const offset: Offset = await this.#tracker.getOffset(this.#source);
      if (epoch > 0) this.#viewer.resetTo(offset, epoch);
      else this.#viewer.cleared(offset);
    } catch {
      // The reading, which needs to know it too, ends with the error.
    }
  }

  #tellState(state: FeedState, detail: FeedStateDetail): void {
    if (state === 'connecting') this.#stream?.placer.reopened();
    if (state === 'connecting' || state === 'open' || state === 'retrying') {
      const { attempt, retryInMs, error } = detail;
      this.#state = {
        type: 'state',
        state,
        attempt,
        retryInMs,
        error: error === undefined ? undefined : String(error),
      };
      if (this.#isReader) this.#post(this.#state);
    }
    this.#options.onState?.(state, detail);
  }

  #showState({ state, attempt, retryInMs, error }: Extract<RelayMessage, { type: 'state' }>): void {
    if (this.#isReader) return;
    try {
      this.#options.onState?.(state, {
        attempt,
        ...(retryInMs !== undefined && { retryInMs }),
        ...(error !== undefined && { error: new Error(error) }),
      });
    } catch (thrown) {
      this.reader.fail(thrown);
    }
  }

  #showProgress({ head, upToDate }: Extract<RelayMessage, { type: 'progress' }>): void {
    if (!this.#isReader) this.reader.news.progress({ head, ...(upToDate && { upToDate }) });
  }
}

/** A reader that hands on what it reads before it is processed. */
class ViewedReader<E extends FeedEvent<unknown>> extends Reader<E> {
  readonly #read: (delivery: Delivery<E>) => Promise<void> | undefined;

  constructor(
    tracker: OffsetTracker,
    source: string,
    feed: Feed<unknown, E>,
    options: Viewed<E>,
    read: (delivery: Delivery<E>) => Promise<void> | undefined,
  ) {
    super(tracker, source, feed, options);
    this.#read = read;
  }

  override async next(): Promise<Delivery<E> | undefined> {
    const delivery = await super.next();
    if (delivery) await this.#read(delivery);
    return delivery;
  }
}
