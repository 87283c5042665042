import { OffsetError, quote } from '../errors.ts';
import type { SourceStatus, TrackerEvent } from './types.ts';

/** What is asked of a tracker. */
interface Watched {
  status(source: string): SourceStatus;
  /** @throws OffsetError where the tracker is closed */
  subscribe(listener: (event: TrackerEvent) => void): () => void;
}

/** Those who wait until a source is caught up with. */
export class CaughtUp {
  readonly #tracker: Watched;
  readonly #waiting = new Set<() => void>();
  #closed = false;

  constructor(tracker: Watched) {
    this.#tracker = tracker;
  }

  /** Resolves when it is so, and rejects when the signal is aborted or the tracker is closed. */
  async wait(source: string, signal: AbortSignal | undefined): Promise<void> {
    if (typeof source !== 'string') throw new TypeError(`a source is a string, found ${quote(source)}`);
    signal?.throwIfAborted();
    const ended = new OffsetError(
      'closed',
      `the tracker is closed, and ${quote(source)} was not caught up with: make a new one, and read on with that`,
      { source },
    );
    if (this.#closed) throw ended;
    let stop = (): void => {};
    let close = (): void => {};
    let unsubscribe = (): void => {};
    try {
      await new Promise<void>((resolve, reject) => {
        const look = (): void => {
          if (this.#tracker.status(source).caughtUp) resolve();
        };
        stop = () => reject(signal?.reason);
        close = () => reject(ended);
        unsubscribe = this.#tracker.subscribe((event) => event.source === source && look());
        signal?.addEventListener('abort', stop);
        this.#waiting.add(close);
        look();
      });
    } finally {
      unsubscribe();
      signal?.removeEventListener('abort', stop);
      this.#waiting.delete(close);
    }
  }

  /** Nothing is read any more. */
  close(): void {
    this.#closed = true;
    for (const close of this.#waiting) close();
  }
}
