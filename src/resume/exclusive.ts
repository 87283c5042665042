import { UnsupportedError, quote } from '../errors.ts';
import type { OffsetStore } from '../store.ts';
import { Turn, type TurnHandlers } from '../tabs/turn.ts';

/**
 * The place of this tab among those that want to read a source of a store.
 * @throws UnsupportedError where a lock cannot be had, or does not reach as far as the store
 */
export function takeTurns(
  { id, capabilities }: OffsetStore,
  source: string,
  takeoverAfterMs: number,
  handlers: TurnHandlers,
): Turn {
  const lacks = !globalThis.navigator?.locks
    ? 'Web Locks, which need a secure context'
    : id === undefined || capabilities.shared !== 'tabs'
      ? 'a store that tabs share'
      : undefined;
  if (lacks) throw new UnsupportedError(`${quote(source)} cannot be read exclusively without ${lacks}`, { source });
  return new Turn(`tidemark-reader/1/${JSON.stringify([id, source])}`, takeoverAfterMs, handlers);
}
