import type { FeedState, FeedStateDetail } from 'tidemark';
import type { PlainState } from '../lanes/plain.ts';
import { element, show } from './element.ts';
import { type LaneFigures, isDeaf } from './figures.ts';

const words: Readonly<Record<FeedState | 'full', string>> = {
  connecting: 'Connecting',
  open: 'Open',
  retrying: 'Retrying',
  queued: 'Waiting',
  closed: 'Dead',
  full: 'Off',
};

/** The state of a lane, and in a sentence how it does. */
export class LaneState {
  readonly #pill: HTMLElement;
  readonly #text: HTMLElement;
  readonly #verdict: HTMLElement;
  #state: FeedState | 'full' = 'connecting';

  constructor(lane: 'plain' | 'tidemark') {
    this.#pill = element(`${lane}-state`);
    this.#text = element(`${lane}-state-text`);
    this.#verdict = element(`${lane}-verdict`);
  }

  get state(): FeedState | 'full' {
    return this.#state;
  }

  set(state: FeedState | 'full'): void {
    // A reopening that fails again is no news.
    if (state === 'connecting' && this.#state === 'retrying') return;
    this.#state = state;
    this.#pill.dataset.state = state;
    show(this.#text, words[state]);
  }

  say(verdict: string): void {
    show(this.#verdict, verdict);
  }
}

export function verdictOnPlain(state: PlainState, figures: LaneFigures): string {
  switch (state) {
    case 'full':
      return 'Not connected: three tabs are, and a browser has six connections.';
    case 'closed':
      return 'Closed for good, until somebody reloads the page.';
    case 'retrying':
      return 'The browser reconnects by itself.';
    case 'connecting':
      return 'Asks the server for the feed.';
    case 'open':
      break;
  }
  if (isDeaf(figures)) return 'Looks open, hears nothing, and does not notice.';
  if (figures.repeated > 0) return 'Reads. Each reload and each tab begins at the first event again.';
  if ((figures.missing ?? 0) > 0) return 'Reads. What failed is lost, and nobody is told.';
  return 'Reads, as long as nothing happens.';
}

export function verdictOnTidemark(
  state: FeedState,
  { error, retryInMs }: FeedStateDetail,
  role: 'reader' | 'waiting' | undefined,
  figures: LaneFigures,
): string {
  if (state === 'closed') return error === undefined ? 'Closed.' : 'Ended with an error: see what happened.';
  if (state === 'connecting') return 'Asks for what follows its place.';
  if (state === 'retrying') {
    const wait =
      retryInMs === undefined || retryInMs < 1000 ? 'Tries again' : `Tries again in ${Math.ceil(retryInMs / 1000)} s`;
    return `${wait}, and goes on right after the last event.`;
  }
  if (role === 'waiting') return 'Another tab reads for all. This one shows the same, and is next.';
  if (isDeaf(figures)) return 'Hears nothing. Soon it connects anew, and goes on.';
  if (figures.repeated > 0) return 'Reads, at least once: what was not committed is processed again.';
  if (figures.skipped > 0) return 'Reads. What failed was tried three times, then left out and told.';
  return 'Reads, and goes on right after the last event, whatever happens.';
}
