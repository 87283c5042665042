import { type Checkpoint, compareCheckpoints, join } from '../../checkpoint.ts';
import { OffsetError, StorageError } from '../../errors.ts';
import type { Batch, OffsetStore, StoreOptions } from '../../store.ts';
import { type Connections, KVLine, type Pace, connections, isTransient, persist, storageError } from './pace.ts';
import { checkedPrefix, keyOf, readRecord, writeRecord } from './record.ts';

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
 * source there is no fencing: events may be repeated, and a writer that has not heard of a reset may undo it.
 *
 * A commit waits until its key may be written again, see `writeIntervalMs`; commits of one source that wait at the same
 * time share a write, and one that changes nothing costs none. The clock that spaces writes is this object's: give each
 * source one object that writes it, kept in a global or one an invocation. In a Worker await each commit, or hand it to
 * `waitUntil`: one whose request has ended is not finished, and holds up no other for more than ten seconds.
 *
 * Calls reject with a StorageError naming the source: `retryable` where KV refused them for now and repeating was in
 * vain, not where the day's quota is spent or the call is wrong; with a SerializationError where a key holds anything
 * that this store did not write.
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
  readonly #lines = new Map<string, KVLine>();
  /** What KV has held, by source; undefined where it was read and held nothing. */
  readonly #known = new Map<string, Checkpoint | undefined>();
  /** The latest that any call wants stored, by source. */
  readonly #wanted = new Map<string, Checkpoint>();

  /** @throws TypeError where the prefix does not fit */
  constructor(kv: CloudflareKVBinding, options: CloudflareKVOffsetStoreOptions = {}) {
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
  }

  async get(source: string): Promise<Checkpoint | undefined> {
    return this.#read(source, await keyOf(this.#prefix, source), connections());
  }

  /** Costs a `list` call for each 1,000 keys, and a `get` for each 100 whose record does not fit into the metadata. */
  async getAll(): Promise<Map<string, Checkpoint>> {
    const io = connections();
    const texts = new Map<string, string>();
    const unread: string[] = [];
    for await (const { name, metadata } of this.#list(io)) {
      if (typeof metadata === 'string') texts.set(name, metadata);
      else unread.push(name);
    }
    await Promise.all(chunks(unread, 100).map((keys) => this.#readTexts(keys, texts, io)));
    for (const [key, text] of texts) {
      const { source, checkpoint } = await readRecord(text, this.#prefix, key);
      this.#learn(source, checkpoint);
    }
    const all = new Map<string, Checkpoint>();
    for (const [source, checkpoint] of this.#known) if (checkpoint) all.set(source, checkpoint);
    return all;
  }

  /**
   * Sources are written side by side, so that a batch takes little longer than one of them; what could be written
   * stays written where another source of the batch fails.
   */
  async commit(batch: Batch): Promise<Map<string, Checkpoint>> {
    const io = connections();
    const stands = new Map<string, Checkpoint>();
    const errors: unknown[] = [];
    await Promise.all(
      Array.from(batch, ([source, incoming]) =>
        this.#write(source, incoming, io).then(
          (checkpoint) => stands.set(source, checkpoint),
          (error: unknown) => errors.push(error),
        ),
      ),
    );
    if (errors.length > 0) throw asOne(errors);
    return stands;
  }

  /** Deletes all keys under the prefix. Other readers, far away, may see them for another 60 seconds or more. */
  async clearAll(): Promise<void> {
    const io = connections();
    const keys = new Set<string>();
    // A listing may be too old to show what this object wrote.
    for (const source of this.#known.keys()) keys.add(await keyOf(this.#prefix, source));
    for await (const { name } of this.#list(io)) keys.add(name);
    this.#known.clear();
    this.#wanted.clear();
    const deletions = await Promise.allSettled(Array.from(keys, (key) => this.#delete(key, io)));
    const failed = deletions.find((deletion) => deletion.status === 'rejected');
    if (failed) throw storageError('deleting all', undefined, failed.reason);
  }

  async close(): Promise<void> {}

  async #read(source: string, key: string, io: Connections): Promise<Checkpoint | undefined> {
    const text = await this.#readText(key, source, io);
    return this.#learn(
      source,
      text === null ? undefined : (await readRecord(text, this.#prefix, key, source)).checkpoint,
    );
  }

  async #write(source: string, incoming: Checkpoint, io: Connections): Promise<Checkpoint> {
    const key = await keyOf(this.#prefix, source);
    if (!this.#known.has(source)) await this.#read(source, key, io);
    this.#wanted.set(source, this.#join(this.#wanted.get(source), incoming, source));
    const put = async (): Promise<void> => {
      const wanted = this.#join(this.#wanted.get(source), incoming, source);
      const next = this.#join(this.#known.get(source), wanted, source);
      await this.#kv.put(key, ...writeRecord(source, next));
      this.#learn(source, next);
    };
    const isDone = (): boolean => {
      const known = this.#known.get(source);
      return known !== undefined && compareCheckpoints(known, incoming, source, this.compare) >= 0;
    };
    await this.#line(key)
      .write(isDone, put, io)
      .catch((cause: unknown) => {
        throw storageError('writing', source, cause);
      });
    return this.#known.get(source) ?? incoming;
  }

  async #delete(key: string, io: Connections): Promise<void> {
    let isGone = false;
    const remove = async (): Promise<void> => {
      await this.#kv.delete(key);
      isGone = true;
    };
    await this.#line(key).write(() => isGone, remove, io);
  }

  async *#list(io: Connections): AsyncGenerator<{ readonly name: string; readonly metadata?: unknown }> {
    let cursor: string | undefined;
    do {
      const options = cursor === undefined ? { prefix: this.#prefix } : { prefix: this.#prefix, cursor };
      const page = await persist(() => this.#kv.list(options), this.#pace, io).catch((cause: unknown) => {
        throw storageError('listing all', undefined, cause);
      });
      yield* page.keys;
      // A page may be empty, or short, and not be the last.
      cursor = page.list_complete ? undefined : page.cursor;
    } while (cursor !== undefined);
  }

  /** Adds what the keys hold to `texts`; a key that is gone since it was listed adds nothing. */
  async #readTexts(keys: string[], texts: Map<string, string>, io: Connections): Promise<void> {
    const found = await this.#readBulk(keys, io);
    const read = async (key: string): Promise<void> => {
      const text = found ? found.get(key) : await this.#readText(key, key, io);
      if (typeof text === 'string') texts.set(key, text);
    };
    await Promise.all(keys.map(read));
  }

  /** @returns undefined where the binding reads one key at a time, or the values are too much for one answer */
  async #readBulk(keys: string[], io: Connections): Promise<Map<unknown, unknown> | undefined> {
    // Not every binding has it, so that the type asks for no more than reading one.
    const bulk = this.#kv as unknown as { get(keys: string[], type: 'text'): Promise<unknown> };
    try {
      const found = await persist(() => bulk.get(keys, 'text'), this.#pace, io);
      return found instanceof Map ? found : undefined;
    } catch (cause) {
      if (isTransient(cause)) throw storageError('reading all', undefined, cause);
      return undefined;
    }
  }

  async #readText(key: string, source: string, io: Connections): Promise<string | null> {
    try {
      return await persist(() => this.#kv.get(key, 'text'), this.#pace, io);
    } catch (cause) {
      throw storageError('reading', source, cause);
    }
  }

  /** Joins what was read or written into what is known, so that a stale read changes nothing. */
  #learn(source: string, found: Checkpoint | undefined): Checkpoint | undefined {
    const known = this.#known.get(source);
    const learnt = found === undefined ? known : this.#join(known, found, source);
    this.#known.set(source, learnt);
    return learnt;
  }

  #join(stored: Checkpoint | undefined, incoming: Checkpoint, source: string): Checkpoint {
    return join(stored, incoming, source, this.compare);
  }

  #line(key: string): KVLine {
    const line = this.#lines.get(key) ?? new KVLine(this.#pace);
    this.#lines.set(key, line);
    return line;
  }
}

/** A tracker fails the source that an error names and goes on with the rest: an error of several sources names none. */
function asOne(errors: readonly unknown[]): unknown {
  const [first] = errors;
  const ofOneSource = errors.find((error) => !(error instanceof StorageError));
  if (ofOneSource !== undefined || errors.length === 1 || !(first instanceof OffsetError)) return ofOneSource ?? first;
  const retryable = errors.every((error) => error instanceof StorageError && error.retryable);
  return new StorageError(`${first.message}; so did ${errors.length - 1} more`, { cause: first.cause, retryable });
}

function chunks<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));
}
