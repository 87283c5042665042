/** What is to be done as the turn comes and goes. */
export interface TurnHandlers {
  /** This tab has the turn now. */
  take(): void;
  /** Another tab may have it. */
  lose(): void;
  fail(error: unknown): void;
}

/** How many signs of life the reader gives while others wait until they take over. */
const beatsPerTakeover = 5;

/**
 * A tab's place among those that want to read a source: one holds a Web Lock, and gives signs of life on a channel. Who
 * hears none for too long, though awake itself, steals the lock.
 */
export class Turn {
  readonly #handlers: TurnHandlers;
  readonly #takeoverAfterMs: number;
  readonly #name: string;
  /** The name of a lock that only this tab holds, by which it knows itself in the browser's list. */
  readonly #mark: string;
  readonly #ending = new AbortController();
  #channel: BroadcastChannel | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #reading = false;
  #away = false;
  #back: (() => void) | undefined;
  #release: (() => void) | undefined;
  #request = new AbortController();
  #steal = false;
  /** When this tab, as the reader, last gave a sign of life; as one that waits, last heard one. */
  #lifeAt = 0;
  /** How often this tab has looked since then: time alone passes while it is asleep, too. */
  #looks = 0;

  /** @param name of the lock and of the channel: the same in all tabs that take turns */
  constructor(name: string, takeoverAfterMs: number, handlers: TurnHandlers) {
    if (!(takeoverAfterMs > 0)) throw new TypeError(`takeoverAfterMs ${takeoverAfterMs}: give ms above 0`);
    this.#handlers = handlers;
    this.#takeoverAfterMs = takeoverAfterMs;
    this.#name = name;
    this.#mark = `${name}/${crypto.randomUUID()}`;
  }

  start(): void {
    const { signal } = this.#ending;
    const on = (type: string, listener: (event: Event) => void): void =>
      // What is fired at the document passes the window on its way.
      globalThis.addEventListener?.(type, listener, { capture: true, signal });
    on('pagehide', () => this.#leave());
    on('freeze', () => this.#leave());
    on('pageshow', () => this.#return());
    on('resume', () => this.#return());
    this.#queue().catch((error: unknown) => this.#handlers.fail(error));
  }

  /**
   * Whether this tab still has the turn. After a gap in which others may have taken it for dead it asks the browser, because
   * a tab that was frozen runs on before it is told that its lock was stolen.
   */
  isLeader(): boolean | Promise<boolean> {
    if (!this.#reading) return false;
    const gap = performance.now() - this.#lifeAt;
    if (gap > this.#takeoverAfterMs / 2) return this.#stillHolds();
    if (gap > this.#takeoverAfterMs / beatsPerTakeover) this.#beat();
    return true;
  }

  async #stillHolds(): Promise<boolean> {
    if (await this.#holds()) this.#beat();
    else this.#lose();
    return this.#reading;
  }

  /** Gives the turn to the next in the queue, and waits at its end. */
  requeue(): void {
    this.#lose();
  }

  /** Gives the turn up. */
  close(): void {
    this.#ending.abort();
    this.#leave();
    this.#back?.();
  }

  async #queue(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      if (this.#away) {
        await new Promise<void>((resolve) => {
          this.#back = resolve;
        });
        continue;
      }
      this.#wait();
      this.#request = new AbortController();
      const unmark = await hold(this.#mark);
      try {
        // A theft cannot be called off, and succeeds at once.
        const options = this.#steal ? { steal: true } : { signal: this.#request.signal };
        this.#steal = false;
        await navigator.locks.request(this.#name, options, () => this.#granted());
      } catch (error) {
        // Stolen, or called off by this tab itself.
        if (!(error instanceof DOMException && error.name === 'AbortError')) throw error;
      } finally {
        unmark();
      }
      this.#lose();
    }
  }

  /** Keeps the lock until it is released. */
  async #granted(): Promise<void> {
    const released = new Promise<void>((resolve) => {
      this.#release = resolve;
    });
    // One that was frozen while it was given the lock may have lost it before it knew.
    if (this.#away || !(await this.#holds()) || this.#away) return;
    this.#reading = true;
    this.#beat();
    this.#handlers.take();
    await released;
  }

  #wait(): void {
    this.#hear();
    this.#timer ??= setInterval(() => void this.#tick().catch(() => {}), this.#takeoverAfterMs / beatsPerTakeover);
    if (this.#channel) return;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => {
      // Asked by one that waits. In a page out of sight timers come late, messages do not.
      if (this.#reading) this.#showLife();
      else if (data === 'reading') this.#hear();
    };
  }

  #showLife(): void {
    Promise.resolve(this.isLeader()).catch(() => {});
  }

  #hear(): void {
    this.#lifeAt = performance.now();
    this.#looks = 0;
  }

  async #tick(): Promise<void> {
    if (this.#reading) return this.#showLife();
    const now = performance.now();
    if (++this.#looks > 1) this.#channel?.postMessage('waiting');
    if (this.#looks < beatsPerTakeover || now - this.#lifeAt < this.#takeoverAfterMs) return;
    const since = this.#lifeAt;
    const place = await this.#place();
    const later = performance.now();
    // Unless something has changed while the browser was asked, or this tab was asleep.
    if (place === 0 || since !== this.#lifeAt || later - now > this.#takeoverAfterMs / beatsPerTakeover) return;
    if (this.#reading || later - since < this.#takeoverAfterMs * place) return;
    this.#steal = true;
    this.#request.abort();
  }

  /** Which in the queue this tab is; 0: none. */
  async #place(): Promise<number> {
    const { held = [], pending = [] } = await navigator.locks.query();
    const me = held.find(({ name }) => name === this.#mark)?.clientId;
    const queue = pending.filter(({ name }) => name === this.#name);
    return queue.findIndex(({ clientId }) => clientId === me) + 1;
  }

  async #holds(): Promise<boolean> {
    const { held = [] } = await navigator.locks.query();
    const me = held.find(({ name }) => name === this.#mark)?.clientId;
    return held.some(({ name, clientId }) => name === this.#name && clientId === me);
  }

  #beat(): void {
    this.#lifeAt = performance.now();
    this.#channel?.postMessage('reading');
  }

  #lose(): void {
    if (!this.#reading) return;
    this.#reading = false;
    this.#release?.();
    this.#handlers.lose();
  }

  /** A lock, or an open channel that hears something, keeps a page out of the back/forward cache. */
  #leave(): void {
    this.#away = true;
    this.#lose();
    this.#release?.();
    this.#request.abort();
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#channel?.close();
    this.#channel = undefined;
  }

  #return(): void {
    this.#away = false;
    this.#back?.();
  }
}

/** Takes a lock that is free. @returns a function that lets it go */
function hold(name: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const held = (): Promise<void> => new Promise((release) => resolve(release));
    navigator.locks.request(name, held).catch(reject);
  });
}
