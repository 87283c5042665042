import { resume, sse } from 'tidemark';
import type { Lines } from './lines.ts';

/** Where tabs share no store, or there are no Web Locks: each tab reads for itself. */
export async function readAlone(lines: Lines): Promise<void> {
  const { tracker, source, url, signal, keep, show, showState } = lines;
  // #region shown
  const feed = sse(url, {
    parse: JSON.parse,
    earliest: '', // what this server calls
    latest: 'latest', // the ends of its log
  });

  await resume(tracker, source, feed, {
    handler: async (event) => {
      await keep(event.data); // processes an event
      show(event.data, 'local');
    },
    onFailed: (_error, _event, attempt) => (attempt < 3 ? 'retry' : 'skip'),
    onExpired: 'earliest', // what comes next is gone
    onState: (state, detail) => showState(state, detail),
    signal,
  });
  // #endregion
}
