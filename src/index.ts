export type { Change, ChangeOutcome, Checkpoint, CompareCustom } from './checkpoint.ts';
export { beginEpoch, compareChange, compareCheckpoints, isCheckpoint, join } from './checkpoint.ts';
export { decode as decodeCheckpoint, encode as encodeCheckpoint } from './codec.ts';
export type {
  FeedChangedErrorOptions,
  FeedExpiredErrorOptions,
  OffsetErrorCode,
  OffsetErrorOptions,
  StorageErrorOptions,
} from './errors.ts';
export {
  FeedChangedError,
  FeedExpiredError,
  FencedError,
  InvalidOffsetError,
  LockError,
  OffsetError,
  SerializationError,
  SourceNotFoundError,
  StorageError,
  UnsupportedError,
} from './errors.ts';
export type { DurableStreamOptions } from './feeds/durable-stream.ts';
export { durableStream } from './feeds/durable-stream.ts';
export type {
  Feed,
  FeedContext,
  FeedEvent,
  FeedFailure,
  FeedHeartbeat,
  FeedItem,
  FeedIterator,
  FeedOpening,
  FeedWarning,
} from './feeds/feed.ts';
export { isFailure, isHeartbeat } from './feeds/feed.ts';
export type { FeedErrorOptions } from './feeds/feed-error.ts';
export { FeedError } from './feeds/feed-error.ts';
export type {
  FeedCredentials,
  FeedHeaders,
  FeedRequest,
  FeedResponse,
  HttpOptions,
  LogOptions,
  WordOptions,
} from './feeds/http/options.ts';
export type { PollOptions } from './feeds/poll.ts';
export { poll } from './feeds/poll.ts';
export type { SseEvent, SseMessage, SseOptions } from './feeds/sse/options.ts';
export { sse } from './feeds/sse/sse.ts';
export type { FeedSocket, FeedSocketClose, WebSocketOptions } from './feeds/web-socket.ts';
export { webSocket } from './feeds/web-socket.ts';
export { Offset } from './offset.ts';
export { orderKey } from './order-key.ts';
export type {
  BatchOptions,
  BatchSize,
  EffectContext,
  TransactBatchOptions,
  TransactOptions,
  TransactScope,
} from './resume/effect-options.ts';
export type { HandlerOptions } from './resume/handler.ts';
export type { ViewOptions } from './resume/view-options.ts';
export type { FeedReason, FeedState, FeedStateDetail, ReaderOptions } from './resume/options.ts';
export type { ResumeOptions } from './resume/resume.ts';
export { resume } from './resume/resume.ts';
export type {
  Batch,
  ChangeResult,
  EffectTypes,
  NewestOf,
  OffsetStore,
  StoreCapabilities,
  StoreChange,
  StoreOptions,
} from './store.ts';
export { InMemoryOffsetStore } from './stores/memory.ts';
export type { Strategy } from './tracker/strategy.ts';
export { OffsetTracker } from './tracker/tracker.ts';
export type {
  EffectResult,
  ScopedTx,
  ScopedTypes,
  TransactArguments,
  TransactCall,
  TransactOutcome,
  TxOf,
} from './tracker/transact-types.ts';
export type {
  BeginOptions,
  CommitOutcome,
  ReadOptions,
  Reading,
  RecordOptions,
  RecordOutcome,
  ResetPolicy,
  Role,
  SourceStatus,
  Ticket,
  TrackerEvent,
  TrackerOptions,
} from './tracker/types.ts';
