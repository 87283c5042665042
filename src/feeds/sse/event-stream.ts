import { createParser } from 'eventsource-parser';

/** A block of an event stream: an event, or an id alone. */
export interface Block {
  /** The block's own; undefined where it has none. Ids with a NULL in them are none. */
  readonly id: string | undefined;
  /** The event's name; 'message' where it has none. */
  readonly type: string;
  /** Undefined where the block is an id alone. */
  readonly data: string | undefined;
}

/** Cuts an event stream (HTML Standard, section 9.2.5) into its whole blocks. What is no whole block yet is not seen. */
export class EventStream {
  /** Whether an unfinished block has outgrown the limit; nothing more can be read then. */
  overflow = false;
  #blocks: Block[] = [];
  /** An id of which no event has come: it stands alone unless the event comes next. */
  #id: string | undefined;
  // The parser takes off the byte order mark, of which only one is to go.
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  readonly #parser;

  /** @param maxLength of an unfinished block, in characters */
  constructor(maxLength: number, onRetry: (ms: number) => void) {
    this.#parser = createParser({
      maxBufferSize: maxLength,
      onRetry,
      // Called at the end of every block with an id; where there is data too, onEvent follows.
      onId: (id) => {
        this.#flush();
        this.#id = id;
      },
      onEvent: ({ id, event = 'message', data }) => {
        if (id === undefined) this.#flush();
        this.#id = undefined;
        this.#blocks.push({ id, type: event, data });
      },
      onError: ({ type }) => {
        this.overflow ||= type === 'max-buffer-size-exceeded';
      },
    });
  }

  /** The blocks that end in a chunk. */
  blocks(chunk: Uint8Array | string): Block[] {
    this.#parser.feed(typeof chunk === 'string' ? chunk : this.#decoder.decode(chunk, { stream: true }));
    this.#flush();
    const blocks = this.#blocks;
    this.#blocks = [];
    return blocks;
  }

  #flush(): void {
    if (this.#id !== undefined) this.#blocks.push({ id: this.#id, type: 'message', data: undefined });
    this.#id = undefined;
  }
}
