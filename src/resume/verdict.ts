import { FeedError } from '../feeds/feed-error.ts';
import type { FeedEvent } from '../feeds/feed.ts';
import { type Offset, format } from '../offset.ts';
import type { ReaderOptions } from './options.ts';

/** What went wrong, with which event, and where that stands. */
interface Failed {
  readonly error: unknown;
  readonly event: unknown;
  readonly offset: Offset | undefined;
}

/**
 * What becomes of an event that fails, as `onFailed` says.
 * @throws what ends the reading: the error, or what `onFailed` fails with
 */
export async function verdictOn<E extends FeedEvent<unknown>>(
  { onFailed }: ReaderOptions<E>,
  { error, event, offset }: Failed,
  attempt: number,
): Promise<'retry' | 'skip'> {
  let answer: unknown;
  try {
    // One that cannot be read is as the feed has it.
    answer = (await onFailed?.(error, event as E, attempt)) ?? 'stop';
  } catch (thrown) {
    throw about(thrown, { event, offset });
  }
  if (answer === 'retry' || answer === 'skip') return answer;
  throw error;
}

/** Errors that were given their event here, which may fail with the next one too. */
const marked = /* @__PURE__ */ new WeakSet<object>();

/** Has an error say which event it is about; what cannot be written on becomes the cause of one that does. */
export function about(error: unknown, { event, offset }: Omit<Failed, 'error'>): unknown {
  if (typeof error === 'object' && error !== null && Object.isExtensible(error)) {
    mark(error, { event, offset });
    return error;
  }
  const where = offset ? ` at '${format(offset)}'` : '';
  return new FeedError(`the event${where} failed: ${String(error)}`, { cause: error, event, offset, retryable: false });
}

function mark(error: object, values: { readonly event: unknown; readonly offset: unknown }): void {
  const isOurs = marked.has(error);
  marked.add(error);
  for (const [key, value] of Object.entries(values)) {
    if (isOurs || (error as Record<string, unknown>)[key] === undefined)
      Reflect.defineProperty(error, key, { value, configurable: true, writable: true });
  }
}
