/** Listens for the network to be back. Only pages and their workers are told. @returns a function that ends it */
export function onOnline(listener: () => void): () => void {
  if (typeof globalThis.navigator?.onLine !== 'boolean' || typeof addEventListener !== 'function') return () => {};
  const listening = new AbortController();
  addEventListener('online', listener, { signal: listening.signal });
  return () => listening.abort();
}
