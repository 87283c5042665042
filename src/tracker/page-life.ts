import type { OffsetStore } from '../store.ts';
import type { Position } from './position.ts';
import type { Positions } from './positions.ts';

/** What a tracker does at the turns in a page's life. */
interface PageHandlers {
  /** The page may never be seen again, but has time for a commit. */
  hide(): void;
  /** It is back as it was: asks the store where a source is. */
  refresh(position: Position): Promise<void>;
}

/**
 * Follows the turns in a page's life. Neither `unload` nor `beforeunload`: both keep a page out of the back/forward
 * cache, and phones do not fire them.
 */
export class PageLife {
  /** The page leaves, is frozen or in the cache: nothing that takes time ends. */
  away = false;
  readonly #store: OffsetStore;
  readonly #positions: Positions;
  readonly #handlers: PageHandlers;

  constructor(store: OffsetStore, positions: Positions, handlers: PageHandlers) {
    this.#store = store;
    this.#positions = positions;
    this.#handlers = handlers;
  }

  /** @returns a function that ends it */
  watch(): () => void {
    if (!globalThis.document) return () => {};
    const watching = new AbortController();
    const on = (turn: string, listener: (event: Event) => void): void =>
      // Those that are fired at the document reach the window while they are captured.
      addEventListener(turn, listener, { capture: true, signal: watching.signal });
    on('visibilitychange', () => document.hidden && this.#handlers.hide());
    on('pagehide', () => this.#leave());
    on('freeze', () => this.#leave());
    on('pageshow', (event) => (event as PageTransitionEvent).persisted && this.#restore());
    on('resume', () => this.#restore());
    return () => watching.abort();
  }

  /** Saves what is pending in a way that survives the page. */
  save(positions: readonly Position[]): void {
    if (positions.length === 0) return;
    this.#store.commitOnHide?.(new Map(positions.map((position) => [position.source, position.checkpoint()])));
  }

  #leave(): void {
    this.away = true;
    this.save([...this.#positions.all()].filter(({ pending }) => pending));
    this.#store.suspend?.();
  }

  #restore(): void {
    this.away = false;
    this.#store.wake?.();
    for (const position of this.#positions.all()) {
      this.#handlers.refresh(position).catch((error: unknown) => position.tell('error', 'local', error));
    }
  }
}
