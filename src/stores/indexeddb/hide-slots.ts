import { type Checkpoint, isCheckpoint, unreadable } from '../../checkpoint.ts';
import type { Batch } from '../../store.ts';

/** What a page saved of one source in localStorage as it went away; `slot` is the key that it stands under. */
export type HideSlot = Checkpoint & { readonly source: string; readonly slot: string };

/**
 * Saves a batch at once, each call and source under a key of its own. A page in WebKit, and now and then one in Firefox, is
 * gone before what it gave to IndexedDB gets there; what it gave to localStorage stays.
 */
export function fillHideSlots(storeId: string, batch: Batch): void {
  const id = crypto.getRandomValues(new Uint32Array(4)).join('-');
  for (const [source, checkpoint] of batch) {
    try {
      localStorage.setItem(prefixOf(storeId, source) + id, JSON.stringify(checkpoint, withoutBigint));
    } catch {
      // No localStorage here, no access to it, or no room in it. Nobody is left to be told.
    }
  }
}

/**
 * The slots that pages filled for a source, or for all.
 * @throws SerializationError naming the source, for a slot that cannot be read, which is left as it is
 */
export function findHideSlots(storeId: string, wanted?: string): HideSlot[] {
  return hideSlotKeys(storeId, wanted).flatMap((slot) => {
    const text = localStorage.getItem(slot);
    // Null where another tab has folded it away meanwhile.
    return text === null ? [] : [decode(text, slot, slot.slice(prefixOf(storeId).length, slot.lastIndexOf('/')))];
  });
}

/** The keys of the same. */
export function hideSlotKeys(storeId: string, wanted?: string): string[] {
  const prefix = prefixOf(storeId, wanted);
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(prefix));
  } catch {
    return []; // No localStorage here, or no access to it.
  }
}

/** JSON keeps names apart, and is well-formed even for a lone surrogate. */
function prefixOf(storeId: string, source?: string): string {
  return `tidemark-hide/1/${JSON.stringify(storeId)}/${source === undefined ? '' : `${JSON.stringify(source)}/`}`;
}

function decode(text: string, slot: string, name: string): HideSlot {
  let source = name;
  let cause: unknown;
  try {
    source = String(JSON.parse(name));
    const found: unknown = JSON.parse(text, revive);
    if (isCheckpoint(found)) return { ...found, source, slot };
  } catch (error) {
    cause = error;
  }
  throw unreadable(text, source, `localStorage key ${slot}`, { cause });
}

/** Spares those who import this the weight of superjson, whose way the other stores of text go. */
function withoutBigint(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

function revive(key: string, value: { readonly kind?: unknown; readonly value: string }): unknown {
  if (key !== 'offset') return value;
  if (value.kind === 'sequence') {
    const number = BigInt(value.value);
    // It takes '' for 0. What is not as it was written is left as it is, and then is no offset.
    return String(number) === value.value ? { kind: value.kind, value: number } : value;
  }
  return value.kind === 'timestamp' ? { kind: value.kind, value: new Date(value.value) } : value;
}
