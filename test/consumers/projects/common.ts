// What every environment has: the whole main entry, and the kit for stores.
import {
  type Batch,
  type Checkpoint,
  type Feed,
  type FeedContext,
  type FeedEvent,
  FeedError,
  FeedExpiredError,
  FencedError,
  InMemoryOffsetStore,
  InvalidOffsetError,
  LockError,
  Offset,
  OffsetError,
  type OffsetErrorCode,
  type OffsetStore,
  OffsetTracker,
  type Reading,
  type RecordOutcome,
  SerializationError,
  type SourceStatus,
  SourceNotFoundError,
  type SseEvent,
  type StoreChange,
  StorageError,
  type Strategy,
  type Ticket,
  type TrackerOptions,
  UnsupportedError,
  compareCheckpoints,
  join,
  resume,
  sse,
} from 'tidemark';
import { testOffsetStore } from 'tidemark/testing';

export const offsets: readonly Offset[] = [
  Offset.sequence(42n),
  Offset.timestamp(new Date(0)),
  Offset.custom('0_17'),
  Offset.earliest,
  Offset.parse('seq:42'),
  Offset.increment(Offset.sequence('41')) ?? Offset.latest,
];
export const order: number | undefined = Offset.compare(Offset.sequence(1), Offset.sequence(2));
export const texts: readonly string[] = offsets.map((offset) => Offset.format(offset));

export const strategies: readonly Strategy[] = ['auto', 'manual', { every: 100 }, { every: 100, intervalMs: 1000 }];

export function open(store: OffsetStore, strategy: Strategy): OffsetTracker {
  const options: TrackerOptions = { strategy, resetPolicy: () => Offset.latest, onError: (error) => void error };
  return new OffsetTracker(store, options);
}

/** A feed of each kind, read in both ways. */
export async function read(tracker: OffsetTracker, signal: AbortSignal): Promise<RecordOutcome> {
  const plain = sse('https://example.com/feed', { credentials: 'include', headers: { authorization: 'Bearer x' } });
  for await (const event of resume(tracker, 'plain', plain, { signal })) {
    const { data, id, type }: { data: string; id: string; type: string } = event;
    if (data + id + type === '') break;
  }

  const parsed = sse(new URL('https://example.com/feed'), {
    parse: (data): { readonly price: number } => JSON.parse(data),
    offset: Offset.sequence,
    id: (offset) => (offset.kind === 'earliest' ? '0' : undefined),
    lastEventId: { query: 'after' },
    headers: async () => [['authorization', 'Bearer x']],
    fetch: (url, init) => fetch(url, init),
  });
  await resume(tracker, 'parsed', parsed, {
    exclusive: true,
    concurrency: 8,
    handler: (event, context) => show(event, context.signal),
    onExpired: (source, error: FeedExpiredError) => (error.source === source ? Offset.earliest : Offset.latest),
    onState: (state, { attempt, retryInMs }) => `${state} ${attempt} ${retryInMs}`,
  });

  await resume(tracker, 'headers', sse('https://example.com/feed', { headers: new Headers({ a: 'b' }) }), {
    handler: async ({ data }) => data.length,
  });
  for await (const { data } of resume(tracker, 'countdown', countdown)) if (data < 0) break;
  return tracker.record('countdown', Offset.sequence(10));
}

function show(event: SseEvent<{ readonly price: number }>, signal: AbortSignal): number {
  return signal.aborted ? 0 : event.data.price;
}

async function* countdown(from: Offset, { signal }: FeedContext) {
  for (let n = from.kind === 'sequence' ? Number(from.value) : 0; n < 10 && !signal.aborted; n++) {
    yield { offset: Offset.sequence(n), data: 10 - n };
  }
  return 'end' as const;
}
export const feed: Feed<number, FeedEvent<number>> = countdown;

export async function look(tracker: OffsetTracker): Promise<SourceStatus> {
  const unsubscribe: () => void = tracker.subscribe(({ type, source, offset, origin }) => {
    if (type === 'committed' && origin === 'remote' && offset) texts.concat(source ?? '', Offset.format(offset));
  });
  const from: Offset = await tracker.getOffset('orders');
  const outcomes: ReadonlyMap<string, 'committed' | 'fenced'> = await tracker.commitAll();
  const committed: ReadonlyMap<string, Offset> = await tracker.getAllCommitted();
  const pending: ReadonlyMap<string, Offset> = tracker.getAllPending();
  if (outcomes.size + committed.size + pending.size > 0) await tracker.reset('orders', from);
  const ticket = await tracker.begin('orders', Offset.sequence(11));
  await ticket.done();
  await readOnce(await tracker.read('orders', { fence: true }));
  if ((await tracker.commit('orders')) === 'none') await tracker.clear('orders');
  unsubscribe();
  await tracker.close();
  return tracker.status('orders');
}

async function readOnce(reading: Reading): Promise<void> {
  const { from, signal }: { from: Offset; signal: AbortSignal } = reading;
  if (signal.aborted || Offset.isLatest(from)) return;
  const begun: Ticket = await reading.begin(Offset.sequence(12), { signal });
  await begun.done();
  if ((await reading.record(Offset.sequence(13), { heartbeat: true })) === 'pending') await reading.commit();
  await reading.close();
}

export function explain(error: unknown): OffsetErrorCode | undefined {
  if (error instanceof FeedError) return error.retryable && error.status === 503 ? error.code : undefined;
  if (error instanceof StorageError || error instanceof LockError) return error.retryable ? error.code : undefined;
  if (error instanceof FencedError) return error.by === 'reset' ? error.code : undefined;
  const others = [InvalidOffsetError, SerializationError, SourceNotFoundError, FeedExpiredError, UnsupportedError];
  if (others.some((type) => error instanceof type)) return undefined;
  return error instanceof OffsetError ? error.code : undefined;
}

/** A store of one's own, as the manual shows it. */
export class MapOffsetStore implements OffsetStore {
  readonly capabilities = { durability: 'none', transactional: false, consistency: 'strong', shared: 'none' } as const;
  readonly compare: OffsetStore['compare'];
  readonly #rows = new Map<string, Checkpoint>();

  constructor(options: Pick<OffsetStore, 'compare'> = {}) {
    this.compare = options.compare;
  }

  async get(source: string): Promise<Checkpoint | undefined> {
    return this.#rows.get(source);
  }

  async getAll(): Promise<Map<string, Checkpoint>> {
    return new Map(this.#rows);
  }

  async commit(batch: Batch): Promise<Map<string, Checkpoint>> {
    const stands = new Map<string, Checkpoint>();
    for (const [source, checkpoint] of batch) {
      const row = this.#rows.get(source);
      const stored = join(row, checkpoint, source, this.compare);
      if (row === undefined || compareCheckpoints(row, stored, source, this.compare) !== 0)
        this.#rows.set(source, stored);
      stands.set(source, stored);
    }
    return stands;
  }

  async clearAll(): Promise<void> {
    this.#rows.clear();
  }

  async close(): Promise<void> {}

  subscribe(listener: (change: StoreChange) => void): () => void {
    return () => void listener;
  }
}

export function suite(describe: (name: string, body: () => void) => void): void {
  const it = (name: string, body: () => Promise<void>): void => describe(name, () => void body());
  const expect = (found: unknown) => ({ toEqual: (wanted: unknown): void => void [found, wanted] });
  testOffsetStore('MapOffsetStore', (options) => new MapOffsetStore(options), { describe, it, expect });
}

export const trackers: readonly OffsetTracker[] = [
  open(new InMemoryOffsetStore([], { compare: (a, b) => Number(a) - Number(b) }), 'auto'),
  open(new MapOffsetStore(), { intervalMs: 1000 }),
];
