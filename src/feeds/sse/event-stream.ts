import { createParser } from 'eventsource-parser';

/** A block of an event stream: an event, or an id alone. */
export interface Block {
  /** Undefined where the block has none; ids with a NULL in them are none. */
  readonly id: string | undefined;
  readonly event?: { readonly data: string; readonly type: string };
}

/** Cuts the bytes of an event stream (HTML Standard, section 9.2.5) into its whole blocks. What is no whole block yet is not seen. */
export class EventStream {
  /** Whether an unfinished block has outgrown the limit; nothing more can be read then. */
  overflow = false;
  #blocks: Block[] = [];
  // The parser takes off the byte order mark, of which only one is to go.
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  readonly #parser;

  /** @param maxLength of an unfinished block, in characters */
  constructor(maxLength: number, onRetry: (ms: number) => void) {
    this.#parser = createParser({
      maxBufferSize: maxLength,
      onRetry,
      // Called at the end of every block with an id; where there is data too, onEvent follows.
      onId: (id) => this.#blocks.push({ id }),
      onEvent: ({ id, event = 'message', data }) => {
        if (id !== undefined) this.#blocks.pop();
        this.#blocks.push({ id, event: { data, type: event } });
      },
      onError: ({ type }) => {
        this.overflow ||= type === 'max-buffer-size-exceeded';
      },
    });
  }

  /** The blocks that end in a chunk. */
  blocks(chunk: Uint8Array): readonly Block[] {
    this.#parser.feed(this.#decoder.decode(chunk, { stream: true }));
    const blocks = this.#blocks;
    this.#blocks = [];
    return blocks;
  }
}
