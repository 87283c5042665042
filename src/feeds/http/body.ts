import { UnsupportedError } from '../../errors.ts';
import type { FeedErrors } from '../feed-errors.ts';

/** What the body of an answer is read by. */
export interface BodyReader {
  /** The next chunk; undefined at the end. */
  read(): Promise<Uint8Array | string | undefined>;
}

/**
 * @param signal ends the reading, also of a body that does not heed it itself
 * @throws UnsupportedError for what is no stream
 */
export function readerOf(body: unknown, signal: AbortSignal, errors: FeedErrors): BodyReader {
  if (isStream(body)) {
    const reader = body.getReader();
    whenAborted(signal, () => void reader.cancel().catch(() => {}));
    return { read: async () => (await reader.read()).value };
  }
  if (isIterable(body)) return iterating(body[Symbol.asyncIterator](), signal);
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

function iterating(chunks: AsyncIterator<Uint8Array | string>, signal: AbortSignal): BodyReader {
  let stop = (): void => {};
  whenAborted(signal, () => {
    // What ends an iterable waits for the chunk that is under way.
    stop();
    chunks.return?.().catch(() => {});
  });
  return {
    read: () =>
      new Promise((resolve, reject) => {
        stop = () => resolve(undefined);
        chunks.next().then(({ done, value }) => resolve(done ? undefined : value), reject);
      }),
  };
}

function whenAborted(signal: AbortSignal, listener: () => void): void {
  if (signal.aborted) listener();
  else signal.addEventListener('abort', listener, { once: true });
}
