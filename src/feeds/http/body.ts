import { UnsupportedError } from '../../errors.ts';
import type { FeedErrors } from '../feed-errors.ts';

/** What the body of an answer is read by. */
export interface BodyReader {
  /** The next chunk; undefined at the end. */
  read(): Promise<Uint8Array | string | undefined>;
  /** Ends the reading, also of a body that does not heed the request's signal. */
  cancel(): void;
}

/** @throws UnsupportedError for what is no stream */
export function readerOf(body: unknown, errors: FeedErrors): BodyReader {
  if (isStream(body)) {
    const reader = body.getReader();
    return { read: async () => (await reader.read()).value, cancel: () => void reader.cancel().catch(() => {}) };
  }
  if (isIterable(body)) return iterating(body[Symbol.asyncIterator]());
  throw new UnsupportedError(
    errors.about(
      'this fetch does not stream: the body of its answer is neither a ReadableStream nor an async iterable',
    ),
  );
}

function isStream(body: unknown): body is ReadableStream<Uint8Array> {
  return typeof body === 'object' && body !== null && 'getReader' in body && typeof body.getReader === 'function';
}

function isIterable(body: unknown): body is AsyncIterable<Uint8Array | string> {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body;
}

function iterating(chunks: AsyncIterator<Uint8Array | string>): BodyReader {
  let stop = (): void => {};
  return {
    read: () =>
      new Promise((resolve, reject) => {
        stop = () => resolve(undefined);
        chunks.next().then(({ done, value }) => resolve(done ? undefined : value), reject);
      }),
    cancel: () => {
      // What ends an iterable waits for the chunk that is under way.
      stop();
      chunks.return?.().catch(() => {});
    },
  };
}
