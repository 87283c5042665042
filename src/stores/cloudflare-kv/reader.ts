import {
  type Connections,
  type Pace,
  connections,
  connectionsAtOnce,
  isTransient,
  patienceMs,
  persist,
  storageError,
} from './pace.ts';
import { type KVRecord, keyOf, readRecord } from './record.ts';
import type { CloudflareKVBinding } from './store.ts';

/** More sources than these are not read one by one. */
const few = 10;
const glanceMs = 5;
// The shortest that KV itself keeps what it has read is 30 s ("Workers KV: Read key-value pairs").
const freshMs = 10_000;
const keysABulk = 100;
const pagesAtMost = 10;

/** A read that waits. */
interface Asked {
  readonly source: string;
  readonly key: string;
  readonly at: number;
  answer?: Answer;
}

/** Keys, each with its source where that is known. */
type Keys = ReadonlyMap<string, string | undefined>;

/** What stands under a key, null for nothing, or why that cannot be told. */
type Answer = { readonly text: string | null } | { readonly error: unknown };
const nothing: Answer = { text: null };
/** Of a record that does not fit into the metadata, which is all that a listing tells. */
const long: Answer = { text: null };

interface Page {
  readonly keys: readonly { readonly name: string; readonly metadata?: unknown }[];
  readonly isLast: boolean;
}

/**
 * Reads records, many of them by a listing: a Worker may ask KV 1,000 times an invocation ("Workers: Limits"), and a read
 * for each of many sources leaves nothing for their writes.
 *
 * As in {@link KVLine}, calls share what stands here and never a promise.
 */
export class KVReader {
  readonly #kv: CloudflareKVBinding;
  readonly #prefix: string;
  readonly #pace: Pace;
  /** Reads of one key that are under way, and since when. */
  readonly #single = new Set<{ readonly at: number }>();
  readonly #waiting = new Set<Asked>();
  /** When the reading of many that is under way last got on. */
  #manySince = -Infinity;
  #readOneByOne = 0;
  #hasBulk = true;
  #listed: { readonly at: number; readonly answers: Map<string, Answer>; readonly isWhole: boolean } | undefined;

  constructor(kv: CloudflareKVBinding, prefix: string, pace: Pace) {
    this.#kv = kv;
    this.#prefix = prefix;
    this.#pace = pace;
  }

  /**
   * Reads a source. Where many are asked for at once, or one after another, they are read together.
   * @param isKnown whether it was read before: then it is read anew
   */
  async one(source: string, isKnown: boolean): Promise<KVRecord | undefined> {
    const asked: Asked = { source, key: await keyOf(this.#prefix, source), at: this.#pace.now() };
    if (!isKnown) {
      const listed = await this.#fromListing(asked);
      if (listed) return this.#record(source, asked.key, listed);
    }
    if (this.#mayReadOne()) return this.#readOne(asked);
    this.#waiting.add(asked);
    try {
      return await this.#wait(asked);
    } finally {
      this.#waiting.delete(asked);
    }
  }

  /** Reads sources together, each with its record or its error. */
  async many(
    sources: readonly string[],
    io: Connections,
  ): Promise<Map<string, KVRecord | undefined | { error: unknown }>> {
    const keys = new Map<string, string>();
    for (const source of sources) keys.set(await keyOf(this.#prefix, source), source);
    const answers = await this.#texts(keys, io);
    const found = new Map<string, KVRecord | undefined | { error: unknown }>();
    for (const [key, source] of keys) {
      const record = this.#record(source, key, answers.get(key) ?? nothing);
      found.set(source, await record.catch((error: unknown) => ({ error })));
    }
    return found;
  }

  /** Reads all that is under the prefix. */
  async all(io: Connections): Promise<KVRecord[]> {
    const answers = new Map<string, Answer>();
    const unread = new Map<string, string | undefined>();
    for await (const { keys } of this.pages(io)) {
      for (const { name, metadata } of keys) {
        if (typeof metadata === 'string') answers.set(name, { text: metadata });
        else unread.set(name, undefined);
      }
    }
    await this.#readValues(unread, answers, io);
    const records: KVRecord[] = [];
    for (const [key, answer] of answers) {
      if ('error' in answer) throw answer.error;
      // What is gone since it was listed is no record.
      if (answer.text !== null) records.push(await readRecord(answer.text, this.#prefix, key));
    }
    return records;
  }

  /** All keys under the prefix, page by page. */
  async *pages(io: Connections): AsyncGenerator<Page> {
    let cursor: string | undefined;
    do {
      const options = cursor === undefined ? { prefix: this.#prefix } : { prefix: this.#prefix, cursor };
      const page = await persist(() => this.#kv.list(options), this.#pace, io).catch((cause: unknown) => {
        throw storageError('listing all', undefined, cause);
      });
      // A page may be empty, or short, and not be the last.
      cursor = page.list_complete ? undefined : page.cursor;
      yield { keys: page.keys, isLast: cursor === undefined };
    } while (cursor !== undefined);
  }

  #mayReadOne(): boolean {
    const now = this.#pace.now();
    // What takes this long belongs to a request that has ended.
    for (const read of this.#single) if (Math.abs(now - read.at) > patienceMs) this.#single.delete(read);
    return this.#single.size < connectionsAtOnce && !this.#isReadingMany();
  }

  #isReadingMany(): boolean {
    return Math.abs(this.#pace.now() - this.#manySince) < patienceMs;
  }

  async #readOne({ source, key }: Asked): Promise<KVRecord | undefined> {
    const read = { at: this.#pace.now() };
    this.#single.add(read);
    this.#readOneByOne++;
    try {
      return await this.#record(source, key, { text: await this.#value(key, source, connections()) });
    } finally {
      this.#single.delete(read);
    }
  }

  async #wait(asked: Asked): Promise<KVRecord | undefined> {
    for (;;) {
      await this.#pace.wait(glanceMs);
      if (asked.answer) return this.#record(asked.source, asked.key, asked.answer);
      if (this.#isReadingMany()) continue;
      if (this.#waiting.size > few) await this.#answerAll();
      else if (this.#mayReadOne()) return this.#readOne(asked);
    }
  }

  /** Reads for all who wait. */
  async #answerAll(): Promise<void> {
    const all = [...this.#waiting];
    // Those who asked in a request that has ended wait for ever.
    for (const asked of all) if (Math.abs(this.#pace.now() - asked.at) > 6 * patienceMs) this.#waiting.delete(asked);
    this.#manySince = this.#pace.now();
    try {
      const answers = await this.#texts(new Map(all.map(({ key, source }) => [key, source])), connections());
      for (const asked of all) asked.answer = answers.get(asked.key) ?? nothing;
    } finally {
      this.#manySince = -Infinity;
    }
  }

  /** Sources that are asked for one after another: after the first few, one listing answers for those to come. */
  async #fromListing({ key }: Asked): Promise<Answer | undefined> {
    const isFresh = this.#listed && Math.abs(this.#pace.now() - this.#listed.at) < freshMs;
    if (!isFresh && this.#readOneByOne > few && this.#listed?.isWhole !== false && !this.#isReadingMany()) {
      this.#readOneByOne = 0;
      const answers = new Map<string, Answer>();
      const isWhole = await this.#list(pagesAtMost, answers, connections());
      this.#listed = { at: this.#pace.now(), answers, isWhole };
    } else if (!isFresh) return undefined;
    const answer = this.#listed?.answers.get(key) ?? (this.#listed?.isWhole ? nothing : undefined);
    return answer === long ? undefined : answer;
  }

  /** What stands under some of the keys, by a listing where that is short, and else a hundred at a time. */
  async #texts(sources: Keys, io: Connections): Promise<Map<string, Answer>> {
    const listed = new Map<string, Answer>();
    const isWhole = sources.size > few && (await this.#list(Math.ceil(sources.size / keysABulk), listed, io));
    const answers = new Map<string, Answer>();
    const unread = new Map<string, string | undefined>();
    for (const [key, source] of sources) {
      const answer = listed.get(key) ?? (isWhole ? nothing : long);
      if (answer === long) unread.set(key, source);
      else answers.set(key, answer);
    }
    await this.#readValues(unread, answers, io);
    return answers;
  }

  /**
   * Adds what pages of a listing tell.
   * @returns whether that were all pages; false also where KV refuses to list
   */
  async #list(pages: number, answers: Map<string, Answer>, io: Connections): Promise<boolean> {
    let left = pages;
    try {
      for await (const { keys, isLast } of this.pages(io)) {
        if (this.#isReadingMany()) this.#manySince = this.#pace.now();
        for (const { name, metadata } of keys)
          answers.set(name, typeof metadata === 'string' ? { text: metadata } : long);
        if (isLast) return true;
        if (--left <= 0) return false;
      }
    } catch {
      // The values are read by their keys then.
    }
    return false;
  }

  /** Adds what the keys hold to the answers. */
  async #readValues(sources: Keys, answers: Map<string, Answer>, io: Connections): Promise<void> {
    const entries = [...sources];
    const chunks = Array.from({ length: Math.ceil(entries.length / keysABulk) }, (_, i) =>
      entries.slice(i * keysABulk, (i + 1) * keysABulk),
    );
    // The first tells whether the binding reads several at once.
    const [first = [], ...others] = chunks;
    await this.#readChunk(first, answers, io);
    await Promise.all(others.map((chunk) => this.#readChunk(chunk, answers, io)));
  }

  async #readChunk(
    chunk: [string, string | undefined][],
    answers: Map<string, Answer>,
    io: Connections,
  ): Promise<void> {
    let found: Map<unknown, unknown> | undefined;
    try {
      if (chunk.length > 1 && this.#hasBulk) found = await this.#bulk(chunk, io);
    } catch (error) {
      for (const [key] of chunk) answers.set(key, { error });
      return;
    }
    const read = async (key: string, source: string | undefined): Promise<Answer> => {
      if (found === undefined) return { text: await this.#value(key, source, io) };
      const text = found.get(key);
      return typeof text === 'string' ? { text } : nothing;
    };
    const answer = async ([key, source]: [string, string | undefined]): Promise<unknown> =>
      answers.set(key, await read(key, source).catch((error: unknown) => ({ error })));
    await Promise.all(chunk.map(answer));
  }

  /** @returns undefined where the binding reads one key at a time, or the values are too much for one answer */
  async #bulk(chunk: [string, string | undefined][], io: Connections): Promise<Map<unknown, unknown> | undefined> {
    const keys = chunk.map(([key]) => key);
    // Not every binding has it, so that the type asks for no more than reading one.
    const bulk = this.#kv as unknown as { get(keys: string[], type: 'text'): Promise<unknown> };
    try {
      const found = await persist(() => bulk.get(keys, 'text'), this.#pace, io);
      if (found instanceof Map) return found;
      this.#hasBulk = false;
      return undefined;
    } catch (cause) {
      if (isTransient(cause)) throw storageError('reading several', undefined, cause);
      return undefined;
    }
  }

  async #value(key: string, source: string | undefined, io: Connections): Promise<string | null> {
    try {
      return await persist(() => this.#kv.get(key, 'text'), this.#pace, io);
    } catch (cause) {
      throw storageError('reading', source, cause, key);
    }
  }

  async #record(source: string, key: string, answer: Answer): Promise<KVRecord | undefined> {
    if ('error' in answer) throw answer.error;
    return answer.text === null ? undefined : readRecord(answer.text, this.#prefix, key, source);
  }
}
