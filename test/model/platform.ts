/** What a tab's code finds around it: a clock, timers, a page and numbers that look random, and nothing happens by itself. */
export class Platform {
  /** In ms. */
  clock = 0;
  readonly #timers = new Set<Timer>();
  readonly #listeners = new Map<string, (event: unknown) => void>();
  readonly #salt: number;
  #drawn = 0;

  readonly #globals: Readonly<Record<string, unknown>>;

  /**
   * @param salt from 0 to 15; no two tabs of one run have the same, nor two lives of one tab
   * @param globals what else is found
   */
  constructor(salt: number, globals: Readonly<Record<string, unknown>> = {}) {
    this.#salt = salt;
    this.#globals = globals;
  }

  /** The next number from 0 up to 1; the lower of two tabs draws the lower ones. */
  random(): number {
    return (this.#salt * 32 + (this.#drawn++ % 32)) / 512;
  }

  /** Runs a step until nothing moves any more but for what comes from outside. */
  async run(step: () => void): Promise<void> {
    const undo = this.#install();
    try {
      step();
      await drained();
    } finally {
      undo();
    }
  }

  /** Whether a timer that has to come is the next to come. */
  get isArmed(): boolean {
    return this.#next()?.isPatience === false;
  }

  /** Whether the next is one by which something that does not end is given up. */
  get isPatient(): boolean {
    return this.#next()?.isPatience === true;
  }

  /** The next timer comes. */
  tick(): void {
    const timer = this.#next();
    if (!timer) return;
    this.#timers.delete(timer);
    this.clock = Math.max(this.clock, timer.at);
    timer.come();
  }

  /** A turn in the page's life. */
  turn(name: string, event: unknown): void {
    this.#listeners.get(name)?.(event);
  }

  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) if (!next || timer.at < next.at) next = timer;
    return next;
  }

  #install(): () => void {
    const own: Record<string, unknown> = {
      ...this.#globals,
      setTimeout: (come: () => void, ms = 0) => {
        const timer = new Timer(this.clock + ms, come);
        this.#timers.add(timer);
        return timer;
      },
      clearTimeout: (timer: Timer | undefined) => timer && this.#timers.delete(timer),
      document: { hidden: false },
      addEventListener: (name: string, listener: (event: unknown) => void) => this.#listeners.set(name, listener),
      crypto: { getRandomValues: (values: Uint32Array) => values.map(() => this.random() * 2 ** 32) },
    };
    const undo = [
      replace(globalThis, own),
      replace(Math, { random: () => this.random() }),
      replace(Date, { now: () => this.clock }),
      replace(performance, { now: () => this.clock }),
    ];
    return () => {
      for (const each of undo) each();
    };
  }
}

/** @returns a function that puts back what was there */
function replace(target: object, own: Readonly<Record<string, unknown>>): () => void {
  const before = Object.keys(own).map((name) => [name, Object.getOwnPropertyDescriptor(target, name)] as const);
  for (const [name, value] of Object.entries(own))
    Object.defineProperty(target, name, { value, configurable: true, writable: true, enumerable: true });
  return () => {
    for (const [name, descriptor] of before) {
      if (descriptor) Object.defineProperty(target, name, descriptor);
      else Reflect.deleteProperty(target, name);
    }
  };
}

class Timer {
  readonly at: number;
  readonly come: () => void;
  /** Whether a process may end without it: by such a timer a tracker gives up what does not end. */
  isPatience = false;

  constructor(at: number, come: () => void) {
    this.at = at;
    this.come = come;
  }

  unref(): void {
    this.isPatience = true;
  }
}

const { setImmediate } = globalThis;

/** All microtasks have run, also those that they made. */
function drained(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
