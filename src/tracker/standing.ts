import { FencedError } from '../errors.ts';
import type { Position } from './position.ts';
import type { Positions } from './positions.ts';
import { type ReadingHost, SourceReading } from './reading.ts';

/** The tracker's own readings, one a source, for records by source. */
export class Standing {
  readonly #positions: Positions;
  readonly #host: ReadingHost;
  readonly #enter: (source: string) => Position;

  /** @param enter keeps a source until `leave` */
  constructor(positions: Positions, host: ReadingHost, enter: (source: string) => Position) {
    this.#positions = positions;
    this.#host = host;
    this.#enter = enter;
  }

  /** The one of a source. */
  of(source: string): SourceReading {
    const before = this.#positions.get(source)?.standing;
    if (before) return before as SourceReading;
    const position = this.#enter(source);
    const standing = this.renew(position);
    if (position.fenced || position.renew) {
      // Nobody has read since.
      position.readings.delete(standing);
      standing.fence(new FencedError(source, 'reset'));
    }
    this.#positions.leave(position);
    // Asked at once: what is recorded after this moment is not to jump over a reset.
    if (!position.known) this.#host.start(position).catch(() => {});
    return standing;
  }

  /** Goes on in another epoch. */
  renew(position: Position): SourceReading {
    const standing = new SourceReading(position, this.#host);
    position.standing = standing;
    return standing;
  }
}
