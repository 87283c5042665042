import { FeedError } from '../feeds/feed-error.ts';
import { quote } from '../errors.ts';

/** What cannot stand in a header, or is not the same after it stood there: an id has to come back as it was sent. */
const unfitForHeader = /[\0-\x08\n-\x1f\x7f\p{Surrogate}]|^[ \t]|[ \t]$/u;

/** Whether an id can be sent to a client and comes back in its `Last-Event-ID`. */
export function isFit(id: string): boolean {
  return id !== '' && !unfitForHeader.test(id);
}

/** What clients take no notice of, but for knowing that the connection is alive. */
export const comment = ':\n\n';

/** The text of an event stream's block (HTML Standard, section 9.2.5): an id alone moves the client's place. */
export function idBlock(id: string): string {
  return `id: ${id}\n\n`;
}

/** @throws FeedError for an event that no event stream can hold */
export function eventBlock(id: string | undefined, type: string | undefined, data: string): string {
  if (typeof data !== 'string') throw unfit(id, `its data is ${quote(data)} where text is needed`);
  if (type !== undefined && /[\r\n]/.test(type)) throw unfit(id, `its type, ${quote(type)}, has a line break`);
  const name = type === undefined || type === '' || type === 'message' ? '' : `event: ${type}\n`;
  const place = id === undefined ? '' : `id: ${id}\n`;
  return `${name}${place}data: ${data.replace(/\r\n?|\n/g, '\ndata: ')}\n\n`;
}

function unfit(id: string | undefined, why: string): FeedError {
  return new FeedError(`the event ${quote(id ?? 'without an id')} cannot be sent: ${why}`, { retryable: false });
}
