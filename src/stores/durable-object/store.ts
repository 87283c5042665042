export type { ErrorAcross, OffsetsAnswer, OffsetsRequest, OffsetsStub } from './wire.ts';
export { OffsetsObject, type OffsetsInstance } from './object.ts';
export { RemoteOffsetStore, type RemoteOffsetStoreOptions } from './remote.ts';
export {
  DurableObjectOffsetStore,
  type DurableObjectOffsetStoreOptions,
  type DurableObjectSql,
  type DurableObjectStorage,
} from './storage.ts';
