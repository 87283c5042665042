import { OffsetError, StorageError, quote } from '../../errors.ts';
import { isTransient, reason } from './pace.ts';

/** KV refused some sources of a batch. What could be written stays written, and costs no write when it is committed again. */
export class KVBatchError extends StorageError {
  /** The sources whose checkpoints are stored. */
  readonly written: readonly string[];
  /** The sources whose checkpoints are not, with what each failed with. */
  readonly failed: ReadonlyMap<string, unknown>;

  constructor(failed: ReadonlyMap<string, unknown>, written: readonly string[]) {
    const errors = [...failed.values()];
    const [first] = errors;
    const cause = first instanceof OffsetError ? first.cause : first;
    const count = failed.size + written.length;
    super(
      `writing ${failed.size} of ${count} sources in KV failed: ${reason(cause)}; ` +
        `not written: ${list([...failed.keys()])}; written: ${list(written)}`,
      {
        source: failed.size === 1 ? [...failed.keys()][0] : undefined,
        cause,
        retryable: errors.every((error) => (error instanceof StorageError ? error.retryable : isTransient(error))),
      },
    );
    this.written = written;
    this.failed = failed;
  }
}

/** Names that fit a log line; the error has them all. */
function list(sources: readonly string[]): string {
  if (sources.length === 0) return 'none';
  const named = sources.slice(0, 3).map(quote).join(', ');
  return sources.length > 3 ? `${named} and ${sources.length - 3} more` : named;
}
