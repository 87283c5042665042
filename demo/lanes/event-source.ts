import type { Reading } from '../server/readings.ts';

/** What the lines of the lane without tidemark are given. */
export interface PlainLines {
  readonly url: string;
  readonly keep: (reading: Reading) => void;
}

export function readPlain({ url, keep }: PlainLines): EventSource {
  // #region shown
  const feed = new EventSource(url);
  feed.onmessage = (event) => keep(JSON.parse(event.data));
  // #endregion
  return feed;
}
