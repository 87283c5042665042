// Each of these is a mistake that the types have to catch, whatever the project's own types are.
import {
  InMemoryOffsetStore,
  Offset,
  type OffsetStore,
  OffsetTracker,
  type RecordOutcome,
  type Strategy,
  resume,
  sse,
} from 'tidemark';
import { CloudflareKVOffsetStore } from 'tidemark/cloudflare-kv';
import { FileOffsetStore } from 'tidemark/file';
import { LocalStorageOffsetStore } from 'tidemark/local-storage';
import { testOffsetStore } from 'tidemark/testing';

const tracker = new OffsetTracker(new InMemoryOffsetStore());

// @ts-expect-error headers are no number
sse('/feed', { headers: 42 });
// @ts-expect-error nor is a header's value
sse('/feed', { headers: { authorization: 42 } });
// @ts-expect-error nor what a function answers
sse('/feed', { headers: () => 42 });
// @ts-expect-error credentials are a word
sse('/feed', { credentials: { nonsense: true } });
// @ts-expect-error and one of three
sse('/feed', { credentials: 'always' });
// @ts-expect-error an option that there is not
sse('/feed', { nonsense: true });
// @ts-expect-error a URL is needed
sse(42);
// @ts-expect-error a fetch answers a response
sse('/feed', { fetch: async () => 'text' });
// @ts-expect-error an event id stands for an offset
sse('/feed', { offset: (id) => id });
// @ts-expect-error the place is sent by a header or in the query
sse('/feed', { lastEventId: 'cookie' });

// @ts-expect-error a strategy that there is not
void new OffsetTracker(new InMemoryOffsetStore(), { strategy: 'sometimes' });
// @ts-expect-error a number of events
export const strategy: Strategy = { every: '100' };
// @ts-expect-error a policy that there is not
void new OffsetTracker(new InMemoryOffsetStore(), { resetPolicy: 'newest' });
// @ts-expect-error no store
void new OffsetTracker(new Map());
// @ts-expect-error a store is needed
void new OffsetTracker();

// @ts-expect-error an offset is made by Offset
void tracker.record('orders', 42);
// @ts-expect-error a record has an offset
void tracker.record('orders');
// @ts-expect-error a sequence is a whole number
Offset.sequence({});
// @ts-expect-error a time
Offset.timestamp(true);
// @ts-expect-error a cursor is text
Offset.custom(42);
// @ts-expect-error offsets are read-only
Offset.earliest.kind = 'latest';

// @ts-expect-error what is read is text, unless `parse` says otherwise
void resume(tracker, 'orders', sse('/feed'), { handler: (event: { readonly data: number }) => event.data });
// @ts-expect-error an answer that there is not
resume(tracker, 'orders', sse('/feed'), { onExpired: 'never' });
// @ts-expect-error an array is no feed
resume(tracker, 'orders', () => []);
// @ts-expect-error nor are events without data
resume(tracker, 'orders', async function* () {
  yield { id: 1 };
});
// @ts-expect-error a signal is an AbortSignal
resume(tracker, 'orders', sse('/feed'), { signal: true });

export async function loop(): Promise<void> {
  for await (const event of resume(tracker, 'orders', sse('/feed'))) {
    // @ts-expect-error an event's id is text
    const id: number = event.id;
    // @ts-expect-error as is its data
    const data: number = event.data;
    // @ts-expect-error an event has no such property
    void [id, data, event.nonsense];
  }
  // @ts-expect-error a record answers one of three words
  const outcome: 'done' = await tracker.record('orders', Offset.sequence(1));
  const known: RecordOutcome = await tracker.record('orders', Offset.sequence(2));
  void [outcome, known];
}

// @ts-expect-error a store has five methods
export const store: OffsetStore = { get: async () => undefined };
// @ts-expect-error a path is text
void new FileOffsetStore(42);
// @ts-expect-error an option that there is not
void new FileOffsetStore('state/offsets.json', { nonsense: true });
// @ts-expect-error no namespace
void new CloudflareKVOffsetStore('OFFSETS');
// @ts-expect-error no storage
void new LocalStorageOffsetStore({ storage: new Map() });
// @ts-expect-error a function that makes a store is needed
testOffsetStore('InMemoryOffsetStore', new InMemoryOffsetStore());
