import type { Checkpoint } from '../../src/index.ts';
import { type Feed, claim } from './values.ts';

/** What somebody knows who sees everything: where each epoch began, and what was processed in it. */
export class Ghost {
  readonly key: string;
  /** The place that each epoch began at, and the furthest that stood in it. */
  readonly #bases: ReadonlyMap<number, number>;
  readonly #held: ReadonlyMap<number, number>;
  readonly #processed: ReadonlySet<string>;

  constructor(
    bases: ReadonlyMap<number, number> = new Map([[0, 0]]),
    held: ReadonlyMap<number, number> = new Map(),
    processed: ReadonlySet<string> = new Set(),
  ) {
    this.#bases = bases;
    this.#held = held;
    this.#processed = processed;
    const [began, stood] = [bases, held].map((map) => [...map].map((each) => each.join(':')).sort());
    this.key = `${began}/${stood}/${[...processed].sort()}`;
  }

  processed(epoch: number, place: number): Ghost {
    const key = `${epoch}:${place}`;
    return this.#processed.has(key) ? this : new Ghost(this.#bases, this.#held, new Set(this.#processed).add(key));
  }

  /** Whether a place, or one beyond it, has ever stood in an epoch. */
  hasHeld(epoch: number, place: number): boolean {
    return (this.#held.get(epoch) ?? (epoch === 0 ? 0 : -1)) >= place;
  }

  /** Up to where all has been processed in an epoch; undefined: no such epoch has begun. */
  watermark(epoch: number): number | undefined {
    let place = this.#bases.get(epoch);
    if (place === undefined) return undefined;
    while (this.#processed.has(`${epoch}:${place + 1}`)) place++;
    return place;
  }

  /** How many epochs have begun after one, up to another. */
  epochsBetween(after: number, upTo: number): number {
    return [...this.#bases.keys()].filter((epoch) => epoch > after && epoch <= upTo).length;
  }

  /** A checkpoint is written: it has to be of an epoch that has begun, or begin it, and processed in it. */
  written(checkpoint: Checkpoint, feed: Feed): Ghost {
    const { epoch, rank, offset } = checkpoint;
    const place = feed.place(offset);
    const known = this.watermark(epoch);
    if (known !== undefined) {
      claim(place <= known, `what is committed was processed in its epoch: ${place} in ${epoch}`);
      if (this.hasHeld(epoch, place)) return this;
      return new Ghost(this.#bases, new Map(this.#held).set(epoch, place), this.#processed);
    }
    if (isFence(epoch)) {
      const before = [...this.#bases.keys()].filter((each) => each < epoch);
      const reached = Math.max(0, ...before.map((each) => this.watermark(each) ?? 0));
      claim(place <= reached, `a fence begins where the source stands, not at ${place}`);
    } else claim(rank === 0 && place <= 1, `epoch ${epoch} begins where it was reset to, not at ${place}`);
    return new Ghost(new Map(this.#bases).set(epoch, place), new Map(this.#held).set(epoch, place), this.#processed);
  }
}

/** As the design says, and not as the code does: the highest of an epoch's 20 bits is set by a reset. */
export function isFence(epoch: number): boolean {
  return Math.floor(epoch / 2 ** 19) % 2 === 0;
}
