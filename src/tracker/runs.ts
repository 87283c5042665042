import type { Listeners } from './listeners.ts';
import type { Position, Run } from './position.ts';
import type { Positions } from './positions.ts';
import type { Told } from './progress.ts';
import type { Role, TrackerEvent } from './types.ts';

/** What a `resume` tells the tracker that it reads with. */
export class Runs {
  readonly #positions: Positions;
  readonly #listeners: Listeners;
  readonly #ask: (position: Position) => Promise<void>;

  /** @param ask asks the store where a source is that is not known yet */
  constructor(positions: Positions, listeners: Listeners, ask: (position: Position) => Promise<void>) {
    this.#positions = positions;
    this.#listeners = listeners;
    this.#ask = ask;
  }

  /** A run begins. @returns a function that ends it */
  attach(source: string, run: Run): () => void {
    const position = this.#positions.enter(source);
    position.runs.add(run);
    this.#positions.leave(position);
    return () => {
      const { role } = position;
      position.runs.delete(run);
      this.roleChanged(source, role);
      this.#positions.release(position);
    };
  }

  /** The role of the latest run may have changed. */
  roleChanged(source: string, before: Role | undefined): void {
    const position = this.#positions.get(source);
    if (!position || position.role === before) return;
    position.changed();
    position.tell('role', 'local');
    // Only of what is known can be told what the tab that reads commits. Where this fails, the reading asks again.
    if (position.role === 'waiting' && !position.known) this.#ask(position).catch(() => {});
  }

  /** Which log the source's offset belongs to. */
  feedOf(source: string): string | undefined {
    return this.#positions.get(source)?.feed;
  }

  /** The feed told its id, which goes with what is recorded from now on. */
  identify(source: string, feedId: string): void {
    const position = this.#positions.get(source);
    if (!position || position.resetting || position.feed === feedId) return;
    position.feed = feedId;
    position.changed();
  }

  /** The feed told where its head is, or that it has nothing more. */
  progress(source: string, told: Told): void {
    this.#positions.get(source)?.told(told);
  }

  tell(event: Omit<TrackerEvent, 'origin'>): void {
    this.#listeners.send({ ...event, origin: 'local' });
  }
}
