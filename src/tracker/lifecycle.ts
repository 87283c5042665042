const turns = ['visibilitychange', 'freeze', 'resume', 'pagehide', 'pageshow'];

/**
 * Tells of the turns in a page's life. Neither `unload` nor `beforeunload`: both keep a page out of the back/forward
 * cache, and phones do not fire them. @returns a function that ends it
 */
export function watchPage(listener: (event: Event) => void): () => void {
  if (typeof document === 'undefined') return () => {};
  const watching = new AbortController();
  // Those that are fired at the document reach the window while they are captured.
  for (const turn of turns) addEventListener(turn, listener, { capture: true, signal: watching.signal });
  return () => watching.abort();
}
