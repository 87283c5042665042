import { resume, sse } from 'tidemark';
import type { Lines } from './lines.ts';

export async function readAtLeastOnce(lines: Lines): Promise<void> {
  const { tracker, source, url, signal, viewFrom, keep, show, showState } = lines;
  // #region shown
  const feed = sse(url, { parse: JSON.parse, earliest: '', latest: 'latest' });

  await resume(tracker, source, feed, {
    exclusive: true, // one tab reads, and the next takes over
    handler: (event) => keep(event.data), // in that tab: processes an event
    view: (event, { origin }) => show(event.data, origin), // in every tab
    viewFrom, // the last event that the list shows already
    onFailed: (_error, _event, attempt) => (attempt < 3 ? 'retry' : 'skip'),
    onExpired: 'earliest', // the server no longer has what comes next
    onState: (state, detail) => showState(state, detail),
    signal,
  });
  // #endregion
}
