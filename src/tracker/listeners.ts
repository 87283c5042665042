import { quote } from '../errors.ts';
import type { Offset } from '../offset.ts';
import type { TrackerEvent } from './types.ts';

interface Listener {
  readonly listener: (event: TrackerEvent) => void;
  /** In the order in which they came. */
  readonly number: number;
}

/** Those who listen to a tracker. */
export class Listeners {
  readonly #all = new Set<Listener>();
  #added = 0;

  get any(): boolean {
    return this.#all.size > 0;
  }

  add(listener: (event: TrackerEvent) => void): () => void {
    if (typeof listener !== 'function') throw new TypeError(`a listener is a function, found ${quote(listener)}`);
    // The same function may be given twice.
    const own = { listener, number: ++this.#added };
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
    // Who is added by a listener hears of the next event.
    const last = this.#added;
    for (const { listener, number } of this.#all) {
      if (number > last) break;
      guard(() => listener(event));
    }
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
