import type { CommitOutcome } from './types.ts';

/** The part of one store write that concerns one source; all who asked for it share its promise. */
export class Cycle {
  /** The position's life when it was asked for. */
  readonly life: number;
  resolve: (outcome: CommitOutcome) => void = () => {};
  reject: (error: unknown) => void = () => {};
  readonly promise = new Promise<CommitOutcome>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });

  constructor(life: number) {
    this.life = life;
  }
}
