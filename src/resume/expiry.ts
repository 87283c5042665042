import type { FeedExpiredError } from '../errors.ts';
import type { Offset } from '../offset.ts';
import type { ReaderOptions } from './options.ts';

type Policy = ReaderOptions['onExpired'];

/** How often in a row a feed may expire. A policy gives the same answer again; a callback may have found a better one. */
export function attemptsOf(policy: Policy = 'none'): number {
  if (policy === 'none') return 0;
  return typeof policy === 'function' ? 5 : 1;
}

/** Where to go on. */
export async function whereTo(policy: Policy, source: string, error: FeedExpiredError): Promise<Offset> {
  return typeof policy === 'function' ? policy(source, error) : { kind: policy === 'latest' ? 'latest' : 'earliest' };
}
