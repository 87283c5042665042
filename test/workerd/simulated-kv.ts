import type { Checkpoint } from '../../src/checkpoint.ts';
import { Offset } from '../../src/offset.ts';
import {
  type CloudflareKVBinding,
  CloudflareKVOffsetStore,
  type CloudflareKVOffsetStoreOptions,
} from '../../src/stores/cloudflare-kv/store.ts';

/** Time that passes only when everything waits for it. `now` is what a Worker sees: the time of its last I/O. */
export class VirtualClock {
  time = 1_767_323_045_000;
  #seen = this.time;
  #timers: { readonly time: number; readonly resolve: () => void }[] = [];

  readonly now = (): number => this.#seen;

  readonly wait = (ms: number): Promise<void> =>
    new Promise((resolve) => this.#timers.push({ time: this.time + ms, resolve }));

  /** Time that goes by in a computation, unseen by the program. */
  compute(ms: number): void {
    this.time += ms;
  }

  setBack(ms: number): void {
    this.#seen -= ms;
    this.time -= ms;
  }

  /** Lets time pass until the work has settled. */
  async run<T>(work: Promise<T>): Promise<T> {
    const state = { isSettled: false };
    const settle = (): void => {
      state.isSettled = true;
    };
    work.then(settle, settle);
    while (!state.isSettled) {
      await new Promise((resolve) => setImmediate(resolve));
      if (!state.isSettled) this.#next();
    }
    return work;
  }

  #next(): void {
    const next = Math.min(...this.#timers.map(({ time }) => time));
    const due = this.#timers.filter(({ time }) => time === next);
    if (due.length === 0) return;
    this.#timers = this.#timers.filter(({ time }) => time !== next);
    this.time = Math.max(this.time, next);
    this.#seen = this.time;
    for (const { resolve } of due) resolve();
  }
}

/** Of a key, newest first. */
interface Version {
  readonly time: number;
  readonly value: string | null;
  readonly metadata?: string;
}

type Operation = 'get' | 'bulk' | 'put' | 'delete' | 'list';

/** Workers KV with what a local one has not: latency, stale reads, rate limits, refusals, small and empty pages. */
export class SimulatedKV implements CloudflareKVBinding {
  readonly log: {
    readonly operation: Operation;
    readonly key: string;
    readonly time: number;
    readonly value?: string;
  }[] = [];
  latencyMs = 20;
  staleMs = 0;
  pageSize = 1000;
  hasEmptyPages = false;
  hasBulk = true;
  mostAtOnce = 0;
  /** Returns what a call is to throw, or a promise that it waits for before it does its work. */
  fault: (operation: Operation, key: string) => unknown = () => undefined;
  readonly #clock: VirtualClock;
  readonly #versions = new Map<string, Version[]>();
  #atOnce = 0;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  get(key: string, type: 'text'): Promise<string | null>;
  get(key: string[], type: 'text'): Promise<Map<string, string | null>>;
  get(key: string | string[]): Promise<string | null | Map<string, string | null>> {
    if (typeof key === 'string') return this.#call('get', key, () => this.#read(key)?.value ?? null);
    // A runtime without bulk reads takes the list for one key.
    if (!this.hasBulk) return this.#call('get', String(key), () => null);
    if (key.length > 100) throw new Error('KV GET_BULK failed: 400 You can request a maximum of 100 keys');
    return this.#call('bulk', key.join(), () => new Map(key.map((one) => [one, this.#read(one)?.value ?? null])));
  }

  put(key: string, value: string, options: { metadata?: string } = {}): Promise<void> {
    return this.#call('put', key, () => this.#add(key, { time: this.#clock.time, value, ...options }), value);
  }

  delete(key: string): Promise<void> {
    return this.#call('delete', key, () => this.#add(key, { time: this.#clock.time, value: null }));
  }

  list(options: { prefix: string; cursor?: string }) {
    return this.#call('list', options.prefix, () => {
      const [start = 0, wasEmpty = 0] = (options.cursor ?? '0').split(':').map(Number);
      const keys = [...this.#versions.keys()].filter((key) => key.startsWith(options.prefix) && this.#read(key)?.value);
      keys.sort();
      if (this.hasEmptyPages && !wasEmpty) return { keys: [], list_complete: false, cursor: `${start}:1` };
      const end = start + this.pageSize;
      const page = keys.slice(start, end).map((name) => ({ name, metadata: this.#read(name)?.metadata }));
      if (end >= keys.length) return { keys: page, list_complete: true };
      return { keys: page, list_complete: false, cursor: `${end}:0` };
    });
  }

  /** What a reader sees once every write has spread. */
  newest(key: string): string | null {
    return this.#versions.get(key)?.[0]?.value ?? null;
  }

  keys(): string[] {
    return [...this.#versions.keys()].filter((key) => this.newest(key) !== null);
  }

  count(operation: Operation): number {
    return this.log.filter((entry) => entry.operation === operation).length;
  }

  /** The shortest time between the beginnings of two writes of one key, in ms. */
  shortestInterval(): number {
    const last = new Map<string, number>();
    let shortest = Infinity;
    for (const { operation, key, time } of this.log) {
      if (operation !== 'put' && operation !== 'delete') continue;
      shortest = Math.min(shortest, time - (last.get(key) ?? -Infinity));
      last.set(key, time);
    }
    return shortest;
  }

  async #call<T>(operation: Operation, key: string, work: () => T, value?: string): Promise<T> {
    this.log.push({ operation, key, time: this.#clock.time, ...(value !== undefined && { value }) });
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#atOnce);
    try {
      const fault = this.fault(operation, key);
      await this.#clock.wait(this.latencyMs);
      if (fault instanceof Error) throw fault;
      await fault;
      return work();
    } finally {
      this.#atOnce--;
    }
  }

  #add(key: string, version: Version): void {
    this.#versions.set(key, [version, ...(this.#versions.get(key) ?? [])]);
  }

  #read(key: string): Version | undefined {
    return this.#versions.get(key)?.find(({ time }) => time <= this.#clock.time - this.staleMs);
  }
}

export const tooMany = (): Error => new Error('KV PUT failed: 429 Too Many Requests');
export const connectionLost = (): Error => Object.assign(new Error('Network connection lost.'), { retryable: true });
export const dayIsSpent = (): Error => new Error('KV put() limit exceeded for the day.');

/** A store on a simulated KV; with the KV and the clock of another, a second instance beside it. */
export function setUp(given?: SimulatedKV, clock = new VirtualClock(), options: CloudflareKVOffsetStoreOptions = {}) {
  const kv = given ?? new SimulatedKV(clock);
  return { clock, kv, store: new CloudflareKVOffsetStore(kv, { now: clock.now, wait: clock.wait, ...options }) };
}

export function at(number: number): Checkpoint {
  return { epoch: 0, rank: number, offset: Offset.sequence(number), committedAt: 1_767_323_045_000 };
}

export function manySources(count: number, number: number): Map<string, Checkpoint> {
  return new Map(Array.from({ length: count }, (_, i) => [`source ${i}`, at(number)]));
}

export async function commit(
  store: CloudflareKVOffsetStore,
  source: string,
  number: number,
): Promise<Checkpoint | undefined> {
  return (await store.commit(new Map([[source, at(number)]]))).get(source);
}

export function numberOf(checkpoint: Checkpoint | undefined): number {
  return checkpoint?.offset?.kind === 'sequence' ? Number(checkpoint.offset.value) : NaN;
}

export async function failure(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('it did not fail');
}
