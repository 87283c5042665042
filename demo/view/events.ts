import type { Reading } from '../server/readings.ts';
import { element, numeral, show } from './element.ts';

const shown = 8;
/** Metres. */
const highest = 7;

/** The last events, newest first, in rows that are made once and then rewritten. */
export function makeEvents(): { add(reading: Reading): void; draw(waiting: boolean): void } {
  const empty = element('events-empty');
  const last: Reading[] = [];
  const rows: HTMLTableRowElement[] = [];
  return {
    add(reading) {
      last.unshift(reading);
      last.length = Math.min(last.length, shown);
    },
    draw(waiting) {
      empty.hidden = !waiting && last.length > 0;
      show(empty, waiting ? 'Another tab reads the feed. Close that one, and this one goes on.' : 'Nothing read yet.');
      for (const [i, { n, harbour, level, tide }] of last.entries()) {
        const row = (rows[i] ??= addRow());
        row.style.setProperty('--level', `${((level ?? 0) / highest) * 100}%`);
        const texts = [numeral(n), harbour, level === null ? '–' : `${level.toFixed(2)} m`, tide];
        for (const [column, text] of texts.entries()) {
          const cell = row.cells[column];
          if (cell) show(cell, text);
        }
      }
    },
  };
}

function addRow(): HTMLTableRowElement {
  const row = document.createElement('tr');
  for (let i = 0; i < 4; i++) row.insertCell();
  element('events').append(row);
  return row;
}
