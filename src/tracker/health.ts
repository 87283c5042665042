import type { Listeners } from './listeners.ts';

/** Whether the store works, as it says itself and as commits show; each change is told once. */
export class Health {
  readonly #listeners: Listeners;
  #told: Error | undefined;
  #committed: Error | undefined;

  constructor(listeners: Listeners) {
    this.#listeners = listeners;
  }

  /** Why the store does not work. */
  get failure(): Error | undefined {
    return this.#committed ?? this.#told;
  }

  /** The store says that it has failed or, without an error, that it works again. */
  told(error?: Error): void {
    this.#change(() => (this.#told = error));
  }

  /** A commit has failed or, without an error, gone through. */
  committed(error?: Error): void {
    if (error !== this.#committed) this.#change(() => (this.#committed = error));
  }

  #change(change: () => void): void {
    const before = this.failure;
    change();
    const now = this.failure;
    if (!before === !now) return;
    this.#listeners.tell(now ? 'degraded' : 'recovered', 'local', undefined, undefined, now);
  }
}
