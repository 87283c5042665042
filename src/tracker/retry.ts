import { RequestTimers } from './request-timers.ts';

/** A commit that failed and may succeed later is tried again after this long, in ms; doubled each time, up to the second. */
const delays = [1000, 30_000] as const;

/** When what failed is tried again, with a backoff of which a random half is waited; the tracker's clock tells no durations. */
export class Retry {
  readonly #again: () => void;
  readonly #timers = new RequestTimers();
  #attempt = 0;
  /** Counts tries. */
  #number = 0;
  /** In ms, as `performance.now` has them. */
  #at = 0;
  /** Whether a try waits for its time. */
  pending = false;

  constructor(again: () => void) {
    this.#again = again;
  }

  /** It went through. */
  worked(): void {
    this.#attempt = 0;
  }

  /** It failed, and is tried again in a while. */
  failed(): void {
    const [least, most] = delays;
    const span = Math.min(most, least * 2 ** this.#attempt++);
    this.#at = performance.now() + span * (0.5 + Math.random() / 2);
    this.pending = true;
    this.#number++;
    this.wait();
  }

  /** Somebody waits for the next try. */
  wait(): void {
    const number = this.#number;
    this.#timers.set(this.#at - performance.now(), () => this.#come(number));
  }

  /** It is tried now, or never. */
  stop(): void {
    this.pending = false;
    this.#timers.clear();
  }

  #come(number: number): void {
    if (!this.pending) return;
    if (number === this.#number) this.#again();
    // One that was set for an earlier try.
    else this.wait();
  }
}
