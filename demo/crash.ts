/** How long a hang takes, in ms: longer than another tab waits before it takes over. */
const hangMs = 12_000;

let isCrashing = false;

/** To be called before anything else listens. */
export function prepareToCrash(): void {
  for (const type of ['visibilitychange', 'pagehide', 'beforeunload', 'freeze']) {
    addEventListener(type, (event) => isCrashing && event.stopImmediatePropagation(), { capture: true });
  }
}

/** Ends the page as a crash does: nothing in it is told, so nothing is committed on the way out. Then it is loaded again. */
export function crash(): void {
  isCrashing = true;
  location.reload();
}

/** Does nothing but keep the page from doing anything. */
export function hang(): void {
  const end = performance.now() + hangMs;
  while (performance.now() < end);
}
