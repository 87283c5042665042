import { Buffer } from 'node:buffer';
import { type Checkpoint, join } from '../../checkpoint.ts';
import { OffsetError } from '../../errors.ts';
import type { StoreOptions } from '../../store.ts';
import { type Piece, formatCheckpoint, readCheckpoint } from './journal.ts';

interface Entry {
  /** What stands, and its line; the line is undefined where the file holds none that says just this. */
  checkpoint: Checkpoint | undefined;
  text: string | undefined;
  /** Lines that came later and are not joined yet, in the order of the file. */
  pieces: Piece[];
  /** How many bytes it takes, about: what the file would hold with nothing superseded. */
  size: number;
}

/**
 * What the lines of a file say, by source. They are decoded and joined when somebody asks for the source, so that
 * opening a file of 100,000 sources is quick, and a line that cannot be read fails its own source alone.
 */
export class Contents {
  readonly #where: string;
  readonly #compare: StoreOptions['compare'];
  readonly #entries = new Map<string, Entry>();
  #size = 0;
  /** The call of `begin` that is under way, and what it began: nothing where its epoch came too late to be the highest. */
  #awaited: { readonly by: string; begun?: Checkpoint } | undefined;
  /** The sources that changed since `watch`. */
  #changed: Set<string> | undefined;

  constructor(where: string, compare: StoreOptions['compare']) {
    this.#where = where;
    this.#compare = compare;
  }

  /** How many bytes the file would hold if it held each source once, about. */
  get size(): number {
    return this.#size;
  }

  sources(): IterableIterator<string> {
    return this.#entries.keys();
  }

  /** Takes a line, in the order of the file. */
  add(piece: Piece): void {
    const entry = this.#entryOf(piece.source, Buffer.byteLength(piece.text));
    entry.pieces.push(piece);
    this.#changed?.add(piece.source);
  }

  /**
   * What stands for a source.
   * @throws SerializationError where a line about it cannot be read; InvalidOffsetError where `compare` fails
   */
  get(source: string): Checkpoint | undefined {
    const entry = this.#entries.get(source);
    return entry && this.#resolve(entry);
  }

  /** The lines that hold what stands for a source: one, or all there are where they cannot be read and joined. */
  linesOf(source: string): string[] {
    const entry = this.#entries.get(source);
    if (!entry) return [];
    const [first] = entry.pieces;
    if (entry.checkpoint === undefined && entry.pieces.length === 1 && first?.type === 'checkpoint')
      return [first.text];
    try {
      this.#resolve(entry);
    } catch (error) {
      if (!(error instanceof OffsetError)) throw error;
      return [...this.#lineOf(source, entry), ...entry.pieces.map(({ text }) => text)];
    }
    return this.#lineOf(source, entry);
  }

  /** From now on `takeChanged` tells of the sources that change. */
  watch(): void {
    this.#changed = new Set();
  }

  takeChanged(): string[] {
    const changed = [...(this.#changed ?? [])];
    this.#changed?.clear();
    return changed;
  }

  unwatch(): void {
    this.#changed = undefined;
  }

  /** Expects the line of a call of `begin`. */
  expectBegin(by: string): void {
    this.#awaited = { by };
  }

  /** @returns what that call began, once its source was asked for; undefined where another epoch was as high before it */
  get begun(): Checkpoint | undefined {
    return this.#awaited?.begun;
  }

  #entryOf(source: string, size: number): Entry {
    let entry = this.#entries.get(source);
    if (!entry) this.#entries.set(source, (entry = { checkpoint: undefined, text: undefined, pieces: [], size: 0 }));
    this.#size += size + 1 - entry.size;
    entry.size = size + 1;
    return entry;
  }

  #lineOf(source: string, entry: Entry): string[] {
    if (entry.checkpoint === undefined) return [];
    return [(entry.text ??= formatCheckpoint(source, entry.checkpoint).text)];
  }

  #resolve(entry: Entry): Checkpoint | undefined {
    // Nothing is kept of what fails in the middle.
    let { checkpoint: stands, text } = entry;
    for (const piece of entry.pieces) {
      const later = this.#apply(stands, piece);
      if (later !== stands) text = piece.type === 'checkpoint' ? piece.text : undefined;
      stands = later;
    }
    if (entry.pieces.length > 0) Object.assign(entry, { checkpoint: stands, text, pieces: [] });
    return stands;
  }

  #apply(stands: Checkpoint | undefined, piece: Piece): Checkpoint {
    const { type, source, json, by } = piece;
    const incoming = readCheckpoint(json, source, this.#where);
    if (type === 'checkpoint' || by === undefined) return join(stands, incoming, source, this.#compare);
    const isFirst = stands === undefined || incoming.epoch > stands.epoch;
    // A fence has no place of its own: it stands where the lines before it have brought the source.
    const begun = type === 'fence' && stands ? Object.freeze({ ...stands, epoch: incoming.epoch }) : incoming;
    if (isFirst && this.#awaited?.by === by) this.#awaited.begun = begun;
    return isFirst ? begun : (stands ?? incoming);
  }
}
