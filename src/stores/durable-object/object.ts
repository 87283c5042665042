import { UnsupportedError, quote } from '../../errors.ts';
import { asOffset } from '../../offset.ts';
import {
  DurableObjectOffsetStore,
  type DurableObjectOffsetStoreOptions,
  type DurableObjectSql,
  type DurableObjectStorage,
} from './storage.ts';
import { type OffsetsAnswer, type OffsetsRequest, type OffsetsStub, toAnswer } from './wire.ts';

/** What {@link OffsetsObject} adds to a class. */
export interface OffsetsInstance<Sql extends DurableObjectSql = DurableObjectSql> extends OffsetsStub {
  /** The store on the object's own SQLite, for the object's own methods: with it they can `transact`. */
  readonly offsets: DurableObjectOffsetStore<Sql>;
}

/**
 * A base class for a Durable Object that keeps the checkpoints of Workers anywhere: they reach it by a
 * `RemoteOffsetStore`. Your own class adds methods and fields of its own, or none. It needs SQLite (`new_sqlite_classes`).
 *
 * @param Base the platform's `DurableObject`, imported from 'cloudflare:workers'
 * @param options of the store on the object's SQLite
 * @example
 * import { DurableObject } from 'cloudflare:workers';
 * import { OffsetsObject } from 'tidemark/durable-object';
 *
 * export class Offsets extends OffsetsObject(DurableObject) {}
 */
export function OffsetsObject<State extends ObjectState, Env, Instance extends object>(
  Base: abstract new (ctx: State, env: Env) => Instance,
  options: DurableObjectOffsetStoreOptions = {},
): new (ctx: State, env: Env) => Instance & OffsetsInstance<State['storage']['sql']> {
  abstract class Offsets extends (Base as abstract new (ctx: State, env: Env) => object) implements OffsetsInstance {
    // RPC shows a caller what stands on the prototype, and so not this.
    readonly offsets: DurableObjectOffsetStore;

    constructor(ctx: State, env: Env) {
      super(ctx, env);
      this.offsets = new DurableObjectOffsetStore(ctx.storage, options);
    }

    async tidemark(request: OffsetsRequest): Promise<OffsetsAnswer> {
      try {
        return { tidemark: 1, isOk: true, value: await answer(this.offsets, request) };
      } catch (error) {
        return toAnswer(error);
      }
    }
  }
  // The platform makes it, with what the platform's own class takes and gives.
  return Offsets as unknown as new (ctx: State, env: Env) => Instance & OffsetsInstance<State['storage']['sql']>;
}

/** What the platform gives to an object's constructor. */
interface ObjectState {
  readonly storage: DurableObjectStorage;
}

async function answer(store: DurableObjectOffsetStore, request: OffsetsRequest): Promise<unknown> {
  switch (request.call) {
    case 'get':
      return store.get(request.source);
    case 'getAll':
      return store.getAll();
    case 'commit':
      return store.commit(request.batch);
    case 'begin': {
      const { source, at } = request;
      return store.begin(source, at && { offset: at.offset && asOffset(at.offset, source) });
    }
    case 'clearAll':
      return store.clearAll();
    default:
      throw new UnsupportedError(
        `an OffsetsObject does not know the request ${quote(request)}: deploy both sides anew`,
      );
  }
}
