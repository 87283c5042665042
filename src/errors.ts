/** What an {@link OffsetError} is about, for code that has to tell errors apart without `instanceof`. */
export type OffsetErrorCode =
  | 'storage'
  | 'serialization'
  | 'source-not-found'
  | 'lock'
  | 'invalid-offset'
  | 'unsupported'
  | 'feed'
  | 'feed-expired'
  | 'feed-changed'
  | 'fenced'
  | 'in-flight'
  | 'closed';

/** Options that every error of this library takes. */
export interface OffsetErrorOptions extends ErrorOptions {
  /** What the platform threw, where it threw something. Default: none. */
  readonly cause?: unknown;
  /** The source that the error is about, where it is about one. Default: none. */
  readonly source?: string | undefined;
}

/** The base of all errors that this library throws. `cause` holds what the platform threw, where it threw something. */
export class OffsetError extends Error {
  override readonly name: string = 'OffsetError';
  /** What the error is about. */
  readonly code: OffsetErrorCode;
  /** The source that the error is about; undefined where it is about the whole store. */
  readonly source: string | undefined;

  /**
   * The error of a code that has no class of its own; to tell one apart, look at `code`, or use `instanceof`.
   * @example
   * if (error instanceof OffsetError && error.code === 'closed') return;
   */
  constructor(code: OffsetErrorCode, message: string, options?: OffsetErrorOptions) {
    super(message, options);
    this.code = code;
    this.source = options?.source;
  }
}

/** Options of a {@link StorageError}. */
export interface StorageErrorOptions extends OffsetErrorOptions {
  /** See {@link StorageError.retryable}; default false. */
  readonly retryable?: boolean;
}

/** Reading or writing a store failed: the disk, the network, a quota, a lost connection. */
export class StorageError extends OffsetError {
  override readonly name = 'StorageError';
  /** Whether the same call may succeed later by itself. A quota that is spent is not retryable. */
  readonly retryable: boolean;

  /**
   * What a store of your own throws where it cannot read or write.
   * @param message what happened, to which source, and what to do
   * @example
   * throw new StorageError('the database is busy: try again', { source, cause, retryable: true });
   */
  constructor(message: string, options?: StorageErrorOptions) {
    super('storage', message, options);
    this.retryable = options?.retryable ?? false;
  }
}

/** What is stored cannot be read as a checkpoint. It is left untouched, and never taken for "no offset". */
export class SerializationError extends OffsetError {
  override readonly name = 'SerializationError';

  /**
   * What a store of your own throws where it finds what it did not write.
   * @param message what was found, where, and what to do
   * @example
   * throw new SerializationError(`row ${id} is no checkpoint: repair or delete it`, { source });
   */
  constructor(message: string, options?: OffsetErrorOptions) {
    super('serialization', message, options);
  }
}

/** Nothing is committed for the source and the reset policy is 'none'. */
export class SourceNotFoundError extends OffsetError {
  override readonly name = 'SourceNotFoundError';
  constructor(source: string) {
    super(
      'source-not-found',
      `nothing is committed for ${quote(source)} and the reset policy is 'none': reset it first`,
      {
        source,
      },
    );
  }
}

/** A lock that the operation needs is held by somebody else. */
export class LockError extends OffsetError {
  override readonly name = 'LockError';
  /** The lock becomes free when its holder is done: the same call may succeed later by itself. */
  readonly retryable = true;
  constructor(message: string, options?: OffsetErrorOptions) {
    super('lock', message, options);
  }
}

/** Something that is not an offset, or not one that fits the source, was given. */
export class InvalidOffsetError extends OffsetError {
  override readonly name = 'InvalidOffsetError';
  constructor(message: string, options?: OffsetErrorOptions) {
    super('invalid-offset', message, options);
  }
}

/** The store or the platform cannot do what was asked for. */
export class UnsupportedError extends OffsetError {
  override readonly name = 'UnsupportedError';
  constructor(message: string, options?: OffsetErrorOptions) {
    super('unsupported', message, options);
  }
}

/** Options of a {@link FeedExpiredError}. */
export interface FeedExpiredErrorOptions extends OffsetErrorOptions {
  /** See {@link FeedExpiredError.feedId}. Default: none. */
  readonly feedId?: string | undefined;
}

/** The feed no longer holds the events after the offset it was asked to go on from. */
export class FeedExpiredError extends OffsetError {
  override readonly name = 'FeedExpiredError';
  /** The id that the feed tells of its log; undefined where it tells none. */
  readonly feedId: string | undefined;

  constructor(message: string, options: FeedExpiredErrorOptions = {}) {
    super('feed-expired', message, options);
    this.feedId = options.feedId;
  }
}

/** Options of a {@link FeedChangedError}. */
export interface FeedChangedErrorOptions extends OffsetErrorOptions {
  /** See {@link FeedChangedError.expected}. Default: none. */
  readonly expected?: string | undefined;
  /** See {@link FeedChangedError.found}. Default: none. */
  readonly found?: string | undefined;
}

/** The log behind a feed is another one than the offset belongs to: it was recreated, or restored from a backup. */
export class FeedChangedError extends OffsetError {
  override readonly name = 'FeedChangedError';
  /** The feed id that the offset belongs to; undefined where none was told. */
  readonly expected: string | undefined;
  /** The feed id that the feed tells now; the same as `expected` where its newest event is before the offset. */
  readonly found: string | undefined;

  constructor(message: string, options: FeedChangedErrorOptions = {}) {
    super('feed-changed', message, options);
    this.expected = options.expected;
    this.found = options.found;
  }
}

/** A reading is void: the source was reset, or somebody else reads it now. */
export class FencedError extends OffsetError {
  override readonly name = 'FencedError';
  /** 'reset': read again, from where the reset says. 'reader': another reader fenced this one and goes on in its place. */
  readonly by: 'reset' | 'reader';

  constructor(source: string, by: 'reset' | 'reader') {
    const why =
      by === 'reset'
        ? 'the source was reset: read it again to go on from there'
        : 'another reader has taken its place: run one reader a source, or use `exclusive` where tabs take turns';
    super('fenced', `the reading of ${quote(source)} is void: ${why}`, { source });
    this.by = by;
  }
}

/** A value as error messages show it: quoted, escaped, and cut to a length that fits a log line. */
export function quote(value: unknown): string {
  let text: string;
  try {
    text =
      JSON.stringify(value, (_, inner: unknown) => {
        if (typeof inner === 'bigint') return `${inner}n`;
        return typeof inner === 'number' && !Number.isFinite(inner) ? String(inner) : inner;
      }) ?? String(value);
  } catch {
    // A cycle or a throwing getter: the kind of thing it is says enough.
    text = `a ${typeof value}`;
  }
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}
