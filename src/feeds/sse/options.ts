import type { Offset } from '../../offset.ts';
import type { FeedEvent } from '../feed.ts';
import type { HttpOptions, LogOptions, WordOptions } from '../http/options.ts';

/** An event of a Server-Sent Events feed. */
export interface SseEvent<T> extends FeedEvent<T> {
  /**
   * The last event id, as the HTML Standard has it: this event's, or the one before it where it has none; empty before
   * the first and after an empty one.
   */
  readonly id: string;
  /** The event's name; 'message' where it has none. */
  readonly type: string;
}

/** An event as the server sent it: with its text. */
export type SseMessage = Pick<SseEvent<string>, 'id' | 'type' | 'data'>;

/** Options of {@link sse}. */
export interface SseOptions<T = string> extends HttpOptions, LogOptions, WordOptions {
  /**
   * Makes the data of an event, for example `JSON.parse`. Where it throws, the event is a {@link FeedFailure}; one that has
   * an id and no data is a heartbeat then. Default: the text as it is.
   */
  readonly parse?: (data: string) => T;
  /**
   * The offset that an event id stands for. Where it throws, the event is a {@link FeedFailure}. Default `Offset.custom`;
   * where ids are numbers, `Offset.sequence` orders them.
   *
   * A function of two parameters gets the event too. It is also called for events without an id, with '', so that a place
   * which stands in the data of an event can be read; undefined: the event has no offset.
   */
  readonly offset?: (id: string, event: SseMessage) => Offset | undefined;
  /**
   * The last event id to send for an offset; undefined: as by default. The protocol has no word for 'earliest' and
   * 'latest': a server that is sent no id decides where to start, and a warning says so. Default: the value of a custom
   * offset, the digits of a sequence, the ISO 8601 text of a timestamp, and what the options `earliest` and `latest` say.
   */
  readonly id?: (offset: Offset) => string | undefined;
  /**
   * How the server is told: by the `Last-Event-ID` header, or by a query parameter, which replaces what the URL has. The
   * header makes a request to another origin preflighted, and its `Access-Control-Allow-Headers` has to name it. Default
   * 'header'.
   */
  readonly lastEventId?: 'header' | { readonly query: string };
  /**
   * Whether several events in a row may have one id. Then none of them carries an offset, and a heartbeat does once another
   * id has come, which shows that the last was read. It costs no time, and the events of the last id come again after each
   * reopening. Without it the last of those that arrive together carries the offset, and what arrives later under the same
   * id is skipped where reading stops in between. Default false.
   */
  readonly sharedIds?: boolean;
  /** The method of the requests. Default 'GET'. */
  readonly method?: string;
  /**
   * What is sent, for a server that streams its answer to a POST; a function may put the place into it. Default: none.
   */
  readonly body?: string | ((from: Offset) => string);
  /**
   * How long the server may send nothing, not even a comment, before the connection is taken for dead and opened again,
   * in ms; give two or three times the interval of the server's heartbeat. 0: for ever. Default: `resume` learns it.
   */
  readonly idleTimeoutMs?: number;
  /** The longest event that is buffered while it arrives, in characters; a longer one ends the reading. Default 2^24. */
  readonly maxEventLength?: number;
}
