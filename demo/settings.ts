export const stores = {
  indexeddb: { label: 'IndexedDB', hint: 'A reload, a crash and a killed browser lose nothing.' },
  localstorage: {
    label: 'localStorage',
    hint: 'A reload and a crashed tab lose nothing, a killed browser the last seconds.',
  },
  memory: {
    label: 'memory',
    hint: 'Forgets with the page: a reload begins at the first event, as EventSource does. Tabs do not share it.',
  },
} as const;

export const strategies = {
  auto: { label: 'auto', hint: 'Each event asks for a commit. A crash repeats the one or two in between.' },
  periodic: {
    label: '50 or 1 s',
    hint: 'Commits after 50 events or 1 s, whichever comes first. A crash repeats those since.',
  },
  manual: {
    label: 'manual',
    hint: 'Only “Commit now” commits, and the page when it is left. A crash repeats the rest.',
  },
  once: {
    label: 'exactly once',
    hint: 'An event and its offset are one transaction of IndexedDB. A crash repeats nothing.',
  },
} as const;

export const rates = [0, 2, 20, 200] as const;

/** What the page's address says, so that a reload and another tab do the same. */
export interface Settings {
  readonly feed: string;
  readonly store: keyof typeof stores;
  readonly strategy: keyof typeof strategies;
  /** Events a second of a feed that does not exist yet; undefined: as the server likes. */
  readonly rate: string | undefined;
}

export function settingsOf(search: string): Settings {
  const query = new URLSearchParams(search);
  const feed = query.get('feed') ?? '';
  const strategy = oneOf(strategies, query.get('strategy'), 'auto');
  // Without Web Locks (plain http) nobody can be the only reader, which an opaque offset takes.
  const isPossible = strategy !== 'once' || navigator.locks !== undefined;
  return {
    feed: /^[\w-]{1,64}$/.test(feed) ? feed : ownFeed(),
    // Only IndexedDB has the data and the offset in one transaction.
    store: strategy === 'once' ? 'indexeddb' : oneOf(stores, query.get('store'), 'indexeddb'),
    strategy: isPossible ? strategy : 'auto',
    rate: query.get('rate') ?? undefined,
  };
}

/** The page's address with other settings. */
export function addressOf(settings: Partial<Record<keyof Settings, string>>): string {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(settings)) url.searchParams.set(name, value);
  return url.href;
}

/** A feed that nobody else has read or disturbed. */
export function newFeed(): string {
  const feed = `demo-${Math.random().toString(36).slice(2, 8)}`;
  try {
    localStorage.setItem(feedKey, feed);
  } catch {
    // Storage is refused: the feed is as long as the address says so.
  }
  return feed;
}

const feedKey = 'tidemark-demo-feed';

/** The feed of this browser. */
function ownFeed(): string {
  try {
    return localStorage.getItem(feedKey) ?? newFeed();
  } catch {
    return newFeed();
  }
}

function oneOf<T extends object>(choices: T, value: string | null, otherwise: keyof T): keyof T {
  return value !== null && Object.hasOwn(choices, value) ? (value as keyof T) : otherwise;
}
