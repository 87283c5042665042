import { quote } from '../errors.ts';
import type { FeedHeartbeat, FeedItem } from '../feeds/feed.ts';
import type { Offset } from '../offset.ts';
import type { Told } from '../tracker/progress.ts';
import type { Runs } from '../tracker/runs.ts';

/** After how long without an item it is doubtful where a server began, in ms. */
const doubtfulMs = 400;

/** What one `resume` tells the subscribers of its tracker. */
export class News {
  readonly #runs: Runs;
  readonly #source: string;
  readonly #warned = new Set<string>();
  /** Whether anything has come. */
  #arrived = false;
  #doubt: ReturnType<typeof setTimeout> | undefined;

  constructor(runs: Runs, source: string) {
    this.#runs = runs;
    this.#source = source;
  }

  /** Something works less well than it seems; told once for each code. */
  readonly warn = (code: string, message: string): void => {
    if (this.#warned.has(code)) return;
    this.#warned.add(code);
    // A server that sends something at once knows where to start without a word; only one that sends nothing is doubtful.
    if (code !== 'earliest-not-told') this.#tell(code, message);
    else this.#doubt = setTimeout(() => this.#arrived || this.#tell(code, message), doubtfulMs);
  };

  #tell(code: string, message: string): void {
    this.#runs.tell({ type: 'warning', source: this.#source, code, message });
    if (inDevelopment()) console.warn(`tidemark: ${code}: ${message}`);
  }

  /** @param place how far the feed is read with it */
  heard(item: FeedItem<unknown>, place: Offset | undefined): void {
    this.#arrived = true;
    const { upToDate, head } = item as FeedHeartbeat;
    if (upToDate !== undefined || head) this.progress({ head, upToDate, place });
  }

  end(): void {
    clearTimeout(this.#doubt);
  }

  /** A handler was aborted, and has not ended in time. */
  letGo(timeoutMs: number): void {
    this.warn(
      'handler-let-go',
      `a handler of ${quote(this.#source)} has not ended ${timeoutMs} ms after its signal was aborted: it is waited for no ` +
        'longer, and its event comes again. Have it heed the signal, or raise `closeTimeoutMs`',
    );
  }

  skipped(offset: Offset | undefined, error: unknown): void {
    this.#runs.tell({ type: 'skipped', source: this.#source, offset, error });
  }

  progress(told: Told): void {
    this.#runs.progress(this.#source, told);
  }
}

// Bundlers replace the expression as a whole; without one a browser has no `process`.
declare const process: { readonly env: { readonly NODE_ENV?: string } };

function inDevelopment(): boolean {
  try {
    return process.env.NODE_ENV !== 'production';
  } catch {
    return false;
  }
}
