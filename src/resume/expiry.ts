import type { FeedExpiredError } from '../errors.ts';
import type { Offset } from '../offset.ts';
import type { OffsetTracker } from '../tracker/tracker.ts';
import { isFinal } from './failures.ts';
import type { ReaderOptions } from './options.ts';

type Policy = ReaderOptions['onExpired'];

/** What answering an expiry needs of the reader. */
interface ExpiryHost {
  isEnded(): boolean;
  /** Resolves with what the promise does, or with undefined once something has changed. */
  until<T>(promise: Promise<T>): Promise<T | undefined>;
  /** Waits before another try. */
  wait(error: unknown): Promise<void>;
  /** The store failed in a way that may pass. */
  storeFails(error: unknown): void;
  fail(error: unknown): void;
}

/** Resets a source whose feed has expired where `onExpired` says, which fences the reading and so makes a new one. */
export class Expiry {
  /** Expiries since the last event. */
  count = 0;
  readonly #tracker: OffsetTracker;
  readonly #source: string;
  readonly #policy: Policy;
  readonly #host: ExpiryHost;

  constructor(tracker: OffsetTracker, source: string, policy: Policy, host: ExpiryHost) {
    this.#tracker = tracker;
    this.#source = source;
    this.#policy = policy;
    this.#host = host;
  }

  async answer(error: FeedExpiredError): Promise<void> {
    const host = this.#host;
    const attempt = this.count++;
    if (attempt >= attemptsOf(this.#policy)) return host.fail(error);
    if (attempt > 0) await host.wait(error);
    try {
      const offset = await host.until(whereTo(this.#policy, this.#source, error));
      while (offset && !host.isEnded() && !(await this.#reset(offset)));
    } catch (failure) {
      host.fail(failure);
    }
  }

  /** @returns false where it failed and may be tried again */
  async #reset(offset: Offset): Promise<boolean> {
    try {
      await this.#host.until(this.#tracker.reset(this.#source, offset));
      return true;
    } catch (error) {
      if (isFinal(error)) throw error;
      this.#host.storeFails(error);
      await this.#host.wait(error);
      return false;
    }
  }
}

/** How often in a row a feed may expire. A policy gives the same answer again; a callback may have found a better one. */
function attemptsOf(policy: Policy = 'none'): number {
  if (policy === 'none') return 0;
  return typeof policy === 'function' ? 5 : 1;
}

/** Where to go on. */
async function whereTo(policy: Policy, source: string, error: FeedExpiredError): Promise<Offset> {
  return typeof policy === 'function' ? policy(source, error) : { kind: policy === 'latest' ? 'latest' : 'earliest' };
}
