import superjson from 'superjson';
import { type Checkpoint, asCheckpoint, unreadable } from './checkpoint.ts';

/**
 * A checkpoint as text, as superjson writes it, which carries bigint, Date and undefined. It is JSON of whole characters:
 * no NUL and no lone surrogate stands in it, whatever the offset is.
 */
export function encode(checkpoint: Checkpoint): string {
  const { epoch, rank, offset, feed, committedAt } = checkpoint;
  const json = { epoch, rank, offset, ...(feed !== undefined && { feed }), committedAt };
  // What superjson would make of the kind that needs the most of it, without its walk through the value.
  if (offset?.kind === 'sequence' && typeof offset.value === 'bigint') {
    return JSON.stringify({ json: { ...json, offset: { ...offset, value: `${offset.value}` } }, meta: ofBigint });
  }
  return superjson.stringify(json);
}

/**
 * The inverse of `encode`.
 * @param source is named in the error
 * @param where names the store and the place in it, for the error
 * @throws SerializationError where the text is no checkpoint
 */
export function decode(text: string, source: string, where: string): Checkpoint {
  let value: unknown;
  try {
    value = superjson.parse(text);
  } catch (cause) {
    throw unreadable(text, source, where, { cause });
  }
  const found = asCheckpoint(value, source, where);
  // Text that has lost its offset stands for no tombstone, and '' is no number, whatever BigInt says.
  const { offset } = found;
  const isSaid =
    offset?.kind === 'sequence' ? text.includes(`"${offset.value}"`) : (offset ?? isTombstone(text, value));
  if (!isSaid) throw unreadable(value, source, where);
  return found;
}

function isTombstone(text: string, value: unknown): boolean {
  return text.includes('"undefined"') && 'offset' in Object(value);
}

const ofBigint = { values: { 'offset.value': ['bigint'] }, v: 1 };
