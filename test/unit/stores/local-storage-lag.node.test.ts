import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Checkpoint, join } from '../../../src/checkpoint.ts';
import { Offset } from '../../../src/offset.ts';
import { LocalStorageOffsetStore } from '../../../src/stores/local-storage/store.ts';
import { mulberry32 } from '../../random.ts';

// Without Web Locks only what lives say themselves counts.
beforeEach(() => void vi.stubGlobal('navigator', undefined));
afterEach(() => void vi.unstubAllGlobals());

test('no commit is ever lost while tabs in processes of their own see each other late, come, go and fold', async () => {
  for (let seed = 1; seed <= 100; seed++) {
    const { lost, keys } = await run(seed);
    expect({ seed, lost }).toEqual({ seed, lost: [] });
    expect(keys).toBeLessThan(40);
  }
});

test('the model can tell: a key that all tabs raise loses commits', async () => {
  let lost = 0;
  for (let seed = 1; seed <= 20; seed++) lost += (await run(seed, 'shared')).lost.length;
  expect(lost).toBeGreaterThan(0);
});

test('a tab finds what it wrote, also where the list of lives of another tab has taken the place of its own', async () => {
  const { browser, stores } = twoTabs();
  const [first, second] = stores;
  await first.commit(oneOf('mine', 1));
  await second.commit(oneOf('theirs', 1));
  browser.pass(Infinity);
  expect((await first.get('mine'))?.rank).toBe(1);
  expect((await second.get('theirs'))?.rank).toBe(1);
  await Promise.all(stores.map((store) => store.close()));
});

test('what another tab tells counts, also where both have made the list of lives at once', async () => {
  const { stores } = twoTabs();
  const [first, second] = stores;
  const heard: number[] = [];
  first.subscribe((change) => {
    if (change.type === 'commit') heard.push(change.batch.get('orders')?.rank ?? 0);
  });
  await first.commit(oneOf('orders', 1));
  await second.commit(oneOf('orders', 5));
  await expect.poll(() => heard).toEqual([5]);
  expect((await first.get('orders'))?.rank).toBe(5);
  await Promise.all(stores.map((store) => store.close()));
});

test('a commit under way writes nothing to a life that ends meanwhile, whenever that is', async () => {
  const writes: string[] = [];
  const kept = new Map<string, string>();
  const storage = {
    get length() {
      return kept.size;
    },
    key: (index: number) => [...kept.keys()][index] ?? null,
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => {
      kept.set(key, value);
      if (key.endsWith('/"orders"')) writes.push(key);
    },
    removeItem: (key: string) => void kept.delete(key),
  };
  const store = new LocalStorageOffsetStore({ storage });
  for (let turns = 0; turns < 12; turns++) {
    await store.commit(oneOf('orders', 2 * turns + 1));
    const life = writes.at(-1);
    const commit = store.commit(oneOf('orders', 2 * turns + 2));
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    store.suspend();
    writes.length = 0;
    await commit;
    expect([turns, writes.includes(String(life))]).toEqual([turns, false]);
    expect((await store.get('orders'))?.rank).toBe(2 * turns + 2);
    store.wake();
  }
  await store.close();
});

/** Two tabs that start before anything is stored, and see nothing of each other until it is passed on. */
function twoTabs() {
  const browser = new Browser(mulberry32(1), undefined);
  const name = crypto.randomUUID();
  const open = (): LocalStorageOffsetStore => new LocalStorageOffsetStore({ name, storage: browser.start() });
  return { browser, stores: [open(), open()] as const };
}

function oneOf(source: string, rank: number): Map<string, Checkpoint> {
  return new Map([[source, { epoch: 0, rank, offset: Offset.sequence(rank), committedAt: rank }]]);
}

/**
 * Some tabs of a browser commit to few sources, in an order by chance. Each is in a process of its own, which keeps a copy
 * of what is stored: writes go out and come in later, in the order in which they were made.
 * @param life the life that all keys name, in place of their own
 */
async function run(seed: number, life?: string) {
  const chance = mulberry32(seed);
  const below = (limit: number) => Math.floor(chance() * limit);
  const browser = new Browser(chance, life);
  const expected = new Map<string, Checkpoint>();
  const tabs: { process: Process; store: LocalStorageOffsetStore }[] = [];
  let rank = 0;
  const actions: (() => unknown)[] = [
    async () => {
      const tab = tabs[below(tabs.length)];
      if (!tab) return;
      const source = `source ${below(4)}`;
      const next = { epoch: 0, rank: ++rank, offset: Offset.sequence(rank), committedAt: rank };
      const saves = chance() < 0.2;
      if (saves) tab.store.commitOnHide(new Map([[source, next]]));
      else await tab.store.commit(new Map([[source, next]]));
      expected.set(source, join(expected.get(source), next, source));
    },
    () => {
      if (tabs.length >= 4) return;
      const process = browser.start();
      tabs.push({ process, store: new LocalStorageOffsetStore({ storage: process }) });
    },
    async () => {
      if (tabs.length < 2) return;
      const [tab] = tabs.splice(below(tabs.length), 1);
      if (chance() < 0.5) await tab?.store.close();
      else tab?.store.suspend();
    },
    () => {
      const tab = tabs[below(tabs.length)];
      tab?.store.suspend();
      tab?.store.wake();
    },
    async () => void (await tabs[below(tabs.length)]?.store.get(`source ${below(4)}`)),
    () => browser.pass(below(6)),
  ];
  const weights = [8, 2, 1, 1, 3, 6].flatMap((weight, index) => Array.from({ length: weight }, () => index));
  for (let step = 0; step < 120; step++) await actions[weights[below(weights.length)] ?? 0]?.();
  browser.pass(Infinity);
  const last = browser.start();
  const reader = new LocalStorageOffsetStore({ storage: last });
  const found = await reader.getAll();
  const lost = [...expected].filter(([source, { rank: wanted }]) => (found.get(source)?.rank ?? 0) < wanted);
  await Promise.all([reader, ...tabs.map(({ store }) => store)].map((store) => store.close()));
  return { lost: lost.map(([source]) => source), keys: last.length };
}

type Write = readonly [key: string, text: string | null];

class Browser {
  readonly stored = new Map<string, string>();
  readonly #processes: Process[] = [];
  readonly #chance: () => number;
  readonly #life: string | undefined;

  constructor(chance: () => number, life: string | undefined) {
    this.#chance = chance;
    this.#life = life;
  }

  start(): Process {
    const process = new Process(this.stored, this.#life);
    this.#processes.push(process);
    return process;
  }

  /** Passes some writes on; all where there is no end to it. */
  pass(count: number): void {
    for (let i = 0; i < count; i++) {
      const waiting = this.#processes.flatMap((process) => [
        ...(process.sent.length > 0 ? [() => this.#receive(process)] : []),
        ...(process.coming.length > 0 ? [() => process.take()] : []),
      ]);
      if (waiting.length === 0) return;
      waiting[Math.floor(this.#chance() * waiting.length)]?.();
    }
  }

  #receive(from: Process): void {
    const write = from.sent.shift();
    if (!write) return;
    apply(this.stored, write);
    for (const process of this.#processes) if (process !== from) process.coming.push(write);
  }
}

class Process {
  readonly sent: Write[] = [];
  readonly coming: Write[] = [];
  readonly #copy: Map<string, string>;
  readonly #life: string | undefined;
  #keys: readonly string[] = [];

  constructor(stored: ReadonlyMap<string, string>, life: string | undefined) {
    this.#copy = new Map(stored);
    this.#life = life;
  }

  get length(): number {
    return this.#copy.size;
  }

  key(index: number): string | null {
    if (index === 0) this.#keys = [...this.#copy.keys()];
    return this.#keys[index] ?? null;
  }

  getItem(key: string): string | null {
    return this.#copy.get(this.#named(key)) ?? null;
  }

  setItem(key: string, text: string): void {
    this.#write([this.#named(key), text]);
  }

  removeItem(key: string): void {
    this.#write([this.#named(key), null]);
  }

  /** Takes in what another process wrote, unless a write of its own, which will arrive later, is on its way. */
  take(): void {
    const write = this.coming.shift();
    if (write && !this.sent.some(([key]) => key === write[0])) apply(this.#copy, write);
  }

  #named(key: string): string {
    return this.#life === undefined ? key : key.replace(/\/\d+-\d+-\d+-\d+\//, `/${this.#life}/`);
  }

  #write(write: Write): void {
    apply(this.#copy, write);
    this.sent.push(write);
  }
}

function apply(stored: Map<string, string>, [key, text]: Write): void {
  if (text === null) stored.delete(key);
  else stored.set(key, text);
}
