import { type Checkpoint, asCheckpoint } from '../../checkpoint.ts';
import { SerializationError, StorageError, UnsupportedError, quote } from '../../errors.ts';
import type { Offset } from '../../offset.ts';
import type { Batch, OffsetStore, StoreOptions } from '../../store.ts';
import { type OffsetsRequest, type OffsetsStub, fromAcross, isAnswer } from './wire.ts';

/** Options of a {@link RemoteOffsetStore}: give it the same `compare` as the object. */
export type RemoteOffsetStoreOptions = StoreOptions;

const where = 'the answer of the OffsetsObject';

/**
 * Keeps checkpoints in a Durable Object that extends `OffsetsObject`, for Workers anywhere: all see the same, at once, and a
 * fence or a reset holds for all. Errors come across as the classes that they are.
 *
 * It cannot `transact`: an effect does not travel. Where the effect and the offset belong together, write both in a method
 * of the object, by its `offsets`.
 *
 * Calls reject with a StorageError, `retryable` where the object could not be reached or is overloaded, and with an
 * UnsupportedError where the stub is of something else than an `OffsetsObject`.
 *
 * @example
 * const stub = env.OFFSETS.get(env.OFFSETS.idFromName('all'));
 * const tracker = new OffsetTracker(new RemoteOffsetStore(stub));
 */
export class RemoteOffsetStore implements OffsetStore {
  readonly capabilities = {
    durability: 'durable',
    transactional: false,
    consistency: 'strong',
    shared: 'global',
  } as const;
  readonly compare: StoreOptions['compare'];
  readonly #stub: () => OffsetsStub;

  /**
   * @param stub what the namespace's `get` answers. A function is asked for a stub at each call: a stub that has failed once
   * may be broken for good, and one of an earlier request may not be used
   */
  constructor(stub: OffsetsStub | (() => OffsetsStub), options: RemoteOffsetStoreOptions = {}) {
    this.compare = options.compare;
    // A stub has a method of any name, a function of yours has none of this one.
    const isStub = typeof (Object(stub) as Partial<OffsetsStub>).tidemark === 'function';
    this.#stub = !isStub && typeof stub === 'function' ? stub : () => stub as OffsetsStub;
  }

  async get(source: string): Promise<Checkpoint | undefined> {
    const found = await this.#ask({ call: 'get', source }, source);
    return found === undefined ? undefined : asCheckpoint(found, source, where);
  }

  async getAll(): Promise<Map<string, Checkpoint>> {
    return asBatch(await this.#ask({ call: 'getAll' }));
  }

  async commit(batch: Batch): Promise<Map<string, Checkpoint>> {
    if (batch.size === 0) return new Map();
    const [only] = batch.size === 1 ? batch.keys() : [];
    // A Map of the platform's own, which is all that RPC carries.
    return asBatch(await this.#ask({ call: 'commit', batch: new Map(batch) }, only));
  }

  async begin(source: string, at?: { readonly offset?: Offset | undefined }): Promise<Checkpoint> {
    return asCheckpoint(await this.#ask({ call: 'begin', source, at }, source), source, where);
  }

  async clearAll(): Promise<void> {
    await this.#ask({ call: 'clearAll' });
  }

  /** The stub stays the caller's. */
  async close(): Promise<void> {}

  async #ask(request: OffsetsRequest, source?: string): Promise<unknown> {
    let found: unknown;
    try {
      const stub = this.#stub();
      if (typeof (Object(stub) as Partial<OffsetsStub>).tidemark !== 'function') throw noStub(quote(stub));
      found = await stub.tidemark(request);
    } catch (cause) {
      throw failure(request, cause, source);
    }
    if (!isAnswer(found)) throw noStub(`what answered ${quote(found)}`);
    if (!found.isOk) throw fromAcross(found.error);
    return found.value;
  }
}

/** What a call itself failed with: on the way, or because the object has no such method. */
function failure(request: OffsetsRequest, cause: unknown, source: string | undefined): Error {
  if (cause instanceof UnsupportedError) return cause;
  const { message, retryable, overloaded } = Object(cause) as Record<string, unknown>;
  const text = String(message ?? cause);
  if (/does not implement|does not support RPC|no such method|not a function/i.test(text))
    return noStub('its object', cause);
  const mayPass = retryable === true || overloaded === true || transient.test(text);
  const about = source === undefined ? '' : ` of ${quote(source)}`;
  const advice = mayPass ? 'it may pass: try again' : 'look at what the object logs';
  return new StorageError(`the call '${request.call}'${about} to the OffsetsObject failed: ${text} (${advice})`, {
    source,
    cause,
    retryable: mayPass,
  });
}

// "Durable Objects: Troubleshooting", and what workerd says of an object whose process has ended.
const transient = /network connection lost|overloaded|durable object reset|object to be reset|internal error|broken\./i;

function noStub(found: string, cause?: unknown): UnsupportedError {
  return new UnsupportedError(
    `RemoteOffsetStore needs the stub of an OffsetsObject, and ${found} is none: let the class extend OffsetsObject(DurableObject), and give namespace.get(namespace.idFromName('…'))`,
    { cause },
  );
}

function asBatch(found: unknown): Map<string, Checkpoint> {
  if (!(found instanceof Map)) throw new SerializationError(`${where} is no map of checkpoints: found ${quote(found)}`);
  return new Map(Array.from(found, ([source, checkpoint]) => [source, asCheckpoint(checkpoint, source, where)]));
}
