/** One life of a tab: from its first write until it is suspended or gone, never to be taken up again. */
export interface Presence {
  /** New for every life. */
  readonly id: string;
  /** Resolves when other tabs can see that it lives, or where they have no means to. */
  readonly held: Promise<void>;
  end(): void;
}

/** Begins a life that is told by a held Web Lock, which the browser lets go of however the tab ends. */
export function beginLife(scope: string): Presence {
  const id = newId();
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => (end = resolve));
  const held = new Promise<void>((resolve) => {
    const hold = (): Promise<void> => {
      resolve();
      return ended;
    };
    // Refused, for instance in a sandboxed frame: it writes all the same.
    if (locks())
      locks()
        ?.request(lockName(scope, id), hold)
        .catch(() => resolve());
    else resolve();
  });
  return { id, held, end };
}

/** An id that nobody else has. */
export function newId(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join('-');
}

/** Whether a life has ended; undefined where there are no Web Locks to tell. */
export async function findEnded(scope: string): Promise<((id: string) => boolean) | undefined> {
  const state = await locks()?.query();
  if (!state) return undefined;
  const living = new Set(state.held?.map(({ name }) => name));
  return (id) => !living.has(lockName(scope, id));
}

function lockName(scope: string, id: string): string {
  return `${scope}presence/${id}`;
}

// Only secure contexts have Web Locks, whatever the types say.
function locks(): LockManager | undefined {
  return globalThis.navigator?.locks;
}
