import { type Checkpoint, isFence, join } from '../checkpoint.ts';
import { quote } from '../errors.ts';
import { Position } from './position.ts';
import type { Rules } from './rules.ts';
import type { TrackerEvent } from './types.ts';

/** How many sources that nobody reads any more are remembered, so that their status can still be shown. */
const idleLimit = 256;

/** The sources that a tracker knows. One that nobody reads, and that has nothing pending, is let go in time. */
export class Positions {
  readonly #rules: Rules;
  readonly #all = new Map<string, Position>();
  /** Those that nobody reads, the longest idle first. */
  readonly #idle = new Set<Position>();
  /** The furthest heard of sources that nobody reads here: messages of several tabs may come in any order. */
  readonly #elsewhere = new Map<string, Checkpoint>();
  /** Those of the sources let go that are fenced until somebody reads them again: their names are all that is kept. */
  readonly #fenced = new Set<string>();

  constructor(rules: Rules) {
    this.#rules = rules;
  }

  get(source: string): Position | undefined {
    return this.#all.get(source);
  }

  all(): IterableIterator<Position> {
    return this.#all.values();
  }

  /** Whether a reading of the source was fenced from elsewhere, and nobody has read since. */
  isFenced(source: string): boolean {
    return this.#all.get(source)?.fenced ?? this.#fenced.has(source);
  }

  /** A source that somebody is about to read: it is kept until `leave`. */
  enter(source: string): Position {
    let position = this.#all.get(source);
    if (position === undefined) {
      if (typeof source !== 'string') throw new TypeError(`a source is a string, found ${quote(source)}`);
      position = new Position(source, this.#rules, this.#elsewhere.get(source));
      this.#elsewhere.delete(source);
      position.fenced = this.#fenced.delete(source);
      this.#all.set(source, position);
    }
    this.#idle.delete(position);
    position.pins++;
    return position;
  }

  leave(position: Position): void {
    position.pins--;
    this.release(position);
  }

  /** Another tab or process committed. What nobody reads here is told, and not kept. */
  heard(source: string, checkpoint: Checkpoint): void {
    const position = this.#all.get(source);
    const { listeners } = this.#rules;
    try {
      if (position) {
        position.merge(checkpoint, 'remote');
        return this.release(position);
      }
      const before = this.#elsewhere.get(source);
      if (join(before, checkpoint, source, this.#rules.store.compare) === before) return;
      this.#elsewhere.delete(source);
      this.#elsewhere.set(source, checkpoint);
      const [oldest] = this.#elsewhere.keys();
      if (this.#elsewhere.size > idleLimit && oldest !== undefined) this.#elsewhere.delete(oldest);
      const { rank, epoch, offset } = checkpoint;
      const begun = rank === 0 && epoch > 0 && !isFence(epoch);
      listeners.tell(begun ? (offset ? 'reset' : 'cleared') : 'committed', 'remote', source, offset);
    } catch (error) {
      listeners.tell('error', 'remote', source, checkpoint.offset, error);
    }
  }

  /** Everything was removed from the store. @param origin by whom: what this tracker removed it goes on in */
  forget(origin: TrackerEvent['origin']): void {
    this.#elsewhere.clear();
    if (origin === 'local') this.#fenced.clear();
  }

  /** The position may have become idle. */
  release(position: Position): void {
    if (!position.idle || this.#all.get(position.source) !== position) return;
    this.#idle.delete(position);
    this.#idle.add(position);
    const [longest] = this.#idle;
    if (this.#idle.size <= idleLimit || !longest) return;
    this.#idle.delete(longest);
    if (!longest.idle) return;
    this.#all.delete(longest.source);
    if (longest.fenced) this.#fenced.add(longest.source);
  }
}
