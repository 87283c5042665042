/** @throws TypeError for what is no number of events */
export function checkCount(what: string, count: number): void {
  if (Number.isInteger(count) && count >= 1) return;
  throw new TypeError(`${what} ${count}: give a whole number of events, 1 or more`);
}

/** Counts what is under way, for one who waits. */
export class Counter {
  #count = 0;
  #freed: (() => void) | undefined;

  enter(): void {
    this.#count++;
  }

  leave(): void {
    this.#count--;
    this.#freed?.();
  }

  async fewerThan(limit: number): Promise<void> {
    while (this.#count >= limit) {
      await new Promise<void>((resolve) => {
        this.#freed = resolve;
      });
    }
  }
}

/** What runs while one signal is not aborted. */
interface Life {
  readonly runs: Set<() => void>;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** Counts the handlers that run. One whose signal was aborted a time ago and that still has not ended counts no more. */
export class Running {
  readonly #timeoutMs: number;
  readonly #letGo: () => void;
  readonly #lives = new Map<AbortSignal, Life>();
  readonly #counter = new Counter();

  /** @param letGo told when some that do not end are waited for no longer */
  constructor(timeoutMs: number, letGo: () => void) {
    this.#timeoutMs = timeoutMs;
    this.#letGo = letGo;
  }

  /**
   * @param work does not reject
   * @param abandon what is done for one that does not end
   */
  run(work: () => Promise<void>, signal: AbortSignal, abandon: (() => void) | undefined): void {
    const life = this.#lives.get(signal) ?? this.#begin(signal);
    const giveUp = (): void => {
      end();
      abandon?.();
    };
    const end = (): void => {
      if (!life.runs.delete(giveUp)) return;
      if (life.runs.size === 0) clearTimeout(life.timer);
      if (life.runs.size === 0 && signal.aborted) this.#lives.delete(signal);
      this.#counter.leave();
    };
    life.runs.add(giveUp);
    this.#counter.enter();
    void work().then(end);
  }

  fewerThan(limit: number): Promise<void> {
    return this.#counter.fewerThan(limit);
  }

  #begin(signal: AbortSignal): Life {
    const life: Life = { runs: new Set(), timer: undefined };
    this.#lives.set(signal, life);
    const aborted = (): void => {
      if (life.runs.size === 0) return void this.#lives.delete(signal);
      life.timer = setTimeout(() => {
        this.#letGo();
        for (const giveUp of life.runs) giveUp();
      }, this.#timeoutMs);
    };
    if (signal.aborted) aborted();
    else signal.addEventListener('abort', aborted, { once: true });
    return life;
  }
}

/** Waits for work, but no longer than a time after its signal is aborted; undefined then. */
export async function untilLetGo<T>(
  work: T | PromiseLike<T>,
  signal: AbortSignal,
  timeoutMs: number,
  letGo: () => void,
): Promise<T | undefined> {
  if (typeof Object(work).then !== 'function') return work;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let aborted = (): void => {};
  const late = new Promise<undefined>((resolve) => {
    aborted = () => {
      timer = setTimeout(() => {
        letGo();
        resolve(undefined);
      }, timeoutMs);
    };
  });
  if (signal.aborted) aborted();
  else signal.addEventListener('abort', aborted);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', aborted);
  }
}
