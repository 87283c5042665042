import fc from 'fast-check';

// Every run tries the same cases, so that no change fails for a case that it has nothing to do with; `npm run nightly` draws.
fc.configureGlobal({ seed: Number(import.meta.env.VITE_SEED ?? 1) });
