/** What a tracker does as its page goes and comes. */
export interface PageHandlers {
  /** The page was hidden and may never be seen again; there is still time for a normal commit. */
  hide(): void;
  /** The page goes away or freezes: only what is started synchronously has a chance. */
  leave(): void;
  /** The page came back after others may have moved on without it. */
  back(): void;
  /** The page enters (true) or has left (false) the back/forward cache. */
  suspend(suspended: boolean): void;
}

/**
 * Calls the handlers as a page is hidden, frozen, left and shown again. Neither `unload` nor `beforeunload`: both keep a
 * page out of the back/forward cache, and phones do not fire them. @returns a function that ends it
 */
export function watchPage({ hide, leave, back, suspend }: PageHandlers): () => void {
  if (typeof document === 'undefined') return () => {};
  const watching = new AbortController();
  const on = (target: EventTarget, type: string, listener: (event: Event) => void): void =>
    target.addEventListener(type, listener, { signal: watching.signal });
  on(document, 'visibilitychange', () => {
    if (document.visibilityState === 'hidden') hide();
  });
  on(document, 'freeze', leave);
  on(document, 'resume', back);
  on(globalThis, 'pagehide', () => {
    leave();
    suspend(true);
  });
  on(globalThis, 'pageshow', (event) => {
    if (!(event as PageTransitionEvent).persisted) return;
    suspend(false);
    back();
  });
  return () => watching.abort();
}
