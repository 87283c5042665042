export const stores = {
  indexeddb: { label: 'IndexedDB', hint: 'A reload, a crash and a killed browser lose nothing.' },
  localstorage: {
    label: 'localStorage',
    hint: 'A reload and a crashed tab lose nothing, a killed browser the last seconds.',
  },
  memory: { label: 'memory', hint: 'Forgets with the page: after a reload it begins at the earliest event.' },
} as const;

export const strategies = {
  auto: { label: 'auto', hint: 'Every record asks for a commit.', strategy: 'auto' },
  periodic: {
    label: '50 or 1 s',
    hint: 'After 50 records or 1 s, whichever comes first. A crash repeats those since.',
    strategy: { every: 50, intervalMs: 1000 },
  },
  manual: { label: 'manual', hint: 'Only “Commit now” commits, and the page when it is left.', strategy: 'manual' },
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
  return {
    feed: /^[\w-]{1,64}$/.test(feed) ? feed : 'demo',
    store: oneOf(stores, query.get('store'), 'indexeddb'),
    strategy: oneOf(strategies, query.get('strategy'), 'auto'),
    rate: query.get('rate') ?? undefined,
  };
}

/** The page's address with other settings. */
export function addressOf(settings: Partial<Record<keyof Settings, string>>): string {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(settings)) url.searchParams.set(name, value);
  return url.href;
}

function oneOf<T extends object>(choices: T, value: string | null, otherwise: keyof T): keyof T {
  return value !== null && Object.hasOwn(choices, value) ? (value as keyof T) : otherwise;
}
