export type { TestApi } from './api.ts';
export { type StoreFactory, testOffsetStore } from './conformance.ts';
export { type TransactFactory, type TransactSubject, testTransact } from './transact.ts';
