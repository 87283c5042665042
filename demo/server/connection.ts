import type { ServerResponse } from 'node:http';
import type { Feed } from './feed.ts';
import { brokenReading, reading } from './readings.ts';

/** Options of the connections to a feed. */
export interface ConnectionOptions {
  /** An id-only heartbeat after this long without an event, in ms; default 5,000. */
  readonly heartbeatMs?: number;
  /** What readers are asked to wait before they reconnect, in ms; default 250. */
  readonly retryMs?: number;
}

/** Events are written in chunks of at most this many, so that one reader far behind does not hold up the others. */
const maxChunk = 250;
/** A change of rate is noticed after at most this long, in ms. */
const maxSleep = 50;

/** One reader of a feed, at its own place, no faster than it takes the bytes. */
export class Connection {
  readonly feed: Feed;
  /** What the reader calls itself. */
  readonly lane: string;
  #response: ServerResponse;
  #generation: string;
  #next: number;
  #heartbeatMs: number;
  #lastWrite = performance.now();
  #isSilent = false;
  #timer: NodeJS.Timeout | undefined;

  /** @param next the number of the first event to send; undefined: the next that comes */
  constructor(
    feed: Feed,
    lane: string,
    response: ServerResponse,
    next: number | undefined,
    options: ConnectionOptions,
  ) {
    this.feed = feed;
    this.lane = lane;
    this.#response = response;
    this.#generation = feed.state.generation;
    this.#next = next ?? feed.head + 1;
    this.#heartbeatMs = options.heartbeatMs ?? 5000;
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    // A reader that begins at the newest event learns its place before the first event comes.
    const place = next === undefined ? `id: ${feed.idOf(feed.head)}\n` : '';
    response.write(`retry: ${options.retryMs ?? 250}\n${place}\n`);
    response.on('close', () => clearTimeout(this.#timer));
    this.#pump();
  }

  /** Breaks the connection as a bad network would: in the middle of an event. */
  drop(): void {
    clearTimeout(this.#timer);
    const response = this.#response;
    if (response.destroyed || response.writableNeedDrain) return void response.destroy();
    const event = this.#event(this.#next);
    response.write(event.slice(0, event.length / 2), () => response.destroy());
  }

  /** Sends nothing more and keeps the connection, as a network does that goes away without a word. */
  silence(): void {
    clearTimeout(this.#timer);
    this.#isSilent = true;
  }

  #pump(): void {
    const { feed } = this;
    const response = this.#response;
    if (response.destroyed || this.#isSilent) return;
    // Restarted between two ticks: the old numbers mean nothing any more.
    if (feed.state.generation !== this.#generation) return this.drop();
    const until = Math.min(feed.head, this.#next + maxChunk - 1);
    let text = '';
    for (; this.#next <= until; this.#next++) text += this.#event(this.#next);
    const idle = performance.now() - this.#lastWrite;
    if (text === '' && idle >= this.#heartbeatMs) text = `id: ${feed.idOf(this.#next - 1)}\n\n`;
    if (text === '') return this.#sleep(Math.min(feed.timeTo(this.#next), this.#heartbeatMs - idle));
    this.#lastWrite = performance.now();
    if (response.write(text)) this.#sleep(feed.timeTo(this.#next));
    else response.once('drain', () => this.#pump());
  }

  #sleep(ms: number): void {
    this.#timer = setTimeout(() => this.#pump(), Math.min(ms, maxSleep));
    this.#timer.unref();
  }

  #event(n: number): string {
    const isBroken = this.feed.state.broken.includes(n);
    const data = isBroken ? brokenReading(this.#generation, n) : reading(this.#generation, n);
    return `id: ${this.#generation}_${n}\ndata: ${JSON.stringify(data)}\n\n`;
  }
}
