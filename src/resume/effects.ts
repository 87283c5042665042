import { type OffsetError, UnsupportedError, quote } from '../errors.ts';
import { type FeedEvent, isHeartbeat } from '../feeds/feed.ts';
import { type Offset, isConcrete } from '../offset.ts';
import type { OffsetStore } from '../store.ts';
import { type Applies, cannotTransact } from '../tracker/transacting.ts';
import { workOn } from './attempts.ts';
import type { Delivery } from './delivery.ts';
import { Effect, type Entry } from './effect.ts';
import type { EffectOptions } from './effect-options.ts';
import { isFinal } from './failures.ts';
import { Queue, type Slot } from './queue.ts';
import type { Reader } from './reader.ts';
import { Counter, checkCount, untilLetGo } from './running.ts';
import { pauseBefore, sleep } from './sleep.ts';
import { about, verdictOn } from './verdict.ts';

/** How many events in a row may come without an offset. */
const mostPlaceless = 10_000;

/** What an item has become: an event with what was prepared for it, or a place that nothing is to be done for. */
type Ready<E> = Entry<E> | 'heartbeat' | 'skipped' | undefined;

/** An offset, with the events that are stored with it. */
interface Unit<E> {
  readonly offset: Offset;
  readonly entries: readonly Entry<E>[];
}

/** Has effects applied of what a reader reads, in the order of the feed, each batch with its last offset. */
export async function applyAll<E extends FeedEvent<unknown>>(
  reader: Reader<E>,
  store: OffsetStore,
  source: string,
  options: EffectOptions<E>,
): Promise<void> {
  const { batch, concurrency = 1 } = options;
  const { size = 1, intervalMs = 100 } = batch ?? {};
  checkCount('concurrency', concurrency);
  checkCount('batch.size', size);
  if (!(intervalMs >= 0)) throw new TypeError(`batch.intervalMs ${intervalMs}: give 0 or more`);
  if (options.transact && typeof store.transact !== 'function') throw cannotTransact(store, source);
  const queue = new Queue<E, Ready<E>>(size, batch ? intervalMs : 0, Math.max(size, concurrency));
  const preparing = new Counter();
  const applying = new Applying(reader, options);
  let failure: { readonly error: unknown } | undefined;
  const drained = drain(queue, applying).catch((error: unknown) => {
    failure ??= { error };
    queue.abandon();
    reader.fail(error);
  });
  try {
    for (let delivery = await reader.next(); delivery; delivery = await reader.next()) {
      const ready = prepare(reader, options, delivery);
      preparing.enter();
      const prepared = (): void => preparing.leave();
      ready.then(prepared, prepared); // What it fails with is told when its turn comes.
      await queue.put({ delivery, ready });
      await preparing.fewerThan(concurrency);
      if (queue.placeless > mostPlaceless) throw withoutOffset(source, queue.placeless);
    }
  } catch (error) {
    failure ??= { error };
  }
  queue.end();
  await drained;
  if (queue.placeless > 0 && !options.signal?.aborted) failure ??= { error: withoutOffset(source, queue.placeless) };
  await reader.close().catch((error: unknown) => {
    failure ??= { error };
  });
  if (failure) throw failure.error;
}

/** Whether options ask for effects to be applied, and not for a handler that is called an event at a time. */
export function isApplied<E extends FeedEvent<unknown>>(options: {
  readonly batch?: unknown;
  readonly transact?: unknown;
}): options is EffectOptions<E> {
  return Boolean(options.transact || options.batch);
}

async function drain<E extends FeedEvent<unknown>>(queue: Queue<E, Ready<E>>, applying: Applying<E>): Promise<void> {
  for (let slots = await queue.take(); slots; slots = await queue.take()) await applying.take(slots);
}

/** Makes an event ready to be applied, as `onFailed` says. Rejects with what ends all. */
function prepare<E extends FeedEvent<unknown>>(
  reader: Reader<E>,
  options: EffectOptions<E>,
  delivery: Delivery<E>,
): Promise<Ready<E>> {
  const { signal } = delivery;
  return workOn<E, Ready<E>>(reader.news, options, delivery, async (event) => {
    if (isHeartbeat<E>(event)) return 'heartbeat';
    return { event, prepared: await letGoOf(reader, options, options.prepare?.(event, { signal }), signal) };
  });
}

/** Waits for what the application does, but not for ever after an abort. */
function letGoOf<E extends FeedEvent<unknown>, T>(
  reader: Reader<E>,
  { closeTimeoutMs = 5000 }: EffectOptions<E>,
  work: T | PromiseLike<T>,
  signal: AbortSignal,
): Promise<T | undefined> {
  return untilLetGo(work, signal, closeTimeoutMs, () => reader.news.letGo(closeTimeoutMs));
}

/** Applies batches, one after the other. */
class Applying<E extends FeedEvent<unknown>> {
  readonly #reader: Reader<E>;
  readonly #options: EffectOptions<E>;

  constructor(reader: Reader<E>, options: EffectOptions<E>) {
    this.#reader = reader;
    this.#options = options;
  }

  /** Applies what was taken of the queue. Rejects with what ends the reading. */
  async take(slots: readonly Slot<E, Ready<E>>[]): Promise<void> {
    const [first] = slots;
    if (!first) return;
    const units: Unit<E>[] = [];
    let entries: Entry<E>[] = [];
    let heartbeat: Offset | undefined;
    for (const { delivery, ready: preparing } of slots) {
      const ready = await preparing;
      const { offset } = delivery.item;
      if (typeof ready === 'object') entries.push(ready);
      if (!offset || !isConcrete(offset)) continue;
      const isBare = ready === 'heartbeat' && entries.length === 0;
      heartbeat = isBare ? offset : undefined;
      if (isBare) continue;
      units.push({ offset, entries });
      entries = [];
    }
    await this.#apply(first.delivery, units);
    if (heartbeat) await this.#record(first.delivery, [heartbeat], true);
  }

  async #apply(delivery: Delivery<E>, given: readonly Unit<E>[]): Promise<void> {
    const { signal } = delivery;
    const { transact } = this.#options;
    const patience = new Patience(this.#options);
    let units = given;
    for (let attempt = 1; !signal.aborted;) {
      if (units.every(({ entries }) => entries.length === 0)) return this.#record(delivery, offsetsOf(units));
      const effect = new Effect<E>(this.#options, signal);
      try {
        return await (transact ? this.#transact(delivery, units, effect) : this.#handle(delivery, units, effect));
      } catch (error) {
        if (signal.aborted) return;
        if (effect.isStores(error)) await patience.wait(error, signal);
        else if (units.length > 1 && this.#options.onFailed) return this.#oneByOne(delivery, units);
        else units = await this.#failed(error, effect, units, attempt++, signal);
      }
    }
  }

  async #oneByOne(delivery: Delivery<E>, units: readonly Unit<E>[]): Promise<void> {
    for (const unit of units) await this.#apply(delivery, [unit]);
  }

  async #transact({ reading }: Delivery<E>, units: readonly Unit<E>[], effect: Effect<E>): Promise<void> {
    const { transact } = this.#options;
    const offsets = offsetsOf(units);
    const argumentsFrom = (from: number): readonly unknown[] => {
      const run = effect.of(units.slice(from).flatMap(({ entries }) => entries));
      return Array.isArray(transact) ? [transact, run] : [run];
    };
    const applies = reading as unknown as Applies; // Trackers begin no other readings.
    const outcome = await applies.apply({ offsets, effect: argumentsFrom, divisible: true });
    const [last] = offsets.slice(-1);
    // A reading that is fenced says so to whoever reads.
    if (last && outcome !== 'fenced') this.#reader.watch(Promise.resolve('committed'), last);
  }

  async #handle(delivery: Delivery<E>, units: readonly Unit<E>[], effect: Effect<E>): Promise<void> {
    const run = effect.of(units.flatMap(({ entries }) => entries));
    await letGoOf(this.#reader, this.#options, run(), delivery.signal);
    await this.#record(delivery, offsetsOf(units));
  }

  async #record({ reading, signal }: Delivery<E>, offsets: readonly Offset[], heartbeat = false): Promise<void> {
    // A tab that was asleep meanwhile may have been taken for dead.
    const leads = this.#reader.isLeader();
    if (signal.aborted || (leads !== true && !(await leads))) return;
    for (const offset of offsets) this.#reader.watch(reading.record(offset, { heartbeat }), offset);
  }

  /** @returns what is left to apply, as `onFailed` says */
  async #failed(
    error: unknown,
    { failure }: Effect<E>,
    units: readonly Unit<E>[],
    attempt: number,
    signal: AbortSignal,
  ): Promise<readonly Unit<E>[]> {
    const entries = units.flatMap((unit) => unit.entries);
    const guilty = failure?.entry ?? (entries.length === 1 ? entries[0] : undefined);
    const asked = guilty ?? entries.at(-1);
    if (!asked) throw error;
    const { event } = asked;
    const told = about(error, { event, offset: event.offset });
    const verdict = await verdictOn(this.#options, { error: told, event, offset: event.offset }, attempt);
    if (verdict === 'retry') {
      await sleep(pauseBefore(attempt, this.#options), signal);
      return units;
    }
    this.#reader.news.skipped(event.offset, told);
    const isLeft = (entry: Entry<E>): boolean => guilty !== undefined && entry !== guilty;
    return units.map((unit) => ({ ...unit, entries: unit.entries.filter(isLeft) }));
  }
}

/** How long a store that fails is tried again: for ever where the reading is to go on whatever the store does. */
class Patience {
  readonly #options: EffectOptions<never>;
  #since: number | undefined;
  #attempt = 1;

  constructor(options: EffectOptions<never>) {
    this.#options = options;
  }

  /** @throws the error where trying again is of no use, or it has had its time */
  async wait(error: OffsetError, signal: AbortSignal): Promise<void> {
    if (isFinal(error)) throw error;
    const { onStoreFailure = 'stop', storeTimeoutMs = 30_000 } = this.#options;
    this.#since ??= performance.now();
    const left = onStoreFailure === 'stop' ? this.#since + storeTimeoutMs - performance.now() : Infinity;
    if (left <= 0) throw error;
    await sleep(Math.min(left, pauseBefore(this.#attempt++, this.#options)), signal);
  }
}

function offsetsOf(units: readonly Unit<unknown>[]): readonly Offset[] {
  return units.map(({ offset }) => offset);
}

function withoutOffset(source: string, count: number): UnsupportedError {
  return new UnsupportedError(
    `the last ${count} events of ${quote(source)} have no offset to be stored with, and were not applied: have the feed give each event its offset, or the last of several`,
    { source },
  );
}
