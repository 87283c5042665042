/*
 * The real LocalStorageOffsetStore in some tabs, over a model of localStorage: what a tab writes is stored at once, and seen by
 * another tab some time later, in the order in which it was written. Within the two seconds after which a tab folds what a
 * crashed one has left, all has arrived. Web Locks tell of a crash at once. No message of another tab comes.
 *
 * Every order of the tabs' operations and of what arrives is gone through, each from the start. What was committed, or saved by
 * a page as it went away, has to stand for whoever sees all keys, whatever is folded.
 */
import { type Checkpoint, join } from '../../src/index.ts';
import { decode } from '../../src/codec.ts';
import { LocalStorageOffsetStore } from '../../src/stores/local-storage/store.ts';
import { Found } from './explore.ts';
import { Platform } from './platform.ts';
import { Violation, claim, numberedFeed, source } from './values.ts';

type Deed = 'commit' | 'repeat' | 'get' | 'hide' | 'wake' | 'crash' | 'close' | 'later';

/** What all programs are made of; 'repeat', which commits the first place once more, is part of one of them alone. */
const deeds: readonly Deed[] = ['commit', 'get', 'hide', 'wake', 'crash', 'close', 'later'];
/** When a run begins: a tab that says that it lived at 0 says that it has ended. */
const startMs = 1_000_000;
const laterMs = 2100;

/** The keys of an origin, and who holds which lock. */
class Origin {
  readonly stored = new Map<string, string>();
  readonly held = new Set<string>();
  readonly tabs: StoreTab[] = [];
  /** How far anything was ever committed or saved. */
  reached = 0;
  wrong: string | undefined;

  write(by: StoreTab, key: string, value: string | undefined): void {
    set(this.stored, key, value);
    set(by.seen, key, value);
    for (const tab of this.tabs) if (tab !== by) tab.coming.push([key, value]);
  }

  check(): void {
    claim(this.wrong === undefined, this.wrong ?? '');
    let stands: Checkpoint | undefined;
    for (const [key, text] of this.stored) {
      if (key.endsWith(`/${JSON.stringify(source)}`)) stands = join(stands, decode(text, source, key), source);
    }
    const place = numberedFeed.place(stands?.offset);
    claim(place >= this.reached, `nothing is lost: ${this.reached} was committed, ${place} stands`);
  }
}

/** A tab with a store of its own. */
class StoreTab {
  seen: Map<string, string>;
  readonly coming: [key: string, value: string | undefined][] = [];
  readonly #origin: Origin;
  readonly #index: number;
  #life = 0;
  #platform: Platform;
  #store: LocalStorageOffsetStore;
  #locks = new Set<string>();
  #place = 0;
  #isOpen = true;
  #isAway = false;

  constructor(origin: Origin, index: number) {
    this.#origin = origin;
    this.#index = index;
    this.seen = new Map(origin.stored);
    this.#platform = this.#own(startMs);
    this.#store = this.#open();
  }

  can(deed: Deed): boolean {
    if (deed === 'later' || deed === 'crash') return true;
    return this.#isOpen && (deed === 'wake') === this.#isAway;
  }

  arrive(): void {
    for (const [key, value] of this.coming.splice(0)) set(this.seen, key, value);
  }

  pass(): void {
    this.#platform.clock += laterMs;
  }

  async run(deed: Deed): Promise<void> {
    await this.#platform.run(() => this.#do(deed));
  }

  #do(deed: Deed): void {
    const place = this.#place + 1;
    const at = (rank: number): Checkpoint => ({
      epoch: 0,
      rank,
      offset: numberedFeed.offset(rank),
      committedAt: 0,
    });
    const checkpoint = at(place);
    const store = this.#store;
    switch (deed) {
      case 'commit':
        void store.commit(new Map([[source, checkpoint]])).then((stands) => this.#saw(stands.get(source), place));
        return;
      case 'repeat':
        void store.commit(new Map([[source, at(1)]])).then((stands) => this.#saw(stands.get(source), this.#place));
        return;
      case 'get':
        void store.get(source).then((stands) => this.#saw(stands, this.#place));
        return;
      case 'hide':
        store.commitOnHide(new Map([[source, checkpoint]]));
        this.#saw(checkpoint, place);
        store.suspend();
        this.#isAway = true;
        return;
      case 'wake':
        this.#isAway = false;
        return store.wake();
      case 'close':
        this.#isOpen = false;
        return void store.close();
      case 'crash':
        for (const lock of this.#locks) this.#origin.held.delete(lock);
        this.#locks = new Set();
        this.seen = new Map(this.#origin.stored);
        this.coming.length = 0;
        this.#life++;
        this.#place = 0;
        this.#isOpen = true;
        this.#isAway = false;
        this.#platform = this.#own(this.#platform.clock);
        this.#store = this.#open();
    }
  }

  #saw(stands: Checkpoint | undefined, least: number): void {
    const place = numberedFeed.place(stands?.offset);
    // Inside a promise nobody would hear of a throw.
    if (place < least) this.#origin.wrong ??= `a tab sees what it has written: ${least}, not ${place}`;
    this.#place = place;
    this.#origin.reached = Math.max(this.#origin.reached, place);
  }

  #open(): LocalStorageOffsetStore {
    const seen = (): Map<string, string> => this.seen;
    const storage = {
      get length() {
        return seen().size;
      },
      key: (index: number) => [...this.seen.keys()][index] ?? null,
      getItem: (key: string) => this.seen.get(key) ?? null,
      setItem: (key: string, value: string) => this.#origin.write(this, key, value),
      removeItem: (key: string) => this.#origin.write(this, key, undefined),
    };
    return new LocalStorageOffsetStore({ storage });
  }

  #own(clock: number): Platform {
    const { held } = this.#origin;
    const own = this.#locks;
    const request = async (name: string, hold: () => Promise<void>): Promise<void> => {
      held.add(name);
      own.add(name);
      await hold();
      held.delete(name);
    };
    const query = async (): Promise<{ held: { name: string }[] }> => ({ held: Array.from(held, (name) => ({ name })) });
    const platform = new Platform(this.#index * 4 + this.#life, {
      navigator: { locks: { request, query } },
      BroadcastChannel: undefined,
    });
    platform.clock = clock;
    return platform;
  }
}

function set(map: Map<string, string>, key: string, value: string | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

/** How many programs and orders were gone through. */
export interface Orders {
  programs: number;
  schedules: number;
}

/**
 * Goes through all orders of one program.
 * @throws Found
 */
async function orders(program: readonly (readonly Deed[])[]): Promise<number> {
  let schedules = 0;
  // Each choice is the index of a step among those that were possible; the last one is counted up until there is none left.
  const choices: { at: number; of: number }[] = [];
  for (;;) {
    await play(program, choices);
    schedules++;
    while (choices.at(-1)?.at === (choices.at(-1)?.of ?? 0) - 1) choices.pop();
    const last = choices.at(-1);
    if (!last) return schedules;
    last.at++;
  }
}

async function play(program: readonly (readonly Deed[])[], choices: { at: number; of: number }[]): Promise<void> {
  const origin = new Origin();
  for (const index of program.keys()) origin.tabs.push(new StoreTab(origin, index));
  const done = program.map(() => 0);
  const trail: string[] = [];
  for (let depth = 0; ; depth++) {
    const steps = origin.tabs.flatMap((tab, index) => {
      const deed = program[index]?.[done[index] ?? 0];
      return [
        ...(deed && tab.can(deed) ? [[index, deed] as const] : []),
        ...(deed && tab.coming.length > 0 ? [[index] as const] : []),
      ];
    });
    if (steps.length === 0) return;
    const choice = (choices[depth] ??= { at: 0, of: steps.length });
    const [index = 0, deed] = steps[choice.at] ?? [];
    const tab = origin.tabs[index];
    trail.push(`tab ${index}: ${deed ?? 'what others wrote arrives'}`);
    try {
      if (!tab || !deed) tab?.arrive();
      else await act(origin, tab, deed);
      origin.check();
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      throw new Found(
        `real localStorage store, ${program.map((each) => each.join(' ')).join(' | ')} (0): ${error.message}`,
        trail,
      );
    }
    if (deed) done[index] = (done[index] ?? 0) + 1;
  }
}

async function act(origin: Origin, tab: StoreTab, deed: Deed): Promise<void> {
  if (deed !== 'later') return tab.run(deed);
  for (const each of origin.tabs) {
    each.arrive();
    each.pass();
  }
}

/**
 * Goes through all programs of two tabs with so many operations.
 * @throws Found
 */
export async function allOrders(operations: number, until = Infinity): Promise<Orders> {
  const tally: Orders = { programs: 0, schedules: 0 };
  const first: (readonly Deed[])[][] = [
    [['commit', 'commit', 'repeat'], ['get']],
    [
      ['commit', 'commit', 'commit', 'crash'],
      ['get', 'commit'],
    ],
    [
      ['commit', 'commit', 'hide'],
      ['commit', 'commit'],
    ],
    [
      ['commit', 'crash', 'commit'],
      ['commit', 'later', 'commit', 'later', 'commit'],
    ],
  ];
  for (const program of [...first, ...pairs(operations)]) {
    if (performance.now() > until) break;
    tally.schedules += await orders(program);
    tally.programs++;
  }
  return tally;
}

function* pairs(operations: number): Generator<(readonly Deed[])[]> {
  for (let left = Math.ceil(operations / 2); left <= operations; left++) {
    for (const a of words(left)) for (const b of words(operations - left)) yield [a, b];
  }
}

function* words(length: number): Generator<readonly Deed[]> {
  if (length === 0) return yield [];
  for (const word of words(length - 1)) {
    const isAway = word.lastIndexOf('hide') > Math.max(word.lastIndexOf('wake'), word.lastIndexOf('crash'));
    const isClosed = word.lastIndexOf('close') > word.lastIndexOf('crash');
    for (const deed of deeds) {
      if (deed === 'later' || deed === 'crash' || (!isClosed && (deed === 'wake') === isAway)) yield [...word, deed];
    }
  }
}
