import { type Checkpoint, compareCheckpoints, join } from '../../checkpoint.ts';
import { OffsetError, UnsupportedError, quote } from '../../errors.ts';
import type { Batch, NewestOf, OffsetStore, StoreOptions } from '../../store.ts';
import { KVBatchError } from './batch-error.ts';
import { type KVLines, linesOf } from './lines.ts';
import { type Connections, type Pace, connections, storageError } from './pace.ts';
import { KVReader } from './reader.ts';
import { type KVRecord, checkedPrefix, keyOf, writeRecord } from './record.ts';

export { KVBatchError } from './batch-error.ts';

/** What the store needs of a Workers KV binding. Cloudflare's `KVNamespace` has this shape. */
export interface CloudflareKVBinding {
  get(key: string, type: 'text'): Promise<string | null>;
  put(key: string, value: string, options: { metadata?: string }): Promise<void>;
  delete(key: string): Promise<void>;
  list(options: { prefix: string; cursor?: string }): Promise<{
    readonly keys: readonly { readonly name: string; readonly metadata?: unknown }[];
    readonly list_complete: boolean;
    readonly cursor?: string;
  }>;
}

/** Options of a {@link CloudflareKVOffsetStore}. */
export interface CloudflareKVOffsetStoreOptions extends StoreOptions {
  /**
   * What the store's keys begin with: at most 441 UTF-8 bytes. Nothing else in the namespace may begin with it:
   * `getAll` reads, and `clearAll` deletes, all that does. Default 'tidemark:'.
   */
  readonly prefix?: string;
  /**
   * Milliseconds from the end of one write of a key to the next of the same key. Default 1100: KV takes one write a
   * second and key ("Workers KV: Limits"), refuses some beyond that, and loses others.
   */
  readonly writeIntervalMs?: number;
  /** How often a call is repeated that KV refuses for now (429, 5xx, `retryable`). Default 5. */
  readonly maxRetries?: number;
  /** Milliseconds before the first repetition, doubled for each further one, and cut at random by up to half. Default 500. */
  readonly retryBaseMs?: number;
  /** The most milliseconds between two repetitions. Default 10,000. */
  readonly retryMaxMs?: number;
  /** The clock, in milliseconds; it may stand still between I/O, as a Worker's does. Default `Date.now`. */
  readonly now?: () => number;
  /** Resolves after that many milliseconds. Default: by `setTimeout`. */
  readonly wait?: (ms: number) => Promise<void>;
}

/**
 * Keeps checkpoints in Cloudflare Workers KV, for Workers that read a feed now and then: on a schedule, from a queue.
 *
 * KV is eventually consistent ("How KV works"): a read may be 60 seconds old or more, also in telling that there is
 * nothing, and of two writes the last wins, even the lower one. Within a store object nothing goes back: what it reads
 * and writes is joined with what it knows, and it keeps that until its own `clearAll`. Between several writers of one
 * source there is no fencing: events may be repeated, and a writer that has not heard of a reset may undo it. Where that
 * matters use `DurableObjectOffsetStore` or `D1OffsetStore`.
 *
 * A commit waits until its key may be written again, see `writeIntervalMs`, whichever store object of the isolate, or
 * other machine, wrote it last, as far as that is known. Commits of one source that wait at the same time share a write of
 * the latest of them, and one that changes nothing costs none. In a Worker await each commit, or hand it to `waitUntil`:
 * one whose request has ended is not finished, and delays others for ten seconds at most.
 *
 * Many sources are read by a listing, and written in the order in which they were last written: where an invocation may
 * not ask KV as often as there are sources, those that were left out come first in the next.
 *
 * Calls reject with a StorageError naming the source: `retryable` where KV refused them for now and repeating was in
 * vain, not where the day's quota is spent or the call is wrong; with a {@link KVBatchError} that names what is written
 * and what is not where a batch fails; with a SerializationError where a key holds anything that this store did not write.
 *
 * @example
 * const tracker = new OffsetTracker(new CloudflareKVOffsetStore(env.OFFSETS), { strategy: 'manual' });
 */
export class CloudflareKVOffsetStore implements OffsetStore {
  readonly capabilities = {
    durability: 'durable',
    transactional: false,
    consistency: 'eventual',
    shared: 'global',
  } as const;
  readonly compare: StoreOptions['compare'];
  readonly #kv: CloudflareKVBinding;
  readonly #prefix: string;
  readonly #pace: Pace;
  readonly #reader: KVReader;
  /** What KV has held, by source; undefined where it was read and held nothing. */
  readonly #known = new Map<string, Omit<KVRecord, 'source'> | undefined>();

  /** @throws UnsupportedError where it is no binding; TypeError where the prefix does not fit */
  constructor(kv: CloudflareKVBinding, options: CloudflareKVOffsetStoreOptions = {}) {
    if (typeof Object(kv).list !== 'function') {
      throw new UnsupportedError(`${quote(kv)} is no KV binding: give env.NAME, as kv_namespaces names it`);
    }
    this.compare = options.compare;
    this.#kv = kv;
    this.#prefix = checkedPrefix(options.prefix ?? 'tidemark:');
    this.#pace = {
      now: options.now ?? (() => Date.now()),
      wait: options.wait ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms))),
      writeIntervalMs: options.writeIntervalMs ?? 1100,
      maxRetries: options.maxRetries ?? 5,
      retryBaseMs: options.retryBaseMs ?? 500,
      retryMaxMs: options.retryMaxMs ?? 10_000,
    };
    this.#reader = new KVReader(kv, this.#prefix, this.#pace);
  }

  /** More than ten sources that are asked for at once, or one after another, cost a `list` call and no `get` each. */
  async get(source: string): Promise<Checkpoint | undefined> {
    const record = await this.#reader.one(source, this.#known.has(source));
    return this.#adopt(source, record, await keyOf(this.#prefix, source));
  }

  /** Costs a `list` call for each 1,000 keys, and a `get` for each 100 whose record does not fit into the metadata. */
  async getAll(): Promise<Map<string, Checkpoint>> {
    for (const record of await this.#reader.all(connections())) {
      this.#adopt(record.source, record, await keyOf(this.#prefix, record.source));
    }
    const all = new Map<string, Checkpoint>();
    for (const [source, known] of this.#known) if (known) all.set(source, known.checkpoint);
    return all;
  }

  /**
   * Sources are written side by side, so that a batch takes little longer than one of them; what could be written
   * stays written where another source of the batch fails.
   * @throws KVBatchError where a source of several fails
   */
  async commit(batch: Batch, newest?: NewestOf): Promise<Map<string, Checkpoint>> {
    const io = connections();
    const failed = await this.#readUnknown([...batch.keys()], io);
    const stands = new Map<string, Checkpoint>();
    const write = async ([source, incoming]: readonly [string, Checkpoint]): Promise<void> => {
      try {
        stands.set(source, await this.#write(source, incoming, newest, io));
      } catch (error) {
        failed.set(source, error);
      }
    };
    // The one that was written longest ago first: no source is always the one that an invocation has no calls left for.
    const writtenAt = (source: string): number => this.#known.get(source)?.writtenAt ?? 0;
    const readable = [...batch].filter(([source]) => !failed.has(source));
    readable.sort(([a], [b]) => writtenAt(a) - writtenAt(b));
    await Promise.all(readable.map(write));
    if (failed.size > 0) throw asOne(failed, [...stands.keys()]);
    return stands;
  }

  /** Deletes all keys under the prefix. Other readers, far away, may see them for another 60 seconds or more. */
  async clearAll(): Promise<void> {
    const io = connections();
    // A listing may be too old to show what was just written here.
    const keys = new Set(this.#lines.keys(this.#prefix));
    for (const source of this.#known.keys()) keys.add(await keyOf(this.#prefix, source));
    for await (const page of this.#reader.pages(io)) for (const { name } of page.keys) keys.add(name);
    this.#known.clear();
    const deletions = await Promise.allSettled(Array.from(keys, (key) => this.#delete(key, io)));
    const failed = deletions.filter((deletion) => deletion.status === 'rejected');
    if (failed[0]) throw storageError(`deleting ${failed.length} of ${keys.size} keys`, undefined, failed[0].reason);
  }

  async close(): Promise<void> {}

  get #lines(): KVLines {
    return linesOf(this.#kv);
  }

  /** Reads those that this object knows nothing of. @returns those that cannot be read, and why */
  async #readUnknown(sources: readonly string[], io: Connections): Promise<Map<string, unknown>> {
    const failed = new Map<string, unknown>();
    const unknown = sources.filter((source) => !this.#known.has(source));
    if (unknown.length === 0) return failed;
    for (const [source, found] of await this.#reader.many(unknown, io)) {
      if (found && 'error' in found) failed.set(source, found.error);
      else this.#adopt(source, found, await keyOf(this.#prefix, source));
    }
    return failed;
  }

  async #write(
    source: string,
    incoming: Checkpoint,
    newest: NewestOf | undefined,
    io: Connections,
  ): Promise<Checkpoint> {
    const key = await keyOf(this.#prefix, source);
    const line = this.#lines.get(key, this.#pace);
    // A write of another store object counts while no other may follow it; later it may have been taken back.
    if (!(line.rest(this.#pace) > 0)) line.written = undefined;
    line.wanted = this.#join(line.wanted, incoming, source);
    const put = async (): Promise<void> => {
      let next = this.#join(this.#join(line.wanted, incoming, source), newest?.(source) ?? incoming, source);
      for (const held of [line.written, this.#known.get(source)?.checkpoint]) next = this.#join(held, next, source);
      const writtenAt = this.#pace.now();
      await this.#kv.put(key, ...writeRecord(source, next, writtenAt));
      this.#adopt(source, { checkpoint: next, writtenAt }, key);
      line.written = this.#join(line.written, next, source);
      if (line.wanted && this.#isAtLeast(next, line.wanted, source)) line.wanted = undefined;
    };
    const isDone = (): boolean => {
      const held = [line.written, this.#known.get(source)?.checkpoint];
      return held.some((checkpoint) => checkpoint && this.#isAtLeast(checkpoint, incoming, source));
    };
    await line.write(isDone, put, io, this.#pace).catch((cause: unknown) => {
      throw cause instanceof OffsetError ? cause : storageError('writing', source, cause);
    });
    const known = this.#known.get(source)?.checkpoint;
    return known ? this.#join(line.written, known, source) : (line.written ?? incoming);
  }

  async #delete(key: string, io: Connections): Promise<void> {
    const line = this.#lines.get(key, this.#pace);
    line.wanted = undefined;
    let isGone = false;
    const remove = async (): Promise<void> => {
      await this.#kv.delete(key);
      line.written = undefined;
      isGone = true;
    };
    await line.write(() => isGone, remove, io, this.#pace);
  }

  /** Joins what was read or written into what is known, so that a stale read changes nothing. */
  #adopt(source: string, found: Omit<KVRecord, 'source'> | undefined, key: string): Checkpoint | undefined {
    const known = this.#known.get(source);
    if (found === undefined) {
      this.#known.set(source, known);
      return known?.checkpoint;
    }
    const checkpoint = this.#join(known?.checkpoint, found.checkpoint, source);
    this.#known.set(source, { checkpoint, writtenAt: Math.max(known?.writtenAt ?? 0, found.writtenAt) });
    const { now, writeIntervalMs } = this.#pace;
    if (now() - found.writtenAt < writeIntervalMs) this.#lines.get(key, this.#pace).seen(found.writtenAt, this.#pace);
    return checkpoint;
  }

  #join(stored: Checkpoint | undefined, incoming: Checkpoint, source: string): Checkpoint {
    return join(stored, incoming, source, this.compare);
  }

  #isAtLeast(checkpoint: Checkpoint, incoming: Checkpoint, source: string): boolean {
    return compareCheckpoints(checkpoint, incoming, source, this.compare) >= 0;
  }
}

/** A tracker fails the source that an error names and goes on with the rest: an error of several sources names none. */
function asOne(failed: ReadonlyMap<string, unknown>, written: readonly string[]): unknown {
  const [error] = failed.values();
  if (failed.size + written.length === 1) return error;
  for (const each of failed.values()) if (!(each instanceof OffsetError) || each.code !== 'storage') return each;
  return new KVBatchError(failed, written);
}
