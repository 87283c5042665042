import { quote } from '../errors.ts';

/** What a caller without types may have given. */
interface Given {
  readonly handler?: unknown;
  readonly batch?: unknown;
  readonly transact?: unknown;
  readonly concurrency?: unknown;
  readonly view?: unknown;
}

/** @throws TypeError for what `resume` cannot work with */
export function checkArguments(
  tracker: { readonly read?: unknown } | undefined,
  source: unknown,
  feed: unknown,
  { handler, batch, transact, concurrency, view }: Given,
): void {
  if (typeof tracker?.read !== 'function') throw isNo('tracker', tracker);
  if (typeof source !== 'string') throw isNo('source', source);
  if (typeof feed !== 'function') throw isNo('feed', feed);
  if (handler !== undefined && typeof handler !== 'function') throw wrong(source, `${quote(handler)} is no handler`);
  if (handler !== undefined || view !== undefined) return;
  const meant = Object.entries({ batch, transact, concurrency }).find(([, value]) => value !== undefined);
  if (meant && meant[1] !== false) throw wrong(source, `\`${meant[0]}\` needs a handler`);
}

function isNo(what: string, found: unknown): TypeError {
  return new TypeError(`resume: ${quote(found)} is no ${what}: give a tracker, the name of the source, and a feed`);
}

function wrong(source: string, what: string): TypeError {
  return new TypeError(`resume of ${quote(source)}: ${what}: give a function that takes an event`);
}
