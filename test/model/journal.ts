import { type Checkpoint, join } from '../../src/index.ts';
import { Contents } from '../../src/stores/file/contents.ts';
import { type Piece, formatBegin, formatCheckpoint } from '../../src/stores/file/journal.ts';
import { type Effect, type Stage, type Storage, begin } from './storage.ts';
import type { Answer, Call } from './store.ts';
import { type Feed, claim, keyOf, source } from './values.ts';

/** The lines of a file, and how often it was replaced. */
export interface Lines {
  readonly file: number;
  readonly pieces: readonly Piece[];
}

/** A line that is made, upon what was read, and not appended yet. */
interface Planned extends Stage {
  readonly file: number;
  readonly piece: Piece;
}

/**
 * As the file: what is to be appended is planned upon what was read, and others may append before it is. A process that
 * crashes in between leaves no line, or a torn one, which is none. A file may be replaced at any time by one with less
 * lines; what comes too late is planned again. What lines mean is read by the real code.
 */
export function journal(feed: Feed): Storage<Lines> {
  const contentsOf = ({ pieces }: Lines, by?: string): Contents => {
    const contents = new Contents('the model', undefined);
    if (by !== undefined) contents.expectBegin(by);
    for (const piece of pieces) contents.add(piece);
    return contents;
  };
  const found = new WeakMap<readonly Piece[], { readonly stands: Checkpoint | undefined }>();
  const standsIn = (state: Lines): Checkpoint | undefined => {
    const before = found.get(state.pieces);
    if (before) return before.stands;
    const stands = contentsOf(state).get(source);
    found.set(state.pieces, { stands });
    return stands;
  };
  const resultOf = (state: Lines, call: Call, by: string | undefined): Checkpoint | undefined => {
    const contents = contentsOf(state, by);
    const stands = contents.get(source);
    if (call.type === 'begin') return contents.begun;
    if (call.type !== 'commit' || stands === undefined) return undefined;
    return join(stands, call.checkpoint, source) === stands ? stands : undefined;
  };
  const plan = (state: Lines, call: Call, seat: string): Planned | undefined => {
    const stands = standsIn(state);
    if (call.type === 'begin') {
      const by = `b${Math.round(call.luck * 512)}x${seat.replace('.', 'x')}x${state.pieces.length}`;
      const piece = formatBegin(call.at ? 'begin' : 'fence', by, source, begin(stands, call));
      return { key: `${state.file}:${piece.text}`, file: state.file, piece };
    }
    if (call.type !== 'commit') return undefined;
    const later = join(stands, call.checkpoint, source);
    if (later === stands) return undefined;
    return { key: `${state.file}:${keyOf(later, feed)}`, file: state.file, piece: formatCheckpoint(source, later) };
  };
  return {
    name: 'journal',
    begins: true,
    transacts: false,
    isEventual: false,
    saves: false,
    initial: { file: 0, pieces: [] },
    key: ({ file, pieces }) => `${file}${pieces.map(({ text }) => text).join()}`,
    stands: standsIn,
    effects(state, call, seat, stage): Effect<Lines>[] {
      const answer = (checkpoint: Checkpoint | undefined): Answer => ({ type: 'stands', checkpoint });
      if (!stage) {
        const planned = plan(state, call, seat);
        if (planned) return [{ label: 'is planned', state, stage: planned }];
        return [{ state, answer: answer(standsIn(state)) }];
      }
      const { file, piece } = stage as Planned;
      if (file !== state.file) return [{ label: 'comes too late', state }];
      const after = { file, pieces: [...state.pieces, piece] };
      const result = resultOf(after, call, piece.by);
      return [{ label: 'is appended', state: after, answer: result && answer(result) }];
    },
    save: (state) => state,
    changes(state) {
      if (state.pieces.length < 2) return [];
      const stands = standsIn(state);
      const pieces = stands ? [formatCheckpoint(source, stands)] : [];
      const lines = contentsOf(state).linesOf(source);
      claim(lines.length === 1 && lines[0] === pieces[0]?.text, 'the new file holds what stands');
      return [{ label: 'the file is replaced', state: { file: state.file + 1, pieces } }];
    },
  };
}
