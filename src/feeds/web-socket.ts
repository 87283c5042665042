import { UnsupportedError, quote } from '../errors.ts';
import type { Offset } from '../offset.ts';
import type { Feed, FeedContext, FeedEvent, FeedItem } from './feed.ts';
import { FeedErrors } from './feed-errors.ts';
import { longestTimeout } from './pause.ts';
import { checkUrl } from './url.ts';

/** What a feed reads by: part of a browser's WebSocket, and of that of the package `ws`. */
export interface FeedSocket {
  binaryType: string;
  send(data: string): void;
  close(code?: number): void;
  addEventListener(type: 'open', listener: () => void): void;
  addEventListener(type: 'error', listener: (event: { readonly message?: unknown }) => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: FeedSocketClose) => void): void;
}

/** How a server closed a WebSocket (RFC 6455, section 7.4); 1006 where the connection broke. */
export interface FeedSocketClose {
  readonly code: number;
  readonly reason: string;
}

/** Options of {@link webSocket}. */
export interface WebSocketOptions<T, E extends FeedEvent<T>> {
  /**
   * What a message brings: an event, a heartbeat, several of them, or undefined for one that brings nothing; 'end' where
   * the feed has ended for good. Text comes as a string, bytes as an ArrayBuffer. Where it throws, the message is a
   * {@link FeedFailure}.
   */
  readonly read: (message: string | ArrayBuffer) => WebSocketItem<T, E> | readonly FeedItem<T, E>[] | undefined;
  /** The message that asks for what is after an offset, sent as the connection opens. Default: none. */
  readonly subscribe?: (from: Offset) => string;
  /** The message that tells the server what has been recorded, for one that wants to know; undefined: none. Default: none. */
  readonly ack?: (offset: Offset) => string | undefined;
  /** A message to send every `everyMs` ms, for a server that wants signs of life. Default: none. */
  readonly ping?: { readonly message: string; readonly everyMs: number };
  /** What it means that the server closes: an error, 'end', or undefined: it is opened again. Default: it is opened again. */
  readonly closed?: (close: FeedSocketClose) => Error | 'end' | undefined;
  /** The subprotocols to ask the server for, as `new WebSocket` takes them. Default: none. */
  readonly protocols?: string | string[];
  /** How long the server may say nothing before the connection is taken for dead, in ms. Default: `resume` learns it. */
  readonly idleTimeoutMs?: number;
  /**
   * How many messages may wait to be processed. A server cannot be asked to send less: beyond it the connection is closed,
   * what waits is processed, and reading goes on in a new one. Default 10,000.
   */
  readonly maxWaiting?: number;
  /** What makes a connection. Default: the global `WebSocket`, which Node has from 22 on; before, give that of the package `ws`. */
  readonly WebSocket?: new (url: string, protocols?: string | string[]) => FeedSocket;
}

type WebSocketItem<T, E extends FeedEvent<T>> = FeedItem<T, E> | 'end';

/**
 * Messages of a WebSocket as a feed: on each opening the server is told where to go on. A connection that breaks is opened
 * again. Browsers tell nothing of why one cannot be opened, so it is tried again, whatever the reason.
 *
 * @param url a function of the offset where the place stands in it
 * @example
 * webSocket('wss://api.example/orders', {
 *   subscribe: (from) => JSON.stringify({ subscribe: 'orders', after: Offset.format(from) }),
 *   read: (message) => {
 *     const { seq, order } = JSON.parse(String(message));
 *     return { offset: Offset.sequence(seq), data: order };
 *   },
 * });
 */
export function webSocket<T, E extends FeedEvent<T> = FeedEvent<T>>(
  url: string | URL | ((from: Offset) => string | URL),
  options: WebSocketOptions<T, E>,
): Feed<T, E> {
  if (typeof url !== 'function') checkUrl('webSocket', url);
  if (typeof options?.read !== 'function')
    throw new TypeError('webSocket: give `read`, which says what a message brings');
  return async function* (from, context) {
    const connection = new Connection(String(typeof url === 'function' ? url(from) : url), options, from, context);
    return yield* connection.items();
  };
}

/** Closings that are no sign of trouble: done, going away, without a code, a restart. */
const inOrder: ReadonlySet<number> = /* @__PURE__ */ new Set([1000, 1001, 1005, 1012]);

/** How a connection ended. */
interface Over {
  readonly error?: unknown;
  readonly end?: boolean;
}

/** One opening of the feed. */
class Connection<T, E extends FeedEvent<T>> {
  readonly #options: WebSocketOptions<T, E>;
  readonly #context: FeedContext;
  readonly #errors: FeedErrors;
  readonly #socket: FeedSocket;
  #waiting: (string | ArrayBuffer)[] = [];
  /** Undefined while the connection stands. */
  #over: Over | undefined;
  #wake = (): void => {};
  #opened = false;
  #trouble: unknown;
  #unacked: Offset | undefined;
  #ping: ReturnType<typeof setInterval> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;

  constructor(url: string, options: WebSocketOptions<T, E>, from: Offset, context: FeedContext) {
    const { idleTimeoutMs, maxWaiting = 10_000, closed } = options;
    this.#options = options;
    this.#context = context;
    this.#errors = new FeedErrors(context.source, url);
    const socket = this.#connect(url);
    this.#socket = socket;
    context.opening?.();
    // It watches its silence itself then.
    if (idleTimeoutMs !== undefined) context.deadAfter(0);
    this.#heard();
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('open', () => this.#attempt(() => this.#open(from)));
    socket.addEventListener('message', ({ data }) => {
      if (this.#over) return;
      this.#heard();
      if (typeof data === 'string' || data instanceof ArrayBuffer) this.#waiting.push(data);
      if (this.#waiting.length > maxWaiting) this.#end({});
      this.#wake();
    });
    socket.addEventListener('error', ({ message }) => (this.#trouble = message));
    socket.addEventListener('close', (close) => this.#attempt(() => this.#end(this.#overBy(close, closed?.(close)))));
    context.onRecorded((offset) => {
      this.#unacked = offset;
      if (this.#opened) this.#attempt(() => this.#ack());
    });
  }

  async *items(): AsyncGenerator<FeedItem<T, E>, 'end' | void, void> {
    const { signal } = this.#context;
    const abort = (): void => this.#end({});
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
    try {
      for (let items = await this.#next(); items; items = await this.#next()) {
        const end = items.indexOf('end');
        yield* (end < 0 ? items : items.slice(0, end)) as FeedItem<T, E>[];
        if (end >= 0) return 'end';
      }
      if (this.#over?.error !== undefined) throw this.#over.error;
      return this.#over?.end ? 'end' : undefined;
    } finally {
      signal.removeEventListener('abort', abort);
      this.#end({});
    }
  }

  /** What the messages bring that have come; undefined once the connection has ended and all are read. */
  async #next(): Promise<WebSocketItem<T, E>[] | undefined> {
    while (this.#waiting.length === 0 && !this.#over) {
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
    const messages = this.#waiting;
    this.#waiting = [];
    if (messages.length === 0) return undefined;
    const items = messages.flatMap((message) => this.#read(message));
    if (items.length === 0) this.#context.alive();
    return items;
  }

  #connect(url: string): FeedSocket {
    // The global's own type asks for more than is used here.
    const { WebSocket: Socket = globalThis.WebSocket as WebSocketOptions<T, E>['WebSocket'], protocols } =
      this.#options;
    if (!Socket) {
      throw new UnsupportedError(
        this.#errors.about(
          'there is no WebSocket here: give the option `WebSocket`, for example that of the package ws',
        ),
      );
    }
    try {
      return new Socket(url, protocols);
    } catch (cause) {
      throw this.#errors.final(`it cannot be asked for: ${cause}`, { cause });
    }
  }

  #open(from: Offset): void {
    const { subscribe, ping } = this.#options;
    this.#opened = true;
    if (subscribe) this.#socket.send(subscribe(from));
    this.#ack();
    if (ping) this.#ping = setInterval(() => this.#socket.send(ping.message), ping.everyMs);
    this.#heard();
    this.#context.opened();
  }

  /** Tells the server of what was recorded last, of events of an earlier connection too. */
  #ack(): void {
    const offset = this.#unacked;
    this.#unacked = undefined;
    const message = this.#over || !offset ? undefined : this.#options.ack?.(offset);
    if (message !== undefined) this.#socket.send(message);
  }

  #read(message: string | ArrayBuffer): readonly WebSocketItem<T, E>[] {
    try {
      const item = this.#options.read(message) ?? [];
      return isList(item) ? item : [item];
    } catch (cause) {
      const failed = this.#errors.final(`the message ${quote(message)} cannot be read: ${cause}`, {
        cause,
        event: message,
      });
      const again = (): FeedItem<T, E> => {
        const [item] = this.#read(message);
        return item === undefined || item === 'end' ? { heartbeat: true } : item;
      };
      return [{ failed, again }];
    }
  }

  #overBy({ code, reason }: FeedSocketClose, meaning: Error | 'end' | undefined): Over {
    if (meaning === 'end') return { end: true };
    if (meaning) return { error: meaning };
    if (this.#opened && inOrder.has(code)) return {};
    const why = [reason, this.#trouble].find((text) => typeof text === 'string' && text !== '') ?? 'no reason given';
    const what = this.#opened ? 'the connection was closed' : 'it cannot be opened';
    return { error: this.#errors.error(`${what}: ${code}, ${why}`) };
  }

  /** What is thrown where nobody waits ends the reading. */
  #attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#end({ error });
    }
  }

  #heard(): void {
    const { idleTimeoutMs = 0 } = this.#options;
    if (idleTimeoutMs <= 0 || idleTimeoutMs === Infinity) return;
    clearTimeout(this.#silence);
    const silent = (): void => this.#end({ error: this.#errors.error(`silent for ${idleTimeoutMs} ms`) });
    this.#silence = setTimeout(silent, Math.min(idleTimeoutMs, longestTimeout));
  }

  #end(over: Over): void {
    this.#over ??= over;
    clearInterval(this.#ping);
    clearTimeout(this.#silence);
    this.#socket.close();
    this.#wake();
  }
}

function isList<I>(item: I | readonly I[]): item is readonly I[] {
  return Array.isArray(item);
}
