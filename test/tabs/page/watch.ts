import type { Checkpoint, Offset, OffsetStore, OffsetTracker } from 'tidemark';

interface Promised {
  readonly epoch: number;
  readonly value: bigint;
}

/** Watches what a tab sees of its sources, and notes what must not be: a step back, a promise that was broken. */
export class Watch {
  looks = 0;
  /** Commits of other tabs that were told of. */
  remote = 0;
  readonly wrongs: string[] = [];
  readonly #store: OffsetStore;
  readonly #tracker: OffsetTracker;
  readonly #stored = new Map<string, Checkpoint>();
  readonly #told = new Map<string, bigint>();
  readonly #promised = new Map<string, Promised>();

  constructor(store: OffsetStore, tracker: OffsetTracker) {
    this.#store = store;
    this.#tracker = tracker;
    tracker.subscribe(({ type, source = '', offset, origin, error }) => {
      if (type === 'error')
        this.wrong(`${source}: ${error}${error instanceof Error && error.cause ? ` (${error.cause})` : ''}`);
      if (type === 'reset') this.#told.delete(source);
      if (type !== 'committed') return;
      if (origin === 'remote') this.remote++;
      const [before, now] = [this.#told.get(source) ?? -1n, valueOf(offset)];
      if (now < before) this.wrong(`${source}: told of ${now} after ${before}`);
      this.#told.set(source, now);
    });
  }

  wrong(text: string): void {
    if (this.wrongs.length < 20) this.wrongs.push(text);
  }

  /** This tab was told that an offset is committed. */
  promise(source: string, offset: Offset): void {
    const { epoch } = this.#tracker.status(source);
    const before = this.#promised.get(source);
    const value = valueOf(offset);
    if (before?.epoch !== epoch || value > before.value) this.#promised.set(source, { epoch, value });
  }

  async look(source: string): Promise<void> {
    const promised = this.#promised.get(source);
    this.#see(source, await this.#store.get(source), promised);
  }

  async lookAtAll(): Promise<void> {
    const promised = new Map(this.#promised);
    const stored = await this.#store.getAll();
    for (const source of new Set([...stored.keys(), ...promised.keys()])) {
      this.#see(source, stored.get(source), promised.get(source));
    }
  }

  #see(source: string, found: Checkpoint | undefined, promised: Promised | undefined): void {
    this.looks++;
    const before = this.#stored.get(source);
    if (found) this.#stored.set(source, found);
    if (before && !found) this.wrong(`${source}: ${spell(before)}, then nothing`);
    if (before && found && isBelow(found, before)) this.wrong(`${source}: ${spell(found)} after ${spell(before)}`);
    // A reset makes a promise void, also one that this tab finds stored before it hears of it.
    const [value, epoch] = [valueOf(found?.offset), found?.epoch ?? -1];
    if (promised && (epoch < promised.epoch || (epoch === promised.epoch && value < promised.value))) {
      this.wrong(`${source}: ${promised.value} was committed, ${value} is stored`);
    }
  }
}

function isBelow(a: Checkpoint, b: Checkpoint): boolean {
  return a.epoch === b.epoch ? valueOf(a.offset) < valueOf(b.offset) : a.epoch < b.epoch;
}

function valueOf(offset: Offset | undefined): bigint {
  return offset?.kind === 'sequence' ? offset.value : -1n;
}

function spell({ epoch, offset }: Checkpoint): string {
  return `${valueOf(offset)} in epoch ${epoch}`;
}
