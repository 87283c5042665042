import type { CompareCustom } from '../checkpoint.ts';
import type { Offset } from '../offset.ts';
import { type Item, type Life, type Place, type Relay, type RelayMessage, maxItems } from '../tabs/relay.ts';
import { Line } from './line.ts';
import { Sight, keyOf } from './place.ts';
import { type ViewEvent, type ViewState, viewTransitions } from './view-states.ts';

/** How many items a tab keeps for others, and how many that it cannot show yet. */
const ringSize = 1024;
/** How long the reader may take to answer before it is asked again, in ms. */
const answerMs = 1000;

export type Origin = 'local' | 'remote';

/** What a viewer needs of its tab. */
export interface ViewerHost {
  readonly source: string;
  readonly compare: CompareCustom | undefined;
  /** This tab's own, among those that ask. */
  readonly id: string;
  view(event: object, origin: Origin): unknown;
  fail(error: unknown): void;
  /** Whether this tab reads; then where it is, undefined before the first event. */
  reader(): { readonly at: Place | undefined; readonly life: Life } | undefined;
  /** Whether the source has come as far as an epoch, as the store says. */
  hasBegun(epoch: number): Promise<boolean>;
  /** Reads the feed from a place, until the signal is aborted. Rejects where that is of no use. */
  read(from: Place, signal: AbortSignal, take: (item: Item) => Promise<void> | undefined): Promise<void>;
  /** What is missing cannot be had any more. */
  lost(error: unknown): void;
}

/** Shows one tab each event once, in order, whoever reads it. See `view-states.ts`. */
export class Viewer {
  readonly #host: ViewerHost;
  readonly #relay: Relay;
  readonly #line: Line;
  #state: ViewState = 'opening';
  #sight: Sight | undefined;
  /** The epoch of the reset that this tab has followed last, and the one that the store had when this tab began. */
  #reset = 0;
  #floor = 0;
  #start: Offset = { kind: 'earliest' };
  /** What was shown last, in order and without a gap. */
  #ring: Item[] = [];
  /** What cannot be shown yet. */
  #held: Item[] = [];
  /** Where the reader is, as it said last. */
  #readerAt: Place | undefined;
  #own: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(host: ViewerHost, relay: Relay) {
    this.#host = host;
    this.#relay = relay;
    this.#line = new Line(
      (event, origin) => host.view(event, origin),
      (error) => host.fail(error),
      () => (this.#state === 'asking' ? this.#ask() : this.#step('gap')),
    );
  }

  get state(): ViewState {
    return this.#state;
  }

  get place(): Place | undefined {
    return this.#sight?.place;
  }

  /** What a message of this tab says of the resets that it has heard of. */
  get life(): Omit<Life, 'epoch'> {
    return { reset: this.#reset, start: this.#start };
  }

  /** Begins to show what follows an offset. @param epoch in which the store has it */
  begin(offset: Offset, epoch: number): void {
    this.#floor = epoch;
    this.#see({ offset, index: 0 });
    this.#step('placed');
  }

  leave(): void {
    this.#step('leave');
  }

  return(): void {
    if (this.#state === 'away') this.#step('return');
  }

  close(): void {
    this.#step('close');
    this.#line.end();
  }

  /** Resolves when there is room for another event to be shown. */
  room(): Promise<void> | undefined {
    return this.#line.room();
  }

  /** Resolves when what this tab read last has been shown. */
  shown(event: object): Promise<unknown> | undefined {
    return this.#line.shown(event);
  }

  /** The source was reset, as this tab hears or knows itself. */
  resetTo(offset: Offset, epoch: number): void {
    if (epoch <= Math.max(this.#reset, this.#floor)) return;
    this.#reset = epoch;
    this.#start = offset;
    this.#restart();
  }

  /** The store was emptied: epochs begin anew. */
  cleared(offset: Offset): void {
    this.#reset = this.#floor = 0;
    this.#start = offset;
    this.#restart();
  }

  /** Another tab reads now, or this one does. */
  readerChanged(): void {
    if (this.#state === 'asking') this.#ask();
  }

  /** This tab has read an item. */
  read(item: Item): void {
    this.#readerAt = item.place;
    this.#receive(item, 'local');
  }

  hear(message: RelayMessage): void {
    if (message.type === 'ask') this.#answer(message.id, message.after);
    else if (message.type === 'item') this.#hearOf(message, () => this.#hearItem(message));
    else if (message.type === 'answer' && message.id === this.#host.id) {
      this.#hearOf(message, () => this.#hearAnswer(message));
    }
  }

  /** Heeds what a reader says, unless it has slept through a reset; or follows it to a reset that is new here. */
  #hearOf({ epoch, reset, start }: Life, heed: () => void): void {
    if (epoch < this.#reset || epoch < reset) return;
    if (reset <= Math.max(this.#reset, this.#floor)) return heed();
    // A message alone moves nobody's view: the store has to know of the reset.
    this.#host.hasBegun(reset).then(
      (begun) => begun && this.resetTo(start, reset),
      () => {},
    );
  }

  #hearItem(item: Item): void {
    this.#readerAt = item.place;
    this.#receive(item, 'remote');
  }

  #hearAnswer({ items, at }: Extract<RelayMessage, { type: 'answer' }>): void {
    const before = this.#sight?.place;
    if (this.#state !== 'asking' || !before) return;
    this.#readerAt = at;
    for (const item of items ?? []) this.#take(item, 'remote');
    this.#takeHeld();
    if (this.#hasMet()) this.#step('met');
    else this.#step(this.#sight?.place === before ? 'unknown' : 'more');
  }

  #receive(item: Item, origin: Origin): void {
    if (this.#state === 'away' || this.#state === 'closed') return;
    const known = this.#sight?.has(item.place);
    if (known) {
      this.#line.settle(item.event);
      if (this.#hasMet()) this.#step('met');
    } else if (this.#take(item, origin)) {
      this.#takeHeld();
      this.#step(this.#held.length > 0 ? 'gap' : 'next');
    } else {
      this.#held.push(item);
      if (this.#held.length > ringSize) this.#held.shift();
      this.#step('gap');
    }
  }

  /** Shows an item where it comes next. */
  #take(item: Item, origin: Origin): boolean {
    const sight = this.#sight;
    if (!sight?.has(item.after) || sight.has(item.place)) return false;
    if ((item.lost && !item.event) || this.#line.isFull) return false;
    this.#accept(sight, item, origin);
    return true;
  }

  #accept(sight: Sight, item: Item, origin: Origin): void {
    sight.move(item.place);
    this.#ring.push(item);
    if (this.#ring.length > ringSize) this.#ring.shift();
    if (item.event) this.#line.push(item.event, origin);
  }

  /** Shows of what is held all that comes next, and forgets what has been seen. */
  #takeHeld(): void {
    const held = this.#held;
    const { reader } = this.#host;
    this.#held = held.filter((item) => {
      if (this.#take(item, reader() ? 'local' : 'remote')) return false;
      if (!this.#sight?.has(item.place)) return true;
      this.#line.settle(item.event);
      return false;
    });
  }

  /** Whether all is seen up to where the reader is. */
  #hasMet(): boolean {
    const { reader } = this.#host;
    const at = reader()?.at ?? this.#readerAt;
    return !this.#line.isFull && (at === undefined || this.#sight?.has(at) === true);
  }

  #see(place: Place): void {
    this.#sight = new Sight(place, this.#host.source, this.#host.compare);
    this.#ring = [];
  }

  #restart(): void {
    this.#held = [];
    this.#readerAt = undefined;
    this.#line.settleAll();
    if (this.#sight) this.#see({ offset: this.#start, index: 0 });
    this.#step('reset');
  }

  #step(event: ViewEvent): void {
    const before = this.#state;
    const after = viewTransitions[before][event];
    this.#state = after;
    if (before === 'reading' && after !== 'reading') this.#own?.abort();
    if (after !== 'asking') {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    if (after === 'away') this.#relay.suspend();
    if (after === 'closed') this.#relay.suspend();
    if (event === 'return' && before === 'away') this.#relay.wake();
    const asksAnew = before !== 'asking' || event === 'more' || event === 'reset' || event === 'return';
    if (after === 'asking' && asksAnew) this.#ask();
    if (after === 'reading' && before !== 'reading') void this.#readOn();
  }

  #ask(attempt = 1): void {
    const place = this.#sight?.place;
    // Behind because the application shows events slower than they come: it asks when it is done.
    if (!place || this.#line.isFull) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(attempt + 1), answerMs * Math.min(attempt, 3));
    if (this.#host.reader()) return this.#step(this.#hasMet() ? 'met' : 'unknown');
    this.#post({ type: 'ask', id: this.#host.id, after: place });
  }

  #answer(id: string, after: Place): void {
    const reader = this.#host.reader();
    if (!reader) return;
    const { at, life } = reader;
    const key = keyOf(after);
    const found = this.#ring.findIndex((item) => keyOf(item.after) === key);
    const rest = found < 0 ? undefined : this.#ring.slice(found, found + maxItems);
    const items = rest?.map((item) => (item.lost ? withoutEvent(item) : item));
    try {
      this.#relay.post({ type: 'answer', id, items, at, ...life });
    } catch {
      // Something in it cannot be cloned.
      this.#post({ type: 'answer', id, at, ...life });
    }
  }

  #post(message: RelayMessage): void {
    try {
      this.#relay.post(message);
    } catch {
      // The page is being torn down.
    }
  }

  /** Reads what is missing, until the relay is met. */
  async #readOn(): Promise<void> {
    const from = this.#sight?.place;
    const own = (this.#own = new AbortController());
    if (!from) return;
    try {
      await this.#host.read(from, own.signal, (item) => {
        if (!own.signal.aborted) this.#takeOwn(item);
        return own.signal.aborted ? undefined : this.#line.room();
      });
    } catch (error) {
      if (!own.signal.aborted) this.#skip(error);
    }
  }

  #takeOwn(item: Item): void {
    const sight = this.#sight;
    if (!sight || sight.has(item.place)) return;
    // Whoever waits for the event that the relay brought waits for that very object.
    const key = keyOf(item.place);
    this.#accept(sight, this.#held.find(({ event, place }) => event && keyOf(place) === key) ?? item, 'local');
    this.#takeHeld();
    if (this.#hasMet()) this.#step('met');
  }

  /** What is missing is gone for good: goes on where the reader is. */
  #skip(error: unknown): void {
    this.#host.lost(error);
    const [next] = this.#held;
    const at = next?.after ?? this.#host.reader()?.at ?? this.#readerAt;
    if (at) this.#see(at);
    this.#takeHeld();
    this.#step('met');
  }
}

function withoutEvent({ after, place, lost }: Item): Item {
  return { after, place, lost };
}
