type Timer = ReturnType<typeof setTimeout>;

/** How many of them wait at most: the newest, whose requests are the likeliest to live. */
const most = 1000;

/**
 * Timers for the same thing, one for each turn that asks for it. In a Worker only the timers of a living request come, and
 * a request without any is taken for hung: each has its own, and takes away nobody else's.
 */
export class RequestTimers {
  readonly #timers = new Set<Timer>();
  #armed = false;

  /** Sets a timer, unless one was set in this turn: all that is asked for in one turn is asked for by the same request. */
  set(delayMs: number, come: () => void): Timer | undefined {
    if (this.#armed) return undefined;
    this.#armed = true;
    queueMicrotask(() => (this.#armed = false));
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        come();
      },
      Math.max(0, delayMs),
    );
    this.#timers.add(timer);
    if (this.#timers.size > most) this.#dropOldest();
    return timer;
  }

  #dropOldest(): void {
    const [oldest] = this.#timers;
    if (oldest === undefined) return;
    clearTimeout(oldest);
    this.#timers.delete(oldest);
  }

  clear(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#armed = false;
  }
}
