import { randomBytes } from 'node:crypto';

/** What a feed is made of: enough to say which events there are at any time, so that none has to be kept. */
export interface FeedState {
  readonly generation: string;
  /** Events a second. */
  readonly rate: number;
  /** How many events the feed still holds, counted from the newest. */
  readonly retention: number;
  /** Where the feed stood, in events, when its rate was last set, and when that was, in ms since the Unix epoch. */
  readonly position: number;
  readonly since: number;
  /** The numbers of events whose gauge had failed: nobody can process them. */
  readonly broken: readonly number[];
}

/** How a reader's last event id stands to what the feed holds. */
export type Place =
  | { readonly kind: 'here'; readonly next: number }
  | { readonly kind: 'gone'; readonly why: string }
  | { readonly kind: 'malformed' };

/**
 * A feed whose events are a function of the clock: event n is there once n events' time has passed. A server that is
 * started again with the feed's state has the same events under the same ids.
 */
export class Feed {
  readonly name: string;
  unavailableUntil = 0;
  #state: FeedState;
  #now: () => number;
  #highest = 0;

  constructor(name: string, state: FeedState, now: () => number) {
    this.name = name;
    this.#state = state;
    this.#now = now;
  }

  get state(): FeedState {
    return this.#state;
  }

  /** The number of the newest event. */
  get head(): number {
    // The wall clock may be set back; what has been handed out stays.
    this.#highest = Math.max(this.#highest, Math.floor(this.#position()));
    return this.#highest;
  }

  /** The number of the oldest event that the feed still holds. */
  get earliest(): number {
    return Math.max(0, this.head - this.#state.retention + 1);
  }

  /** Milliseconds until event n is there; 0 where it is already, Infinity while the feed stands still. */
  timeTo(n: number): number {
    if (n <= this.head) return 0;
    return this.#state.rate === 0 ? Infinity : ((n - this.#position()) / this.#state.rate) * 1000;
  }

  idOf(n: number): string {
    return `${this.#state.generation}_${n}`;
  }

  placeOf(id: string): Place {
    const [, generation, digits] = /^([a-z0-9]{1,24})_(\d{1,15})$/.exec(id) ?? [];
    if (generation === undefined) return { kind: 'malformed' };
    const n = Number(digits);
    if (generation !== this.#state.generation) return gone(`numbering was restarted since ${id}`);
    if (n > this.head) return gone(`${id} was never given out`);
    if (n + 1 < this.earliest) return gone(`${id} is too old, the first event held is ${this.idOf(this.earliest)}`);
    return { kind: 'here', next: n + 1 };
  }

  setRate(rate: number): void {
    this.#state = { ...this.#state, position: this.#position(), since: this.#now(), rate };
  }

  setRetention(retention: number): void {
    this.#state = { ...this.#state, retention };
  }

  /** So many events happen at once. */
  burst(events: number): void {
    this.#state = { ...this.#state, position: this.#position() + events, since: this.#now() };
  }

  /** An event happens that nobody can process. */
  break(): void {
    this.burst(1);
    this.#state = { ...this.#state, broken: [...this.#state.broken, this.head].slice(-mostBroken) };
  }

  /** Numbers begin again at 0, in a new generation: no id of the old one is known any more. */
  restart(): void {
    this.#highest = 0;
    this.#state = { ...this.#state, ...beginning(this.#now()) };
  }

  #position(): number {
    return this.#state.position + (Math.max(0, this.#now() - this.#state.since) / 1000) * this.#state.rate;
  }
}

const mostBroken = 1000;

/** The part of a feed's state that is made anew when its numbering begins. */
export function beginning(now: number): Pick<FeedState, 'generation' | 'position' | 'since' | 'broken'> {
  return { generation: randomBytes(3).toString('hex'), position: 0, since: now, broken: [] };
}

function gone(why: string): Place {
  return { kind: 'gone', why };
}
