import { type Checkpoint, beginEpoch, compareCheckpoints, join } from '../checkpoint.ts';
import { StorageError, quote } from '../errors.ts';
import { type Offset, equals } from '../offset.ts';
import type { OffsetStore } from '../store.ts';
import type { Committer } from './committer.ts';
import type { Position } from './position.ts';
import type { Rules } from './rules.ts';

/** How often a reset tries to be the last, on a store that cannot begin an epoch by itself. */
const attempts = 50;

/**
 * Begins a new epoch of a source in a store, with no commit of this tracker under way, whose answer could not be told from
 * a reset by somebody else.
 */
async function beginIn(
  store: OffsetStore,
  source: string,
  committed: Checkpoint | undefined,
  at: { readonly offset?: Offset | undefined } | undefined,
  now: () => number,
): Promise<Checkpoint> {
  if (store.begin) return store.begin(source, at);
  for (let attempt = 0; attempt < attempts; attempt++) {
    const stored = await store.get(source);
    const known = stored && committed ? join(stored, committed, source, store.compare) : (stored ?? committed);
    const mine = beginEpoch(known, at, now());
    const stands = (await store.commit(new Map([[source, mine]]))).get(source);
    // Another of the same moment may have won: ours came later, so it goes on top.
    if (stands?.epoch === mine.epoch && stands.rank === mine.rank && equals(stands.offset, mine.offset)) return mine;
  }
  throw new StorageError(`${quote(source)} is being reset by others without end: try again`, {
    source,
    retryable: true,
  });
}

/** Asks the store in which epoch a source is, and begins new ones. */
export class Epochs {
  readonly #rules: Rules;
  readonly #committer: Committer;

  constructor(rules: Rules, committer: Committer) {
    this.#rules = rules;
    this.#committer = committer;
  }

  /** Asks for a source that is not known yet, once for all who wait. */
  start(position: Position): Promise<void> {
    position.starting ??= this.refresh(position).finally(() => {
      position.starting = undefined;
    });
    return position.starting;
  }

  /** Asks the store where a source is. */
  async refresh(position: Position): Promise<void> {
    const { store } = this.#rules;
    const { committed: before, life } = position;
    let stored: Checkpoint | undefined;
    try {
      stored = await store.get(position.source);
    } catch (error) {
      position.lastError = error;
      position.changed();
      throw error;
    }
    // What was asked before the source went over to another epoch may be of the time before.
    if (position.life !== life) return this.refresh(position);
    if (!position.known) return position.adopt(stored);
    if (stored) position.merge(stored, 'remote');
    // What a strong store no longer holds, though nothing moved since it was asked, was taken back: by clearAll elsewhere,
    // or with a transaction of the caller's that failed.
    if (store.capabilities.consistency !== 'strong' || !before || position.committed !== before) return;
    if (position.pending || (stored && compareCheckpoints(stored, before, position.source, store.compare) >= 0)) return;
    position.enter(stored, 'remote', 'reset');
  }

  /** Begins a new epoch where the source stands, with all that this tracker has recorded of it. @returns whether it stands */
  fence(position: Position): Promise<boolean> {
    const { store, now } = this.#rules;
    return this.#committer.alone(async () => {
      if (!position.known) await this.start(position);
      await this.#committer.writeNow(position);
      const begun = await beginIn(store, position.source, position.committed, undefined, now);
      if (begun.epoch > position.epoch) position.enter(begun, 'local');
      else position.merge(begun, 'local');
      return position.epoch === begun.epoch;
    });
  }

  /** Begins a new epoch somewhere else. @param renew goes on in it once no reset of this tracker's own is under way */
  async reset(position: Position, at: { readonly offset?: Offset | undefined }, renew: () => void): Promise<void> {
    const { store, now } = this.#rules;
    await this.#committer.alone(async () => {
      const begun = await beginIn(store, position.source, position.committed, at, now);
      // Somebody else's later epoch may have been found meanwhile, and this tracker has not asked where it begins.
      if (begun.epoch < position.epoch) return position.lose();
      if (begun.epoch > position.epoch) position.enter(begun, 'local');
      // Who resets a source goes on in its epoch, until somebody else resets it.
      position.renew = renew;
    });
  }
}
