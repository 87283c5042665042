import type { FeedState, FeedStateDetail } from 'tidemark';
import { type Ship, harbours } from '../server/changes.ts';
import { element, numeral, show } from '../view/element.ts';
import type { Copy } from './server.ts';

const words: Readonly<Record<FeedState, string>> = {
  connecting: 'Connecting',
  open: 'Connected',
  retrying: 'Connection lost',
  queued: 'This tab waits',
  closed: 'Closed',
};

export function showState(state: FeedState, { error }: FeedStateDetail, offline: boolean): void {
  const pill = element('connection');
  pill.dataset.state = offline ? 'closed' : state === 'queued' ? 'standby' : state;
  show(element('connection-text'), offline ? 'Offline' : words[state]);
  element('offline').ariaChecked = String(offline);
  showError(state === 'closed' && !offline ? error : undefined);
}

export function showError(error: unknown): void {
  element('error').hidden = error === undefined;
  if (error !== undefined) show(element('error'), error instanceof Error ? error.message : String(error));
}

/** How far the copy here is, what is on the server, and whether the two are the same. */
export function showCopies(local: Copy, server: Copy | undefined): void {
  const bar = element('pulled') as HTMLProgressElement;
  bar.max = Math.max(server?.changes ?? 0, local.changes, 1);
  bar.value = local.changes;
  show(element('local-changes'), numeral(local.changes));
  show(element('server-changes'), server ? numeral(server.changes) : '–');
  show(element('local-hash'), local.hash);
  show(element('server-hash'), server?.hash ?? '–');
  show(element('local-bytes'), `${numeral(local.text.length)} bytes`);
  show(element('server-bytes'), server ? `${numeral(server.text.length)} bytes` : 'out of reach');
  const [verdict, text] = compare(local, server);
  element('verdict').dataset.verdict = verdict;
  show(element('verdict-text'), text);
  showHarbours(local, server);
  showShips(local, server);
}

function compare(local: Copy, server: Copy | undefined): [verdict: string, text: string] {
  if (!server) return ['behind', 'The server is out of reach. The copy is here.'];
  if (local.text === server.text) return ['equal', 'Equal, byte for byte.'];
  const behind = server.changes - local.changes;
  if (behind > 0) return ['behind', `${numeral(behind)} ${behind === 1 ? 'change' : 'changes'} to pull.`];
  // What the server was asked a moment ago is older than what has been pulled since.
  return behind < 0 ? ['behind', 'Pulling.'] : ['differs', 'As many changes, but not the same bytes.'];
}

function showHarbours(local: Copy, server: Copy | undefined): void {
  const [here, there] = [new Map(local.book.counters), new Map(server?.book.counters)];
  const rows = harbours.map((harbour) => {
    const counts = (of: Map<string, number>) =>
      ['arrives', 'leaves', 'tons'].map((what) => numeral(of.get(`${harbour} ${what}`) ?? 0));
    const [ours, theirs] = [counts(here), counts(there)];
    const missing = (there.get(`${harbour} tons`) ?? 0) - (here.get(`${harbour} tons`) ?? 0);
    const differs = server !== undefined && String(ours) !== String(theirs);
    return { differs, cells: [harbour, ...ours, differs ? difference(missing) : ''] };
  });
  showRows('harbours', rows);
}

function difference(tons: number): string {
  return tons === 0 ? 'differs' : `${tons > 0 ? '+' : '−'}${numeral(Math.abs(tons))} t`;
}

function showShips(local: Copy, server: Copy | undefined): void {
  const there = new Map(server?.book.ships.map((ship) => [ship.id, ship]));
  const rows = local.book.ships.map((ship) => {
    const says = server ? onServer(ship, there.get(ship.id)) : '';
    return { differs: says !== '', cells: [ship.name, ship.harbour, `${numeral(ship.tons)} t`, says] };
  });
  showRows('ships', rows);
  element('ships-empty').hidden = rows.length > 0;
}

function onServer(ours: Ship, theirs: Ship | undefined): string {
  if (!theirs) return 'has left';
  return theirs.tons === ours.tons ? '' : `${numeral(theirs.tons)} t`;
}

interface Row {
  readonly differs: boolean;
  readonly cells: readonly string[];
}

/** Writes rows anew only where they changed. */
function showRows(id: string, rows: readonly Row[]): void {
  const body = element(id) as HTMLTableSectionElement;
  while (body.rows.length > rows.length) body.deleteRow(-1);
  for (const [i, { differs, cells }] of rows.entries()) {
    const row = body.rows[i] ?? body.insertRow();
    row.classList.toggle('differs', differs);
    for (const [column, text] of cells.entries()) show(row.cells[column] ?? row.insertCell(), text);
  }
}
