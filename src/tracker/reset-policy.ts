import { SourceNotFoundError, quote } from '../errors.ts';
import { type Offset, asOffset, earliest, latest } from '../offset.ts';
import type { ResetPolicy } from './types.ts';

/** @throws TypeError for what is no policy */
export function checkPolicy(policy: ResetPolicy = 'earliest'): void {
  if (typeof policy === 'function' || /^(earliest|latest|none)$/.test(policy)) return;
  throw new TypeError(`resetPolicy ${quote(policy)}: give 'earliest', 'latest', 'none' or a function`);
}

/** @throws SourceNotFoundError under the policy 'none'; InvalidOffsetError for what is no offset */
export async function startOf(source: string, policy: ResetPolicy = 'earliest'): Promise<Offset> {
  if (policy === 'none') throw new SourceNotFoundError(source);
  if (typeof policy === 'function') return asOffset(await policy(source), source);
  return asOffset({ earliest, latest }[policy], source);
}
