import type { FeedResponse } from './http/options.ts';

/** An answer that knows whether its body came whole. */
export class WholeBody {
  /** The answer, to be read by its methods, like `text` and `json`. */
  readonly response: FeedResponse;
  #isWhole = false;

  constructor(response: FeedResponse) {
    const get = (of: FeedResponse, name: string | symbol): unknown => {
      // The answer itself, since what a `Response` has takes no other.
      const value: unknown = Reflect.get(of, name, of);
      if (typeof value !== 'function') return value;
      return (...given: unknown[]) => this.#note(Reflect.apply(value, of, given));
    };
    this.response = new Proxy(response, { get });
  }

  /** Whether what was thrown is about the page, and not about the way it came. */
  isUnreadable(cause: unknown): boolean {
    return this.#isWhole || cause instanceof SyntaxError;
  }

  #note(result: unknown): unknown {
    if (result instanceof Promise) {
      result.then(
        () => (this.#isWhole = true),
        () => {},
      );
    }
    return result;
  }
}
