import { members, pairs } from './json-text.ts';

/**
 * What the first format held: `{"tidemark":1,"checkpoints":[[source, checkpoint], …]}`, one JSON text.
 * @returns each source with the text of its checkpoint; undefined where the text is something else
 */
export function parseFormat1(text: string): Map<string, string> | undefined {
  const list = new Map(pairs(members(text))).get('checkpoints');
  if (!list?.startsWith('[')) return undefined;
  const found = new Map<string, string>();
  for (const pair of members(list)) {
    const [source, json, ...more] = pair.startsWith('[') ? members(pair) : [];
    if (!source?.startsWith('"') || json === undefined || more.length > 0) return undefined;
    found.set(JSON.parse(source) as string, json);
  }
  return found;
}
