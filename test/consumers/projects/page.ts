// What only a page has.
import { LocalStorageOffsetStore } from 'tidemark/local-storage';

export const store = new LocalStorageOffsetStore({ storage: localStorage });
