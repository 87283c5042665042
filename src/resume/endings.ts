/** Loops that were aborted and have not ended, by tracker and source. */
const all = /* @__PURE__ */ new WeakMap<object, Map<string, Set<Promise<void>>>>();

/** Has the next loop of a source wait for the end of one that was aborted. @returns a function that says that it has ended */
export function awaitEnd(tracker: object, source: string, timeoutMs: number): () => void {
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, timeoutMs);
    if (typeof timer === 'object') timer.unref();
    end = () => {
      clearTimeout(timer);
      resolve();
    };
  });
  const sources = all.get(tracker) ?? new Map<string, Set<Promise<void>>>();
  all.set(tracker, sources);
  const loops = sources.get(source) ?? new Set();
  sources.set(source, loops);
  loops.add(ended);
  return () => {
    end();
    loops.delete(ended);
    if (loops.size === 0 && sources.get(source) === loops) sources.delete(source);
  };
}

/** Resolves when all loops of a source that were aborted have ended; undefined where there are none. */
export function formerLoops(tracker: object, source: string): Promise<unknown> | undefined {
  const loops = all.get(tracker)?.get(source);
  return loops && Promise.all(loops);
}
