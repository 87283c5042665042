export type { CorsOptions } from './cors.ts';
export type { LogEvent, MemoryLogOptions } from './memory-log.ts';
export { MemoryLog } from './memory-log.ts';
export type { FeedRequest, ServeOptions } from './serve.ts';
export { serve } from './serve.ts';
