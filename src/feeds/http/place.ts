import { quote } from '../../errors.ts';
import type { Offset } from '../../offset.ts';
import type { FeedContext } from '../feed.ts';
import type { FeedErrors } from '../feed-errors.ts';
import type { WordOptions } from './options.ts';

/** How a server is told to go on after an offset; undefined: there is no word for it. */
export function wordOf(offset: Offset, { earliest, latest }: WordOptions): string | undefined {
  if (offset.kind === 'earliest') return earliest;
  if (offset.kind === 'latest') return latest;
  return offset.kind === 'timestamp' ? offset.value.toISOString() : String(offset.value);
}

/** Warns where a reading starts at an end of the log for which there is no word. */
export function warnUntold(from: Offset, context: FeedContext): void {
  const { kind } = from;
  if (kind !== 'earliest' && kind !== 'latest') return;
  context.warn(
    `${kind}-not-told`,
    `reading of ${quote(context.source)} starts at '${kind}', and the server was not told: it decides where to start. ` +
      `Give the option \`${kind}\`, the word that the server takes for it, or '' where it starts there by itself`,
  );
}

/** As `Offset.custom`, which brings its siblings along. */
export function custom(value: string): Offset {
  return Object.freeze({ kind: 'custom', value });
}

/**
 * An id as a header holds it: in bytes, and the HTML Standard sends it in UTF-8.
 * @throws FeedError for one that no header can hold
 */
export function inHeader(id: string, errors: FeedErrors): string {
  const text = String.fromCharCode(...new TextEncoder().encode(id));
  if (/^[\t\x20-\x7e\x80-\xff]*$/.test(text)) return text;
  throw errors.final(
    `the id ${quote(id)} has a character that no header can carry: send it as a query parameter (the option ` +
      `\`lastEventId\`), or in another spelling (\`id\`)`,
  );
}

/** A URL, relative ones too, with a query parameter, which replaces what it had. */
export function withQuery(url: string, key: string, value: string): string {
  const [path = '', query = ''] = url.replace(/#.*/, '').split(/\?([^]*)/);
  const others = query.split('&').filter((part) => part !== '' && !new URLSearchParams(part).has(key));
  return `${path}?${[...others, new URLSearchParams([[key, value]])].join('&')}`;
}
