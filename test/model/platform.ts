/** What a tab's code finds around it: a clock, timers, a page and numbers that look random, and nothing happens by itself. */
export class Platform {
  /** In ms. */
  clock = 0;
  readonly #timers = new Set<Timer>();
  readonly #listeners = new Map<string, (event: unknown) => void>();
  readonly #salt: number;
  #drawn = 0;

  /** @param salt from 0 to 15; no two tabs of one run have the same, nor two lives of one tab */
  constructor(salt: number) {
    this.#salt = salt;
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
    const random = Math.random;
    const own: Record<string, unknown> = {
      setTimeout: (come: () => void, ms = 0) => {
        const timer = new Timer(this.clock + ms, come);
        this.#timers.add(timer);
        return timer;
      },
      clearTimeout: (timer: Timer | undefined) => timer && this.#timers.delete(timer),
      document: { hidden: false },
      addEventListener: (name: string, listener: (event: unknown) => void) => this.#listeners.set(name, listener),
    };
    const before = new Map(Object.keys(own).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]));
    Object.assign(globalThis, own);
    Math.random = () => this.random();
    return () => {
      Math.random = random;
      for (const [name, descriptor] of before) {
        if (descriptor) Object.defineProperty(globalThis, name, descriptor);
        else Reflect.deleteProperty(globalThis, name);
      }
    };
  }
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
