import { FeedChangedError, FeedExpiredError } from '../errors.ts';
import type { Offset } from '../offset.ts';
import { isFinal } from './failures.ts';
import type { ReaderOptions } from './options.ts';

type Policy<E> = 'earliest' | 'latest' | 'none' | 'stop' | ((source: string, error: E) => Offset | Promise<Offset>);

/** How often in a row a feed may expire. A policy gives the same answer again; a callback may have found a better one. */
function attemptsOf(policy: Policy<never>): number {
  if (policy === 'none' || policy === 'stop') return 0;
  return typeof policy === 'function' ? 5 : 1;
}

/** Where to go on. */
async function whereTo<E>(policy: Policy<E>, source: string, error: E): Promise<Offset> {
  return typeof policy === 'function' ? policy(source, error) : { kind: policy === 'latest' ? 'latest' : 'earliest' };
}

/** What a {@link Restart} needs of the loop. */
export interface RestartHooks {
  isEnded(): boolean;
  until<T>(promise: Promise<T>): Promise<T | undefined>;
  wait(error: unknown): Promise<void>;
  fail(error: unknown): void;
  /** Resets the source, which fences the reading and so makes a new one. */
  reset(offset: Offset): Promise<void>;
  /** The store failed in a way that may pass. */
  storeFails(error: unknown): void;
}

/** Resets a source where a policy says. */
export class Restart {
  readonly #source: string;
  readonly #hooks: RestartHooks;
  /** Expiries and changes since the last event. */
  expiries = 0;

  constructor(source: string, hooks: RestartHooks) {
    this.#source = source;
    this.#hooks = hooks;
  }

  /** Goes on where `onExpired` or `onFeedChanged` says. */
  async after(
    error: FeedExpiredError | FeedChangedError,
    { onExpired = 'none', onFeedChanged = 'stop' }: ReaderOptions<never>,
  ): Promise<void> {
    if (error instanceof FeedChangedError) await this.#goOn(onFeedChanged, error);
    else await this.#goOn(onExpired, error);
  }

  async #goOn<E>(policy: Policy<E>, error: E): Promise<void> {
    const attempt = this.expiries++;
    if (attempt >= attemptsOf(policy)) return this.#hooks.fail(error);
    if (attempt > 0) await this.#hooks.wait(error);
    await this.#at(() => whereTo(policy, this.#source, error));
  }

  /** Resets the source, however often that has to be tried. */
  async #at(choose: () => Promise<Offset>): Promise<void> {
    try {
      const offset = await this.#hooks.until(choose());
      while (offset && !this.#hooks.isEnded() && !(await this.#reset(offset)));
    } catch (failure) {
      this.#hooks.fail(failure);
    }
  }

  /** @returns false where it failed and may be tried again */
  async #reset(offset: Offset): Promise<boolean> {
    try {
      await this.#hooks.until(this.#hooks.reset(offset));
      return true;
    } catch (error) {
      if (isFinal(error)) throw error;
      this.#hooks.storeFails(error);
      await this.#hooks.wait(error);
      return false;
    }
  }
}

/** Whether the place is no longer one of the feed's. */
export function isLost(error: unknown): error is FeedExpiredError | FeedChangedError {
  return error instanceof FeedExpiredError || error instanceof FeedChangedError;
}
