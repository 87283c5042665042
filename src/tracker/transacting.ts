import type { Change, Checkpoint, CompareCustom } from '../checkpoint.ts';
import { compareCustoms } from '../checkpoint.ts';
import { UnsupportedError, quote } from '../errors.ts';
import { type Offset, equals, order } from '../offset.ts';
import type { ChangeResult, OffsetStore } from '../store.ts';
import type { TransactOutcome } from './transact-types.ts';

/** What a reading of a source has in hand for one transaction. */
export interface Step {
  /** The offsets that the effect covers, in the order of the feed; the last is stored. */
  readonly offsets: readonly Offset[];
  /** Makes what the store's `transact` takes after the change, for the offsets from this index on. */
  readonly effect: (from: number) => readonly unknown[];
  /**
   * Whether what is stored already may be left out, and the rest applied. Else the effect covers all that the reading has
   * not transacted yet, and is not applied where somebody else has applied a part of it.
   */
  readonly divisible: boolean;
}

/** A reading, as what applies steps sees it. */
export interface Applies {
  apply(step: Step): Promise<TransactOutcome>;
}

type Transact = (source: string, change: Change, ...effect: readonly unknown[]) => Promise<ChangeResult>;

/**
 * How a store applies effects.
 * @throws UnsupportedError where it cannot, or where nothing tells how often an opaque offset was applied
 */
export function transactOf(store: OffsetStore, source: string, offset: Offset, isFencing: boolean): Transact {
  // What it takes is its own; the reading's types hold callers to it.
  const transact = store.transact as Transact | undefined;
  if (typeof transact !== 'function') throw cannotTransact(store, source);
  if (offset.kind === 'custom' && !store.compare && !isFencing) {
    throw new UnsupportedError(
      `${quote(source)}: the order of opaque offsets like ${quote(offset.value)} is known only while one reading writes: read ` +
        'with { fence: true } or exclusively, or give the store a compare',
      { source },
    );
  }
  return transact.bind(store);
}

/** The error of a store that cannot store an effect and an offset together. */
export function cannotTransact(store: OffsetStore, source: string): UnsupportedError {
  return new UnsupportedError(
    `${quote(source)}: ${Object(store).constructor?.name ?? 'the store'} cannot store effects with offsets: use IndexedDBOffsetStore ` +
      'with a db of your own, SqliteOffsetStore, PostgresOffsetStore, D1OffsetStore, DurableObjectOffsetStore or ' +
      'InMemoryOffsetStore',
    { source },
  );
}

/** Whether an offset is at or before what is stored, as far as its own order tells; ranks tell nothing here. */
export function isCovered(
  offset: Offset,
  stored: Checkpoint | undefined,
  source: string,
  compare: CompareCustom | undefined,
): boolean {
  const at = stored?.offset;
  if (!at) return false;
  if (equals(offset, at)) return true;
  if (offset.kind !== 'custom' || at.kind !== 'custom') return order(offset, at) < 0;
  return compare !== undefined && compareCustoms(offset.value, at.value, source, compare) <= 0;
}
