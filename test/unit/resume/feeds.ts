import { Offset, type InMemoryOffsetStore, type Feed, type FeedContext, type FeedItem } from 'tidemark';

/** Reopens at once. */
export const swift = { minDelayMs: 0, maxDelayMs: 0 };

/** The next turn of the event loop. */
export const turn = (): Promise<void> => new Promise((resolve) => void setTimeout(resolve));

/** A feed of the numbers up to `last`, which drops after every `perOpening` of them. */
export function numbers({ last = Infinity, perOpening = Infinity } = {}) {
  const openings: Offset[] = [];
  const contexts: FeedContext[] = [];
  let open = 0;
  let mostOpen = 0;
  const feed: Feed<number> = async function* (from, context) {
    openings.push(from);
    contexts.push(context);
    mostOpen = Math.max(mostOpen, ++open);
    try {
      let next = from.kind === 'sequence' ? Number(from.value) + 1 : 1;
      for (let i = 0; i < perOpening && next <= last; i++, next++) yield { offset: Offset.sequence(next), data: next };
      if (next > last) return 'end';
    } finally {
      open--;
    }
  };
  return { feed, openings, contexts, mostOpen: () => mostOpen };
}

/** A feed that yields what is pushed to it, and stays open. */
export function pushed<T>() {
  const openings: Offset[] = [];
  const items: (FeedItem<T> | 'drop' | Error)[] = [];
  let wake = (): void => {};
  const feed: Feed<T> = async function* (from, { signal }) {
    openings.push(from);
    signal.addEventListener('abort', () => wake());
    while (!signal.aborted) {
      const item = items.shift();
      if (item === 'drop') return;
      if (item instanceof Error) throw item;
      if (item) yield item;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  const push = (...more: typeof items): void => {
    items.push(...more);
    wake();
  };
  return { feed, openings, push };
}

export const at = (value: number) => ({ offset: Offset.sequence(value), data: value });

/** Makes the next commits of a store fail, one error each; undefined lets one through. */
export function failing(store: InMemoryOffsetStore, errors: (Error | undefined)[]) {
  const commit = store.commit.bind(store);
  store.commit = async (batch) => {
    const error = errors.shift();
    if (error) throw error;
    return commit(batch);
  };
  return store;
}

/** A feed without events, of which a function says how each opening, counted from 1, ends. */
export function endings(end: (opening: number, context: FeedContext) => 'end' | undefined) {
  let count = 0;
  const feed: Feed<never> = (_from, context) => ({
    [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: end(++count, context) }) }),
  });
  return { feed, count: () => count };
}
