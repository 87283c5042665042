import type { Offset } from '../offset.ts';
import type { TrackerEvent } from './types.ts';

/** Those who listen to a tracker. */
export class Listeners {
  readonly #all = new Set<(event: TrackerEvent) => void>();

  add(listener: (event: TrackerEvent) => void): () => void {
    this.#all.add(listener);
    return () => this.#all.delete(listener);
  }

  tell(
    type: TrackerEvent['type'],
    origin: TrackerEvent['origin'],
    source?: string,
    offset?: Offset,
    error?: unknown,
  ): void {
    for (const listener of this.#all) guard(() => listener({ type, origin, source, offset, error }));
  }
}

/** A listener's mistake is its own: it is reported as uncaught, and the tracker goes on. */
export function guard(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
