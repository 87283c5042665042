import { setTimeout as sleep } from 'node:timers/promises';
import type { ChaosReport, Place } from './page/chaos.ts';

/** How long the observer rests between two looks into the store, in ms. */
const pauseMs = 30;

/** What the tabs of one feed reported, and what of it must not be. */
export class Ledger {
  events = 0;
  takeovers = 0;
  looks = 0;
  /** Where the observer last found the checkpoint. */
  stored: Place = { epoch: -1, n: -1 };
  /** The tab that processed the last event. */
  reader = '';
  readonly wrongs: string[] = [];
  readonly #feed: string;
  /** By the tabs that are stalled: what resolves once their page is gone. */
  readonly #stalled = new Map<string, PromiseWithEnd>();
  /** By epoch. */
  readonly #processed = new Map<number, Set<number>>();
  /** Epochs that a reset began; the others are those of tabs that took over. */
  readonly #resets = new Set<number>();
  /** The furthest that a tab was told is committed; and what of this was known before the observer's next look began. */
  #claimed: Place = { epoch: -1, n: -1 };
  #due = this.#claimed;
  #generation: string | undefined;

  constructor(feed: string) {
    this.#feed = feed;
  }

  wrong(text: string): void {
    if (this.wrongs.length < 20) this.wrongs.push(text);
  }

  /** The tab never gets done with what it processes now, if it is the one that reads. */
  stall(name: string): void {
    if (this.reader.startsWith(`${name}/`)) this.#stalled.set(this.reader, promiseWithEnd());
  }

  /** The tab's page is gone. Firefox keeps the requests of a page that crashed, of which it has but six at once. */
  release(name: string): void {
    for (const [tab, gone] of this.#stalled) if (tab.startsWith(`${name}/`)) gone.end();
  }

  /** The observer's reports are answered when it is to look again. */
  take(report: ChaosReport): Promise<void> | undefined {
    if (report.feed !== this.#feed) return undefined;
    const stalled = report.type === 'processed' && this.#stalled.get(report.tab);
    if (stalled) return stalled.promise;
    switch (report.type) {
      case 'processed':
        this.#process(report);
        break;
      case 'committed':
        if (isBelow(this.#claimed, report)) this.#claimed = report;
        break;
      case 'reset':
        this.#resets.add(report.epoch);
        break;
      case 'stored':
        return this.#see(report);
      case 'failed':
        this.wrong(`${report.tab} ended with ${report.error}`);
    }
    return undefined;
  }

  #process({ tab, epoch, n, generation }: Extract<ChaosReport, { type: 'processed' }>): void {
    this.#generation ??= generation;
    if (generation !== this.#generation) this.wrong(`${tab} read generation ${generation}, not ${this.#generation}`);
    const processed = this.#processed.get(epoch) ?? new Set();
    this.#processed.set(epoch, processed);
    this.events++;
    processed.add(n);
    if (tab !== this.reader && this.reader !== '') this.takeovers++;
    this.reader = tab;
  }

  async #see({ epoch, n }: Place): Promise<void> {
    const [before, found] = [this.stored, { epoch, n }];
    this.looks++;
    if (isBelow(found, before)) this.wrong(`${spell(found)} is stored after ${spell(before)}`);
    if (isBelow(found, this.#due)) this.wrong(`${spell(this.#due)} was committed, ${spell(found)} is stored`);
    this.stored = found;
    await sleep(pauseMs);
    this.#due = this.#claimed;
  }

  /** All that was wrong, once everything up to `head` has been processed and committed. */
  verdict(head: number): string[] {
    const { stored, wrongs } = this;
    const { epoch: last = -1, n } = stored;
    if (n !== head) this.wrong(`${spell(stored)} is stored at the end, where the feed's last is ${head}`);
    if (isBelow(stored, this.#claimed)) this.wrong(`${spell(this.#claimed)} was committed, not ${spell(stored)}`);
    const lives = this.#lives();
    for (const [begun, processed] of lives) {
      // All resets are to the earliest, so that each life begins at 0.
      const end = begun === this.#beginOf(last) ? head : Math.max(...processed);
      const skipped = Array.from({ length: end + 1 }, (_, i) => i).filter((i) => !processed.has(i));
      if (skipped.length)
        this.wrong(`${skipped.length} skipped from epoch ${begun} on of 0 to ${end}: ${spans(skipped)}`);
    }
    for (const epoch of this.#processed.keys()) {
      if (epoch > last) this.wrong(`processed in epoch ${epoch}, though ${last} is the last`);
    }
    if (!lives.has(this.#beginOf(last))) this.wrong(`nothing was processed since the reset before epoch ${last}`);
    return wrongs;
  }

  /** How many events were processed again between two resets. */
  get repeats(): number {
    let distinct = 0;
    for (const processed of this.#lives().values()) distinct += processed.size;
    return this.events - distinct;
  }

  /** What was processed between two resets, whichever tabs did it, by the epoch that the first of them began. */
  #lives(): Map<number, Set<number>> {
    const lives = new Map<number, Set<number>>();
    for (const [epoch, processed] of this.#processed) {
      const begun = this.#beginOf(epoch);
      lives.set(begun, new Set([...(lives.get(begun) ?? []), ...processed]));
    }
    return lives;
  }

  /** The last reset up to an epoch; 0: none. */
  #beginOf(epoch: number): number {
    return Math.max(0, ...[...this.#resets].filter((reset) => reset <= epoch));
  }
}

interface PromiseWithEnd {
  readonly promise: Promise<void>;
  end(): void;
}

function promiseWithEnd(): PromiseWithEnd {
  let end = (): void => {};
  const promise = new Promise<void>((resolve) => (end = resolve));
  return { promise, end };
}

function isBelow(a: Place, b: Place): boolean {
  return a.epoch === b.epoch ? a.n < b.n : a.epoch < b.epoch;
}

function spell({ epoch, n }: Place): string {
  return `${n} in epoch ${epoch}`;
}

function spans(numbers: readonly number[]): string {
  const starts = numbers.filter((n, i) => n - 1 !== numbers[i - 1]);
  const ends = numbers.filter((n, i) => n + 1 !== numbers[i + 1]);
  return starts.map((start, i) => `${start}–${ends[i]}`).join(', ');
}
