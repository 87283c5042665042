import { isCheckpoint } from '../checkpoint.ts';
import type { Batch, StoreChange } from '../store.ts';

/** @param generation what the teller said of the state of the store that it wrote to */
type Listener = (change: StoreChange, generation?: string) => void;

/**
 * What tabs tell each other, one message a store write. 'leaving' is what a page saves as it goes away, which may not get
 * as far as the store.
 */
type Message =
  | { readonly type: 'commit'; readonly batch: Batch; readonly generation?: string | undefined }
  | { readonly type: 'clearAll' }
  | { readonly type: 'leaving'; readonly batch: Batch };

/**
 * Joins the tabs that share a store. Messages are hints; what counts stands in the store. Where there is no
 * BroadcastChannel nothing is told.
 */
export class TabChannel {
  /** Messages that were ignored because they are not of this format. */
  malformedMessages = 0;
  readonly #name: string;
  readonly #commit: (batch: Batch) => Promise<Batch>;
  readonly #listeners = new Set<Listener>();
  #channel: BroadcastChannel | undefined;
  #failure: Error | undefined;

  /**
   * @param storeId tells stores apart that do not share their checkpoints
   * @param commit writes what a page that is leaving may not have written
   */
  constructor(storeId: string, commit: (batch: Batch) => Promise<Batch>) {
    this.#commit = commit;
    // The 1 is the version of the message format: another format is another channel.
    this.#name = `tidemark/1/${storeId}`;
  }

  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    this.wake();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.suspend();
    };
  }

  /** Tells the other tabs; never throws, because what is told has already happened. */
  post(message: Message): void {
    try {
      // A channel that nobody listens to is closed at once: it would keep its page out of the back/forward cache.
      const channel = this.#channel ?? new BroadcastChannel(this.#name);
      channel.postMessage(message);
      if (channel !== this.#channel) channel.close();
    } catch {
      // No BroadcastChannel here, or the page is being torn down.
    }
  }

  /** Tells this tab's listeners, once each, that the store has failed or, without an error, that it works again. */
  health(error?: Error): void {
    if (!!this.#failure === !!error || this.#listeners.size === 0) return;
    this.#failure = error;
    this.#tell({ type: 'health', error });
  }

  suspend(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }

  wake(): void {
    if (this.#channel || this.#listeners.size === 0) return;
    try {
      this.#channel = new BroadcastChannel(this.#name);
    } catch {
      return;
    }
    this.#channel.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (!isMessage(data)) this.malformedMessages++;
      else if (data.type === 'clearAll') this.#tell({ type: 'clearAll' });
      else if (data.type === 'commit') this.#tell({ type: 'commit', batch: data.batch }, data.generation);
      else
        this.#commit(data.batch).then(
          (batch) => this.#tell({ type: 'commit', batch }),
          () => {},
        );
    };
    // In Node and Deno an open channel keeps the process alive.
    (this.#channel as { unref?(): void }).unref?.();
  }

  close(): void {
    this.#listeners.clear();
    this.suspend();
  }

  #tell(change: StoreChange, generation?: string): void {
    for (const listener of this.#listeners) listener(change, generation);
  }
}

// Any script of the origin, also an older version of this one, can post here.
function isMessage(data: unknown): data is Message {
  const { type, batch, generation } = Object(data) as Partial<Record<'type' | 'batch' | 'generation', unknown>>;
  if (type === 'clearAll') return true;
  return (
    (type === 'commit' || type === 'leaving') &&
    (generation === undefined || typeof generation === 'string') &&
    batch instanceof Map &&
    [...batch].every(([source, checkpoint]) => typeof source === 'string' && isCheckpoint(checkpoint))
  );
}
