import type { OffsetStore } from '../store.ts';
import type { Listeners } from './listeners.ts';

/** What the parts of one tracker have in common. */
export interface Rules {
  readonly store: OffsetStore;
  readonly listeners: Listeners;
  /** The clock, in ms. */
  readonly now: () => number;
  /** Tickets of a reading from the oldest unfinished to the newest. */
  readonly maxInFlight: number;
  /** Ms after which a ticket that blocks the watermark is reported, once. */
  readonly stuckAfterMs: number;
}
