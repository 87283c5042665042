import type { FeedStatus } from './server/http.ts';
import type { Control } from './server/requests.ts';

/** What the page knows of its feed's server, apart from the feed itself. */
export class ServerView {
  readonly feed: string;
  status: FeedStatus | undefined;
  #asked = 0;
  #query: URLSearchParams;

  /** @param rate the rate of a feed that does not exist yet */
  constructor(feed: string, rate: string | undefined) {
    this.feed = feed;
    this.#query = new URLSearchParams({ feed, ...(rate !== undefined && { rate }) });
  }

  /** Asks where the feed stands; an answer tells until the next one, as the feed goes by the clock. */
  async refresh(): Promise<void> {
    try {
      const response = await fetch(`/feed/status?${this.#query}`, { signal: AbortSignal.timeout(3000) });
      this.#answered(response.ok ? await response.json() : undefined);
    } catch {
      this.#answered(undefined); // Down or out of reach, which the feed's own connection tells.
    }
  }

  async control(control: Control): Promise<void> {
    const response = await fetch(`/feed/control?${this.#query}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(control),
    });
    if (!response.ok) throw new Error(`The server answered ${response.status}: ${await response.text()}`);
    this.#answered(await response.json());
  }

  /** The number of the newest event by now; undefined where the server cannot be asked. */
  head(): number | undefined {
    const { status } = this;
    return status && status.head + Math.floor(((performance.now() - this.#asked) / 1000) * status.rate);
  }

  #answered(status: FeedStatus | undefined): void {
    this.status = status;
    this.#asked = performance.now();
  }
}
