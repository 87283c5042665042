import type { Checkpoint } from '../../checkpoint.ts';
import {
  FencedError,
  InvalidOffsetError,
  LockError,
  OffsetError,
  type OffsetErrorCode,
  SerializationError,
  StorageError,
  UnsupportedError,
} from '../../errors.ts';
import type { Offset } from '../../offset.ts';

/** What a {@link RemoteOffsetStore} asks an `OffsetsObject`. */
export type OffsetsRequest =
  | { readonly call: 'get'; readonly source: string }
  | { readonly call: 'getAll' }
  | { readonly call: 'commit'; readonly batch: ReadonlyMap<string, Checkpoint> }
  | {
      readonly call: 'begin';
      readonly source: string;
      readonly at?: { readonly offset?: Offset | undefined } | undefined;
    }
  | { readonly call: 'clearAll' };

/** What it answers. An error is data: RPC would lose its name and its code. */
export type OffsetsAnswer =
  | { readonly tidemark: 1; readonly isOk: true; readonly value: unknown }
  | { readonly tidemark: 1; readonly isOk: false; readonly error: ErrorAcross };

/** An error on its way through RPC. */
export interface ErrorAcross {
  /** The error's `code`, which tells its class. */
  readonly code: OffsetErrorCode;
  /** The error's message. */
  readonly message: string;
  /** The source that the error is about, where it is about one. */
  readonly source?: string | undefined;
  /** Whether the same call may succeed later by itself. */
  readonly retryable: boolean;
  /** Of a FencedError: who fenced the reading. */
  readonly by?: FencedError['by'] | undefined;
  /** What the platform threw, as text. */
  readonly cause?: string | undefined;
}

/** What a store needs of the stub of an `OffsetsObject`. */
export interface OffsetsStub {
  tidemark(request: OffsetsRequest): Promise<OffsetsAnswer>;
}

/** Whether it is what an `OffsetsObject` answers, and not what some other object does. */
export function isAnswer(value: unknown): value is OffsetsAnswer {
  const { tidemark, isOk } = Object(value) as Partial<Record<keyof OffsetsAnswer, unknown>>;
  return tidemark === 1 && typeof isOk === 'boolean';
}

export function toAnswer(error: unknown): OffsetsAnswer {
  const { code = 'storage', message, source, cause } = error instanceof OffsetError ? error : plain(error);
  const retryable = (error instanceof StorageError || error instanceof LockError) && error.retryable;
  const by = error instanceof FencedError ? error.by : undefined;
  const text = cause === undefined ? undefined : String(cause);
  return { tidemark: 1, isOk: false, error: { code, message, source, retryable, by, cause: text } };
}

/** The error that was thrown in the object, of the same class, with the same code and message. */
export function fromAcross({ code, message, source, retryable, by, cause }: ErrorAcross): OffsetError {
  const options = { source, ...(cause !== undefined && { cause: new Error(cause) }) };
  switch (code) {
    case 'storage':
      return new StorageError(message, { ...options, retryable });
    case 'serialization':
      return new SerializationError(message, options);
    case 'lock':
      return new LockError(message, options);
    case 'invalid-offset':
      return new InvalidOffsetError(message, options);
    case 'unsupported':
      return new UnsupportedError(message, options);
    case 'fenced':
      return new FencedError(source ?? '', by ?? 'reader');
    default:
      return new OffsetError(code, message, options);
  }
}

function plain(
  error: unknown,
): Pick<OffsetError, 'message' | 'source' | 'cause'> & { readonly code?: OffsetErrorCode } {
  return { message: `the OffsetsObject failed: ${error}`, source: undefined, cause: error };
}
