import { quote } from '../errors.ts';
import type { Offset } from '../offset.ts';
import type { TrackerEvent } from './types.ts';

/** Those who listen to a tracker. */
export class Listeners {
  readonly #all = new Set<(event: TrackerEvent) => void>();

  get any(): boolean {
    return this.#all.size > 0;
  }

  add(listener: (event: TrackerEvent) => void): () => void {
    if (typeof listener !== 'function') throw new TypeError(`a listener is a function, found ${quote(listener)}`);
    // The same function may be given twice.
    const own = (event: TrackerEvent): void => listener(event);
    this.#all.add(own);
    return () => this.#all.delete(own);
  }

  tell(
    type: TrackerEvent['type'],
    origin: TrackerEvent['origin'],
    source?: string,
    offset?: Offset,
    error?: unknown,
  ): void {
    this.send({ type, origin, source, offset, error });
  }

  send(event: TrackerEvent): void {
    // Who is added by a listener hears of the next event; who is removed by one hears no more.
    const now = [...this.#all];
    for (const listener of now) if (this.#all.has(listener)) guard(() => listener(event));
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
