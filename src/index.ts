export type { Change, ChangeOutcome, Checkpoint, CompareCustom } from './checkpoint.ts';
export { beginEpoch, compareChange, compareCheckpoints, isCheckpoint, join } from './checkpoint.ts';
export type { OffsetErrorCode, OffsetErrorOptions, StorageErrorOptions } from './errors.ts';
export {
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
export type { Feed, FeedContext, FeedErrorOptions, FeedEvent, FeedHeartbeat, FeedItem } from './feeds/feed.ts';
export { FeedError } from './feeds/feed.ts';
export type { SseEvent, SseHeaders, SseOptions } from './feeds/sse/sse.ts';
export { sse } from './feeds/sse/sse.ts';
export { Offset } from './offset.ts';
export type { HandlerOptions } from './resume/handler.ts';
export type { FeedState, FeedStateDetail, FeedTracker, ReaderOptions } from './resume/options.ts';
export type { ResumeOptions } from './resume/resume.ts';
export { resume } from './resume/resume.ts';
export type { Batch, ChangeResult, OffsetStore, StoreCapabilities, StoreChange, StoreOptions } from './store.ts';
export { InMemoryOffsetStore } from './stores/memory.ts';
export type { Strategy } from './tracker/strategy.ts';
export { OffsetTracker } from './tracker/tracker.ts';
export type {
  CommitOutcome,
  RecordOutcome,
  ResetPolicy,
  SourceStatus,
  Ticket,
  TrackerEvent,
  TrackerOptions,
} from './tracker/types.ts';
