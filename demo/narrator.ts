import { Offset, type TrackerEvent, FeedError, type FeedState, type FeedStateDetail } from 'tidemark';
import type { History, Mark } from './history.ts';
import { numberOf } from './session.ts';
import { numeral } from './view/element.ts';

/** Turns what happens to the reading into marks: lines in the chart, sentences in the journal. */
export class Narrator {
  readonly #history: History;
  /** Whether it was told that this tab waits for its turn, and since when it does. */
  #waits = false;
  #waitsSince: number | undefined;
  #state: FeedState = 'connecting';
  /** The next event shows whether the reading went on where it was. */
  #awaited = true;
  /** Told in other words already. */
  #told = false;

  constructor(history: History) {
    this.#history = history;
  }

  mark(kind: Mark['kind'], text: string, at = Date.now()): void {
    // What is repeated every second is told once.
    if (kind !== 'note' || this.#history.marks.at(-1)?.text !== text) this.#history.mark({ at, kind, text });
  }

  loaded(): void {
    if (!this.#history.continued) return;
    // A page that is left may see its connection go first.
    this.#history.forget(({ at, kind }) => kind === 'drop' && at > performance.timeOrigin - 200);
    this.mark('reload', 'The page was loaded again.', performance.timeOrigin);
  }

  state(state: FeedState, { error }: FeedStateDetail): void {
    const before = this.#state;
    this.#state = state;
    if (state === 'open') this.#awaited = true;
    if (state === 'retrying' && before === 'open') this.mark('drop', `The connection was lost${because(error)}.`);
    else if (state === 'retrying' && error) this.mark('note', `Could not connect${because(error)}.`);
    if (state === 'closed' && error) this.mark('drop', `The reading ended${because(error)}.`);
  }

  role(role: 'reader' | 'waiting' | undefined): void {
    if (role !== 'waiting') {
      if (this.#waits) this.mark('note', 'This tab reads now.');
      this.#waits = false;
      this.#waitsSince = undefined;
      return;
    }
    this.#waitsSince ??= performance.now();
    // Whoever is the only one waits for a moment, too.
    if (this.#waits || performance.now() - this.#waitsSince < 500) return;
    this.#waits = true;
    this.mark('note', 'Another tab reads the feed, and this one waits for its turn.');
  }

  processed(n: number, before: number | undefined): void {
    if (!this.#awaited) return;
    this.#awaited = false;
    const after = before === n - 1 ? `, right after ${numeral(before)}` : '';
    this.mark('note', `${before === undefined ? 'Began' : 'Went on'} with event ${numeral(n)}${after}.`);
  }

  expired(): void {
    this.#told = true;
    this.mark('reset', 'The server answered 410, it no longer has what comes next: reset to earliest.');
  }

  /** @param offset where this page is about to reset the source */
  resetting(offset: Offset): void {
    this.#told = true;
    this.mark('reset', `Reset to ${offset.kind}.`);
  }

  /** Somebody asked for a commit and got this. */
  commit(outcome: 'committed' | 'fenced' | 'none', offset: Offset | undefined): void {
    const n = numberOf(offset);
    if (outcome === 'none') this.mark('note', 'Nothing was pending.');
    else
      this.mark('note', `${outcome === 'fenced' ? 'Fenced' : 'Committed'}${n === undefined ? '' : `: ${numeral(n)}`}.`);
  }

  tracked({ type, origin, offset, error }: TrackerEvent): void {
    if (type === 'reset' || type === 'cleared') {
      const n = numberOf(offset);
      const where = n === undefined ? (offset?.kind ?? 'nothing') : numeral(n);
      if (origin === 'remote') this.mark('reset', `Another tab reset the feed to ${where}.`);
      else if (!this.#told) this.mark('reset', `Reset to ${where}.`);
      this.#told = false;
    } else if (type === 'degraded' || type === 'error') {
      this.mark('note', `The store failed${because(error)}.`);
    } else if (type === 'recovered') {
      this.mark('note', 'The store works again.');
    }
  }
}

function because(error: unknown): string {
  if (error === undefined) return '';
  if (error instanceof FeedError && error.status !== undefined) return `: the server answered ${error.status}`;
  const first = error instanceof FeedError && error.cause instanceof Error ? error.cause : error;
  return `: ${first instanceof Error ? first.message : String(first)}`;
}
