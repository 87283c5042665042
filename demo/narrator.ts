import { Offset, type TrackerEvent, FeedError, type FeedState, type FeedStateDetail } from 'tidemark';
import type { History, Mark } from './history.ts';
import type { PlainState } from './lanes/plain.ts';
import { numberOf } from './lanes/tidemark.ts';
import { numeral } from './view/element.ts';

/** Turns what happens to the lanes into marks: lines in the chart, sentences in the journal. */
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

  /** About the page and the server. */
  note(text: string, label?: string): void {
    this.#mark({ at: Date.now(), text, label });
  }

  loaded(): void {
    const { marks, continued } = this.#history;
    // Whoever crashes the page says so before.
    if (!continued || marks.at(-1)?.label === 'crash') return;
    this.#history.mark({ at: performance.timeOrigin, text: 'The page was loaded again.', label: 'reload' });
  }

  plain(state: PlainState): void {
    const words: Partial<Record<PlainState, string>> = {
      retrying: 'The connection was lost. The browser reconnects.',
      closed: 'Closed for good: the browser does not try again.',
      full: 'Not connected: three tabs hold a connection each already.',
    };
    const text = words[state];
    if (text) this.#tell('plain', text);
  }

  plainBegan(n: number, processedBefore: boolean): void {
    this.#tell('plain', processedBefore ? `Begins again at event ${numeral(n)}.` : `Begins with event ${numeral(n)}.`);
  }

  state(state: FeedState, { error, reason }: FeedStateDetail): void {
    const before = this.#state;
    this.#state = state;
    if (state === 'open') this.#awaited = true;
    if (reason === 'silent') this.#tell('tidemark', 'Noticed the silence, and connects anew.');
    else if (state === 'retrying' && before === 'open')
      this.#tell('tidemark', `The connection was lost${because(error)}.`);
    else if (state === 'retrying' && error) this.#tell('tidemark', `Could not connect${because(error)}.`);
    if (state === 'closed' && error) this.#tell('tidemark', `The reading ended${because(error)}.`);
  }

  role(role: 'reader' | 'waiting' | undefined): void {
    if (role !== 'waiting') {
      if (this.#waits) this.#tell('tidemark', 'This tab reads now.');
      this.#waits = false;
      this.#waitsSince = undefined;
      return;
    }
    this.#waitsSince ??= performance.now();
    // Whoever is the only one waits for a moment, too.
    if (this.#waits || performance.now() - this.#waitsSince < 500) return;
    this.#waits = true;
    this.#tell('tidemark', 'Another tab reads for all, and this one shows the same events.');
  }

  kept(n: number, before: number | undefined): void {
    if (!this.#awaited) return;
    this.#awaited = false;
    const after = before === n - 1 ? `, right after ${numeral(before)}` : '';
    this.#tell('tidemark', `${before === undefined ? 'Begins' : 'Goes on'} with event ${numeral(n)}${after}.`);
  }

  /** @param offset where this page is about to reset the source */
  resetting(offset: Offset): void {
    this.#told = true;
    this.#tell('tidemark', `Reset to ${offset.kind}.`, 'reset');
  }

  /** Somebody asked for a commit and got this. */
  commit(outcome: 'committed' | 'fenced' | 'none', offset: Offset | undefined): void {
    const n = numberOf(offset);
    if (outcome === 'none') return this.#tell('tidemark', 'Nothing was pending.');
    const what = outcome === 'fenced' ? 'Fenced' : 'Committed';
    this.#tell('tidemark', `${what}${n === undefined ? '' : `: ${numeral(n)}`}.`);
  }

  tracked({ type, origin, offset, error }: TrackerEvent): void {
    const n = numberOf(offset);
    const where = n === undefined ? (offset?.kind ?? 'nothing') : `event ${numeral(n)}`;
    if (type === 'reset' || type === 'cleared') {
      if (origin === 'remote') this.#tell('tidemark', `Another tab reset the place to ${where}.`, 'reset');
      else if (!this.#told)
        this.#tell('tidemark', `The server no longer has what comes next: reset to ${where}.`, 'reset');
      this.#told = false;
    } else if (type === 'skipped') {
      this.#tell('tidemark', `Gave ${where} up after three attempts${because(error)}.`);
    } else if (type === 'degraded' || type === 'error') {
      this.#tell('tidemark', `The store failed${because(error)}.`);
    } else if (type === 'recovered') {
      this.#tell('tidemark', 'The store works again.');
    }
  }

  #tell(lane: Mark['lane'], text: string, label?: string): void {
    this.#mark({ at: Date.now(), lane, text, label });
  }

  #mark(mark: Mark): void {
    const last = this.#history.marks.at(-1);
    // What is repeated every second is told once.
    if (mark.label === undefined && last?.text === mark.text && last.lane === mark.lane) return;
    this.#history.mark(mark);
  }
}

function because(error: unknown): string {
  if (error === undefined) return '';
  if (error instanceof FeedError && error.status !== undefined) return `: the server answered ${error.status}`;
  const first = error instanceof FeedError && error.cause instanceof Error ? error.cause : error;
  return `: ${first instanceof Error ? first.message : String(first)}`;
}
