import { type Offset, isOffset } from '../offset.ts';

/** Where an event stands in its feed: the last offset up to it, and how many events without one of their own follow that. */
export interface Place {
  readonly offset: Offset;
  readonly index: number;
}

/** An item of the feed as it is relayed. */
export interface Item {
  /** The place that it follows. */
  readonly after: Place;
  readonly place: Place;
  /** Undefined where the item only moves the place, like a heartbeat. */
  readonly event?: object | undefined;
  /** The event cannot be cloned, so that each tab has to read it itself. */
  readonly lost?: boolean | undefined;
}

/** What every message of a reader says of the epoch that it reads in. */
export interface Life {
  readonly epoch: number;
  /** The epoch of the last reset that it has heard of; 0: none. */
  readonly reset: number;
  /** Where that reset set the source to. */
  readonly start: Offset;
}

export type RelayedState = 'connecting' | 'open' | 'retrying';

/** What tabs that view one source tell each other. */
export type RelayMessage =
  /** The reader has read it. */
  | ({ readonly type: 'item' } & Life & Item)
  /** A viewer asks for what follows a place. */
  | { readonly type: 'ask'; readonly id: string; readonly after: Place }
  /** The reader's answer: what it has, or undefined where it does not have that place; and where it is itself. */
  | ({ readonly type: 'answer'; readonly id: string; readonly items?: readonly Item[] | undefined } & Life & {
        readonly at?: Place | undefined;
      })
  /** The state of the reader's connection. */
  | {
      readonly type: 'state';
      readonly state: RelayedState;
      readonly attempt: number;
      readonly retryInMs?: number | undefined;
      readonly error?: string | undefined;
    }
  | { readonly type: 'progress'; readonly head?: Offset | undefined; readonly upToDate: boolean };

/** A channel between tabs, without the own messages. */
export interface Relay {
  /** @throws DataCloneError for what cannot be cloned */
  post(message: RelayMessage): void;
  /** A page in the back/forward cache may not hear anything. */
  suspend(): void;
  wake(): void;
}

/** A relay over a BroadcastChannel. What is no message of this format is ignored. */
export class TabRelay implements Relay {
  readonly #name: string;
  readonly #hear: (message: RelayMessage) => void;
  #channel: BroadcastChannel | undefined;

  /** @param name the same in all tabs that view one source of one store */
  constructor(name: string, hear: (message: RelayMessage) => void) {
    this.#name = name;
    this.#hear = hear;
  }

  post(message: RelayMessage): void {
    this.#channel?.postMessage(message);
  }

  suspend(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }

  wake(): void {
    if (this.#channel) return;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (isRelayMessage(data)) this.#hear(data);
    };
    // In Node and Deno an open channel keeps the process alive.
    (this.#channel as { unref?(): void }).unref?.();
  }
}

/** The most items that one answer may hold. */
export const maxItems = 256;

type Fields = Readonly<Record<string, unknown>>;

/** Any script of the origin, also an older version of this one, can post anything. */
export function isRelayMessage(data: unknown): data is RelayMessage {
  const message = Object(data) as Fields;
  switch (message.type) {
    case 'item':
      return isLife(message) && isItem(message);
    case 'ask':
      return typeof message.id === 'string' && isPlace(message.after);
    case 'answer':
      return typeof message.id === 'string' && isLife(message) && isOptional(message.at, isPlace) && hasItems(message);
    case 'state':
      return (
        /^(connecting|open|retrying)$/.test(String(message.state)) &&
        isCount(message.attempt) &&
        isOptional(message.retryInMs, isCount) &&
        isOptional(message.error, (error) => typeof error === 'string')
      );
    case 'progress':
      return typeof message.upToDate === 'boolean' && isOptional(message.head, isOffset);
    default:
      return false;
  }
}

function hasItems({ items }: Fields): boolean {
  return items === undefined || (Array.isArray(items) && items.length <= maxItems && items.every(isItem));
}

function isLife({ epoch, reset, start }: Fields): boolean {
  return isCount(epoch) && isCount(reset) && isOffset(start);
}

function isItem(value: unknown): value is Item {
  const { after, place, event, lost } = Object(value) as Fields;
  if (!isPlace(after) || !isPlace(place) || !isOptional(lost, (flag) => typeof flag === 'boolean')) return false;
  return event === undefined || (typeof event === 'object' && event !== null && isOptionalOffset(event));
}

function isOptionalOffset(event: object): boolean {
  return isOptional((event as Fields).offset, isOffset);
}

function isPlace(value: unknown): value is Place {
  const { offset, index } = Object(value) as Fields;
  return isOffset(offset) && Number.isSafeInteger(index) && isCount(index);
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value);
}

function isOptional(value: unknown, is: (value: unknown) => boolean): boolean {
  return value === undefined || is(value);
}
