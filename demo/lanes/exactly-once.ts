import { resume, sse } from 'tidemark';
import type { LinesInOne } from './lines.ts';

export async function readExactlyOnce(lines: LinesInOne): Promise<void> {
  const { tracker, source, url, signal, viewFrom, keep, show, showState } = lines;
  // #region shown
  const feed = sse(url, { parse: JSON.parse, earliest: '', latest: 'latest' });

  await resume(tracker, source, feed, {
    exclusive: true, // one tab reads, and the next takes over
    transact: ['counts', 'runs', 'events'], // the object stores of the handler
    handler: (event, { tx }) => keep(tx, event.data), // with the offset in one transaction
    view: (event, { origin }) => show(event.data, origin), // in every tab
    viewFrom, // the last event that the list shows already
    onFailed: (_error, _event, attempt) => (attempt < 3 ? 'retry' : 'skip'),
    onExpired: 'earliest', // the server no longer has what comes next
    onState: (state, detail) => showState(state, detail),
    signal,
  });
  // #endregion
}
