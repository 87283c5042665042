import { resume, sse } from 'tidemark';
import type { LinesInOne } from './lines.ts';

export async function readExactlyOnce(lines: LinesInOne): Promise<void> {
  const { tracker, source, url, signal, viewFrom, keep, show, showState } = lines;
  // #region shown
  const feed = sse(url, {
    parse: JSON.parse,
    earliest: '', // what this server calls
    latest: 'latest', // the ends of its log
  });

  await resume(tracker, source, feed, {
    exclusive: true, // one tab reads; the next takes over
    transact: ['counts', 'runs', 'events'], // the handler's stores
    handler: (event, { tx }) => keep(tx, event.data), // in one transaction
    view: (event, { origin }) => show(event.data, origin), // in every tab
    viewFrom, // what the list shows already
    onFailed: (_error, _event, attempt) => (attempt < 3 ? 'retry' : 'skip'),
    onExpired: 'earliest', // what comes next is gone
    onState: (state, detail) => showState(state, detail),
    signal,
  });
  // #endregion
}
