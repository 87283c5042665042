/** What is to be done at the turns in a page's life. */
interface PageHandlers {
  /** The page may never be seen again, but has time for a commit. */
  hide(): void;
  /** It leaves or freezes, and has no time. */
  leave(): void;
  /** It is back as it was. */
  restore(): void;
}

/**
 * Follows the turns in a page's life. Neither `unload` nor `beforeunload`: both keep a page out of the back/forward
 * cache, and phones do not fire them. @returns a function that ends it
 */
export function watchPage({ hide, leave, restore }: PageHandlers): () => void {
  if (!globalThis.document) return () => {};
  const watching = new AbortController();
  const on = (turn: string, listener: (event: Event) => void): void =>
    // Those that are fired at the document reach the window while they are captured.
    addEventListener(turn, listener, { capture: true, signal: watching.signal });
  on('visibilitychange', () => document.hidden && hide());
  on('pagehide', leave);
  on('freeze', leave);
  on('pageshow', (event) => (event as PageTransitionEvent).persisted && restore());
  on('resume', restore);
  return () => watching.abort();
}
