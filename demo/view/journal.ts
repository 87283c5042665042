import type { Mark } from '../history.ts';
import { element } from './element.ts';

const shown = 6;

/** What happened, newest first; the marks of the chart in words. */
export function makeJournal(): (marks: readonly Mark[]) => void {
  const list = element('journal');
  let latest: Mark | undefined;
  return (marks) => {
    const from = latest ? marks.lastIndexOf(latest) + 1 : Math.max(0, marks.length - shown);
    // Rows are added one by one: a list that is written anew would be read out anew.
    for (const mark of marks.slice(from)) list.prepend(row(mark));
    while (list.children.length > shown) list.lastElementChild?.remove();
    latest = marks.at(-1);
  };
}

function row({ at, text }: Mark): HTMLLIElement {
  const item = document.createElement('li');
  const time = document.createElement('time');
  const moment = new Date(at);
  time.dateTime = moment.toISOString();
  time.textContent = moment.toLocaleTimeString('en-GB');
  const words = document.createElement('span');
  words.textContent = text;
  item.append(time, words);
  return item;
}
