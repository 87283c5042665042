/** How many events may wait to be shown. */
const length = 1024;

type Origin = 'local' | 'remote';

/** Shows events one after the other, each after the promise of the one before. */
export class Line {
  readonly #show: (event: object, origin: Origin) => unknown;
  readonly #fail: (error: unknown) => void;
  readonly #drained: () => void;
  readonly #waiting: { readonly event: object; readonly origin: Origin }[] = [];
  readonly #watched = new Map<object, PromiseWithEnds>();
  readonly #shown = new WeakSet<object>();
  #busy = false;
  #wasFull = false;
  #ended = false;
  #freed: (() => void)[] = [];

  /** @param drained called when there is room again after there was none */
  constructor(show: (event: object, origin: Origin) => unknown, fail: (error: unknown) => void, drained: () => void) {
    this.#show = show;
    this.#fail = fail;
    this.#drained = drained;
  }

  get isFull(): boolean {
    const full = this.#waiting.length >= length;
    if (full) this.#wasFull = true;
    return full;
  }

  push(event: object, origin: Origin): void {
    if (this.#ended) return;
    this.#waiting.push({ event, origin });
    if (!this.#busy) this.#run();
  }

  /** Resolves when there is room; undefined where there is. */
  room(): Promise<void> | undefined {
    if (!this.isFull || this.#ended) return undefined;
    return new Promise((resolve) => void this.#freed.push(resolve));
  }

  /** Resolves when an event has been shown, or is not to be shown; rejects with what showing it failed with. */
  shown(event: object): Promise<void> | undefined {
    if (this.#shown.has(event)) return undefined;
    const before = this.#watched.get(event);
    if (before) return before.promise;
    const ends = promiseWithEnds();
    this.#watched.set(event, ends);
    return ends.promise;
  }

  /** An event is not to be shown. */
  settle(event: object | undefined): void {
    if (!event) return;
    this.#shown.add(event);
    this.#watched.get(event)?.resolve();
    this.#watched.delete(event);
  }

  /** No event that waits is to be shown any more. */
  settleAll(): void {
    for (const { event } of this.#waiting.splice(0)) this.settle(event);
    for (const event of this.#watched.keys()) this.settle(event);
    this.#free();
  }

  end(): void {
    this.#ended = true;
    this.settleAll();
  }

  /** Without a turn of the event loop where nothing has to be awaited. */
  #run(): void {
    this.#busy = true;
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      const { event, origin } = next;
      try {
        const showing = this.#show(event, origin);
        if (isThenable(showing)) {
          Promise.resolve(showing).then(
            () => this.#goOn(event),
            (error: unknown) => this.#stop(event, error),
          );
          return;
        }
      } catch (error) {
        return this.#stop(event, error);
      }
      this.settle(event);
    }
    this.#busy = false;
    this.#free();
  }

  #goOn(event: object): void {
    this.settle(event);
    this.#run();
  }

  #stop(event: object, error: unknown): void {
    this.#ended = true;
    const watched = this.#watched.get(event);
    this.#watched.delete(event);
    watched?.reject(error);
    // The others stay unshown, and so are not recorded.
    this.#waiting.length = 0;
    this.#free();
    this.#fail(error);
  }

  #free(): void {
    for (const freed of this.#freed.splice(0)) freed();
    if (!this.#wasFull) return;
    this.#wasFull = false;
    this.#drained();
  }
}

interface PromiseWithEnds {
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: unknown): void;
}

function promiseWithEnds(): PromiseWithEnds {
  let resolve = (): void => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<void>((done, failed) => {
    resolve = done;
    reject = failed;
  });
  return { promise, resolve, reject };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}
