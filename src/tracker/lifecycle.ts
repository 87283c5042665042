/**
 * The turns in the life of a page:
 * - 'hidden': it may never be seen again; there is still time for a normal commit;
 * - 'leaving': it goes away or freezes, and only what is started synchronously has a chance;
 * - 'cached', 'restored': it enters or has left the back/forward cache;
 * - 'back': others may have moved on without it.
 */
export type PageTurn = 'hidden' | 'leaving' | 'cached' | 'restored' | 'back';

/**
 * Tells of a page's turns. Neither `unload` nor `beforeunload`: both keep a page out of the back/forward cache, and
 * phones do not fire them. @returns a function that ends it
 */
export function watchPage(tell: (turn: PageTurn) => void): () => void {
  if (typeof document === 'undefined') return () => {};
  const watching = new AbortController();
  const on = (target: EventTarget, type: string, turns: (event: Event) => readonly (PageTurn | false)[]): void =>
    target.addEventListener(type, (event) => turns(event).forEach((turn) => turn && tell(turn)), {
      signal: watching.signal,
    });
  on(document, 'visibilitychange', () => [document.visibilityState === 'hidden' && 'hidden']);
  on(document, 'freeze', () => ['leaving']);
  on(document, 'resume', () => ['back']);
  on(globalThis, 'pagehide', () => ['leaving', 'cached']);
  on(globalThis, 'pageshow', (event) => ((event as PageTransitionEvent).persisted ? ['restored', 'back'] : []));
  return () => watching.abort();
}
