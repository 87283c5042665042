export { type TestApi, type StoreFactory, testOffsetStore } from './conformance.ts';
