import { type Checkpoint, isCheckpoint } from '../checkpoint.ts';
import { decode, encode } from '../codec.ts';
import { InvalidOffsetError, SerializationError, StorageError, UnsupportedError, quote } from '../errors.ts';
import { orderKey } from '../order-key.ts';

/** A source and its checkpoint as they stand in a table: all of it text, so that no driver rounds a number. */
export interface Row {
  readonly source: string;
  readonly order_key: string;
  readonly checkpoint: string;
}

/**
 * How the text of every checkpoint begins. A commit that does not read first looks at this much of what it replaces, so
 * that it writes over nothing that is no checkpoint.
 */
export const opening = '{"json":{"epoch":';

/** @throws InvalidOffsetError where it is no checkpoint, before anything is stored */
export function toRow(source: string, checkpoint: Checkpoint): Row {
  if (isCheckpoint(checkpoint)) {
    return { source: sourceText(source), order_key: orderKey(checkpoint), checkpoint: encode(checkpoint) };
  }
  throw new InvalidOffsetError(`${quote(checkpoint)} for ${quote(source)} is no checkpoint: nothing was stored`, {
    source,
  });
}

/** @throws SerializationError where the row holds no checkpoint */
export function fromRow(row: Pick<Row, 'checkpoint'>, source: string, where: string): Checkpoint {
  return decode(String(row.checkpoint), source, where);
}

/**
 * A source's name as text that every database can hold: NUL and lone surrogates, quotes and backslashes are escaped as in
 * JSON, and so is what drivers take for a byte order mark. Most names stay as they are.
 */
export function sourceText(source: string): string {
  return JSON.stringify(source).slice(1, -1).replaceAll('\ufeff', '\\ufeff');
}

/** The inverse of `sourceText`. @throws SerializationError where the text is not of its making */
export function sourceOf(text: string, where: string): string {
  try {
    return String(JSON.parse(`"${text}"`));
  } catch (cause) {
    throw new SerializationError(`${where}: ${quote(text)} names no source: remove the row, or all with clearAll()`, {
      cause,
    });
  }
}

/**
 * The name of a table as it stands in a statement: quoted, each side of a dot by itself.
 * @throws UnsupportedError where it is no name of a table
 */
export function quotedTable(table: string): string {
  const parts = String(table).split('.');
  if (parts.length > 2 || parts.includes('') || /[\0\p{Surrogate}]/u.test(table)) {
    throw new UnsupportedError(
      `${quote(table)} names no table: give a name, or a schema and a name with a dot between`,
    );
  }
  return parts.map((part) => `"${part.replaceAll('"', '""')}"`).join('.');
}

/** What a driver threw, as this library's error. */
export function storageError(
  doing: string,
  where: string,
  cause: unknown,
  retryable: boolean,
  source?: string,
): StorageError {
  const found = cause instanceof Error ? cause.message : quote(cause);
  const about = source === undefined ? '' : ` ${quote(source)}`;
  const advice = retryable ? '; nothing is lost, try again' : '';
  return new StorageError(`could not ${doing}${about} in ${where}: ${found}${advice}`, { source, cause, retryable });
}

/** What an effect threw, on its way through the store to the caller. */
export class EffectFailure {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/** How often a compare-and-set is tried: of those who try at the same moment one succeeds each time. */
export const mostTries = 200;

/** What is stored moved under each of the tries. @param why may differ where that has another reason */
export function crowded(where: string, source: string | undefined, why = 'too many write it at once'): StorageError {
  return new StorageError(
    `${where} moved under each of ${mostTries} tries${source === undefined ? '' : ` to write ${quote(source)}`}: ${why}`,
    { source, retryable: true },
  );
}
