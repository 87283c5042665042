import type { Mark } from '../history.ts';
import { element, show } from './element.ts';

const shown = 6;
const names = { plain: 'EventSource', tidemark: 'tidemark' } as const;

/** What happened, newest first; the marks of the chart in words. */
export function makeJournal(): (marks: readonly Mark[]) => void {
  const list = element('journal');
  const news = element('news');
  // Rows that are made once and then rewritten: one that is put before the others would move them.
  const rows = Array.from({ length: shown }, () => {
    const row = document.createElement('li');
    const [time, lane, text] = [
      document.createElement('time'),
      document.createElement('span'),
      document.createElement('p'),
    ];
    lane.className = 'tag';
    row.append(time, lane, text);
    row.hidden = true;
    list.append(row);
    return { row, time, lane, text };
  });
  let latest: Mark | undefined;
  return (marks) => {
    const newest = marks.at(-1);
    if (newest === latest) return;
    for (const [i, { row, time, lane, text }] of rows.entries()) {
      const mark = marks.at(-1 - i);
      row.hidden = mark === undefined;
      if (!mark) continue;
      const moment = new Date(mark.at);
      time.dateTime = moment.toISOString();
      show(time, moment.toLocaleTimeString('en-GB'));
      row.dataset.lane = mark.lane ?? 'page';
      show(lane, mark.lane ? names[mark.lane] : 'You');
      show(text, mark.text);
    }
    // The list is not read out each time, only what is new.
    if (latest && newest) show(news, `${newest.lane ? `${names[newest.lane]}: ` : ''}${newest.text}`);
    latest = newest;
  };
}
