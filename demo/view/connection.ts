import { type FeedState, type FeedStateDetail } from 'tidemark';
import { element, show } from './element.ts';

const words = {
  connecting: 'Connecting',
  open: 'Connected',
  retrying: 'Connection lost',
  queued: 'This tab waits',
  closed: 'Closed',
};

/** The state of the connection. Its words are read out when they change, its countdown is not. */
export class ConnectionView {
  readonly #pill = element('connection');
  readonly #text = element('connection-text');
  readonly #wait = element('connection-wait');
  #retryAt: number | undefined;

  set(state: FeedState, { retryInMs }: FeedStateDetail, role: 'reader' | 'waiting' | undefined): void {
    const standsBy = role === 'waiting';
    this.#retryAt = retryInMs === undefined ? undefined : performance.now() + retryInMs;
    // A reopening that fails again is no news.
    if (state === 'connecting' && this.#pill.dataset.state === 'retrying' && !standsBy) return this.draw();
    this.#pill.dataset.state = standsBy ? 'standby' : state;
    show(this.#text, standsBy ? 'This tab waits' : words[state]);
    this.draw();
  }

  draw(): void {
    const seconds = this.#retryAt === undefined ? 0 : Math.ceil((this.#retryAt - performance.now()) / 1000);
    show(this.#wait, seconds > 0 ? `again in ${seconds} s` : '');
  }
}
