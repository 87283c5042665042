import { FencedError } from '../errors.ts';
import type { Position } from './position.ts';
import type { Positions } from './positions.ts';
import { type ReadingHost, SourceReading } from './reading.ts';

/** The tracker's own readings, one a source, for records by source. */
export class Standing {
  readonly #positions: Positions;
  readonly #host: ReadingHost;

  constructor(positions: Positions, host: ReadingHost) {
    this.#positions = positions;
    this.#host = host;
  }

  /** The one of a source. @param enter keeps the source until `leave` */
  of(source: string, enter: () => Position): SourceReading {
    const before = this.#positions.get(source)?.standing;
    if (before) return before as SourceReading;
    const position = enter();
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
