/** How long a feed with events at hand may keep the thread, in ms. */
const sliceMs = 10;
/** The clock is looked at once in so many items. */
const itemsPerLook = 16;

/** Lets timers, aborts and other work run between items that are all at hand. */
export class Breather {
  #items = 0;
  #since = performance.now();
  #resting = false;

  /** Waits for a turn of the event loop where the thread was kept for too long. */
  breathe(): Promise<void> | undefined {
    if (++this.#items % itemsPerLook) return undefined;
    const now = performance.now();
    if (now - this.#since < sliceMs || this.#resting) return undefined;
    return this.#rest();
  }

  async #rest(): Promise<void> {
    this.#resting = true;
    await turn();
    this.#since = performance.now();
    this.#resting = false;
  }
}

/** The next turn of the event loop; timers would be held back in browsers. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') return void setImmediate(resolve);
    // Some edge runtimes have neither.
    if (typeof MessageChannel !== 'function') return void setTimeout(resolve, 0);
    const { port1, port2 } = new MessageChannel();
    port1.addEventListener('message', () => {
      port1.close();
      resolve();
    });
    port1.start();
    port2.postMessage(undefined);
  });
}
