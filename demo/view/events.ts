import type { Reading } from '../server/readings.ts';
import { element, numeral, show } from './element.ts';

const shown = 8;
/** Metres. */
const highest = 7;

/** An event in the list, and whether another tab has read it. */
export interface Listed {
  readonly reading: Reading;
  readonly isRemote: boolean;
}

/** The last events, newest first, in rows that are made once and then rewritten. */
export function makeEvents(): { add(event: Listed): void; clear(): void; draw(): void } {
  const empty = element('events-empty');
  const last: Listed[] = [];
  const rows = Array.from({ length: shown }, addRow);
  let isStale = true;
  return {
    add(event) {
      last.unshift(event);
      last.length = Math.min(last.length, shown);
      isStale = true;
    },
    clear() {
      last.length = 0;
      isStale = true;
    },
    draw() {
      if (!isStale) return;
      isStale = false;
      empty.hidden = last.length > 0;
      for (const [i, row] of rows.entries()) {
        const event = last[i];
        row.hidden = event === undefined;
        if (event) fill(row, event);
      }
    },
  };
}

function fill(row: HTMLTableRowElement, { reading: { n, harbour, level, tide }, isRemote }: Listed): void {
  row.style.setProperty('--level', `${((level ?? 0) / highest) * 100}%`);
  row.classList.toggle('broken', level === null);
  const metres = level === null ? 'no level' : `${level.toFixed(2)} m`;
  const texts = [numeral(n), harbour, metres, level === null ? 'broken' : tide, isRemote ? 'other tab' : ''];
  for (const [column, text] of texts.entries()) {
    const cell = row.cells[column];
    if (cell) show(cell, text);
  }
}

function addRow(): HTMLTableRowElement {
  const row = document.createElement('tr');
  for (let i = 0; i < 5; i++) row.insertCell();
  element('events').append(row);
  return row;
}
